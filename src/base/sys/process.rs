//! What the process is and may do: limits, background life, processors, kernel settings of its own, and random
//! bytes from the system.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Fills `out` with bytes that nobody can guess. Panics when the system has none to give: nothing that asks can
/// go on without them.
pub fn random_bytes(out: &mut [u8]) {
    let mut filled = 0;
    while filled < out.len() {
        let rest = &mut out[filled..];
        // SAFETY: `rest` is writable for its whole length.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(got) {
            Ok(got) => filled += got,
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => {
                // Old kernels and strict sandboxes lack the call but have the device.
                File::open("/dev/urandom")
                    .and_then(|mut device| device.read_exact(rest))
                    .expect("the system gives random bytes");
                return;
            }
        }
    }
}

/// How many files this process may have open now.
pub fn open_files_limit() -> u64 {
    let limit = read_files_limit();
    limit.rlim_cur
}

/// Raises the limit of open files to `wanted` or as near as the system lets us; never lowers it. Returns what
/// the limit is afterwards.
pub fn raise_open_files_limit(wanted: u64) -> u64 {
    let limit = read_files_limit();
    if limit.rlim_cur >= wanted {
        return limit.rlim_cur;
    }
    // With privilege the hard limit moves too, up to what the kernel allows anybody; without it the hard limit is
    // the most there is.
    let hard = limit.rlim_max;
    let most = most_open_files().unwrap_or(hard).max(hard);
    for attempt in [wanted, wanted.min(most), wanted.min(hard)] {
        let attempt = libc::rlimit {
            rlim_cur: attempt,
            rlim_max: hard.max(attempt),
        };
        // SAFETY: `attempt` is a valid rlimit for the call to read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &attempt) } == 0 {
            break;
        }
    }
    open_files_limit()
}

fn read_files_limit() -> libc::rlimit {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit for the call to fill.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    assert_eq!(failed, 0, "the limit of open files can be read");
    limit
}

fn most_open_files() -> Option<u64> {
    fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// How many threads this process has; 0 where `/proc` is not mounted.
pub fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Goes to the background: the caller continues in a child without a terminal, in a session of its own, with the
/// standard streams on `/dev/null`; the process that was started exits with 0. Only a process with a single
/// thread may call this, because a fork takes no other thread along.
pub fn daemonize() -> io::Result<()> {
    if thread_count() > 1 {
        return Err(io::Error::other(
            "only a process with a single thread can go to the background",
        ));
    }
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: with one thread there is no lock that the child could find held for ever.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => exit_at_once(0),
    }
    // SAFETY: setsid takes nothing; a freshly forked child leads no group, so it cannot fail. `null` is open, and
    // replacing the three standard descriptors is what going to the background means.
    unsafe {
        libc::setsid();
        for standard in 0..=2 {
            if libc::dup2(null.as_raw_fd(), standard) == -1 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// Ends the process now: no destructors, no exit handlers. May be called from a signal handler.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: _exit only ends the process and is async-signal-safe.
    unsafe { libc::_exit(code) }
}

/// Sets which permission bits new files do not get; returns the bits that were set before.
pub fn set_umask(bits: u32) -> u32 {
    // SAFETY: umask swaps a number and cannot fail.
    unsafe { libc::umask(bits as libc::mode_t) as u32 }
}

/// The number of a group of users, by its name or as it is.
pub fn group_id(name: &str) -> Option<u32> {
    const BYTES: usize = 16 << 10;
    let terminated = CString::new(name).ok()?;
    let mut buffer = vec![0; BYTES];
    let mut found = std::ptr::null_mut();
    // SAFETY: a group of zeros is one of null pointers and numbers.
    let mut group: libc::group = unsafe { std::mem::zeroed() };
    // SAFETY: the name ends in a zero byte, the buffer is writable for its whole length, and all of them outlive
    // the call. Nothing that `group` points to is looked at.
    let status = unsafe {
        libc::getgrnam_r(
            terminated.as_ptr(),
            &mut group,
            buffer.as_mut_ptr(),
            BYTES,
            &mut found,
        )
    };
    if status == 0 && !found.is_null() {
        return Some(group.gr_gid);
    }
    name.parse().ok()
}

/// Binds the calling thread to these processors.
pub fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: a set of zero bytes is the empty set; CPU_SET stays within it because larger numbers are refused
    // first.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &cpu in cpus {
            if cpu >= libc::CPU_SETSIZE as usize {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            libc::CPU_SET(cpu, &mut set);
        }
        match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// How ready the kernel is to kill this process when memory runs out: -1000 to 1000.
pub fn oom_score_adj() -> io::Result<i32> {
    let text = fs::read_to_string("/proc/self/oom_score_adj")?;
    text.trim()
        .parse()
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Sets how ready the kernel is to kill this process when memory runs out: -1000 to 1000.
pub fn set_oom_score_adj(score: i32) -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", format!("{score}\n"))
}

/// Names the calling thread, in at most 15 bytes; longer names are cut. The main thread's name is what `ps` and
/// `top` call the process.
pub fn set_thread_name(name: &str) {
    let short: Vec<u8> = name.bytes().filter(|&byte| byte != 0).take(15).collect();
    let short = CString::new(short).expect("zero bytes were left out");
    // SAFETY: PR_SET_NAME reads a string that lives through the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, short.as_ptr(), 0, 0, 0) };
}

/// Suspends this process until somebody continues it; upstart waits for that.
pub fn stop_own_process() {
    // SAFETY: raising a signal for ourselves touches no memory.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Whose processor time is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// All threads of this process.
    Process,
    /// The children that have ended and were waited for.
    Children,
    /// The calling thread.
    Thread,
}

/// Processor time that was used, as the kernel accounts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTimes {
    /// Time in our own code.
    pub user: Duration,
    /// Time in the kernel on our behalf.
    pub system: Duration,
}

/// The processor time used so far.
pub fn cpu_times(whose: Usage) -> CpuTimes {
    let whose = match whose {
        Usage::Process => libc::RUSAGE_SELF,
        Usage::Children => libc::RUSAGE_CHILDREN,
        Usage::Thread => libc::RUSAGE_THREAD,
    };
    // SAFETY: an rusage of zero bytes is valid (it holds integers only) and is there for the call to fill.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let failed = libc::getrusage(whose, &mut usage);
        assert_eq!(failed, 0, "the kernel accounts our processor time");
        usage
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    CpuTimes {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
    }
}

/// What the system calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemName {
    /// The kernel, such as `Linux`.
    pub system: String,
    /// Its release, such as `6.1.0`.
    pub release: String,
    /// The architecture, such as `x86_64`.
    pub machine: String,
}

/// What the system calls itself.
pub fn system_name() -> SystemName {
    // SAFETY: a utsname of zero bytes is valid (arrays of characters); the call fills every field with a string
    // that ends in a zero byte, as it was before.
    unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&mut name);
        let text = |field: &[libc::c_char]| {
            CStr::from_ptr(field.as_ptr())
                .to_string_lossy()
                .into_owned()
        };
        SystemName {
            system: text(&name.sysname),
            release: text(&name.release),
            machine: text(&name.machine),
        }
    }
}

/// Writes to whatever standard output is now, unbuffered. May be called from a signal handler.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: `rest` is readable for its whole length; a closed descriptor is only an error.
        let written = unsafe { libc::write(1, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(written) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sys::child;

    /// Only does something when the test below starts it as a process of its own.
    #[test]
    fn child_that_goes_to_the_background() {
        let Some(path) = child::scenario() else {
            return;
        };
        child::alone(|| {
            let before = std::process::id();
            daemonize().unwrap();
            let links = (0..=2).map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap());
            let null = links
                .into_iter()
                .all(|link| link == std::path::Path::new("/dev/null"));
            let stat = fs::read_to_string("/proc/self/stat").unwrap();
            let after_name = &stat[stat.rfind(')').unwrap() + 2..];
            let session: u32 = after_name.split(' ').nth(3).unwrap().parse().unwrap();
            let own_session = session == std::process::id() && session != before;
            fs::write(
                format!("{path}.new"),
                format!("null {null}, session {own_session}"),
            )
            .unwrap();
            fs::rename(format!("{path}.new"), path).unwrap();
            exit_at_once(3);
        });
    }

    #[test]
    fn the_background_has_no_terminal_and_the_starter_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("said");
        let test = "base::sys::process::tests::child_that_goes_to_the_background";
        let output = child::run(test, path.to_str().unwrap());
        assert_eq!(output.status.code(), Some(0));
        let started = std::time::Instant::now();
        while !path.exists() {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "the child says nothing"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(fs::read_to_string(path).unwrap(), "null true, session true");
    }

    #[test]
    fn random_bytes_fill_everything_and_differ() {
        let mut first = [0; 1000];
        let mut second = [0; 1000];
        random_bytes(&mut first);
        random_bytes(&mut second);
        assert_ne!(first, second);
        assert!(
            first
                .chunks(100)
                .all(|chunk| chunk.iter().any(|&byte| byte != 0))
        );
        random_bytes(&mut []);
    }

    #[test]
    fn the_files_limit_is_never_lowered() {
        let before = open_files_limit();
        assert!(raise_open_files_limit(1) == before);
        let hard = read_files_limit().rlim_max;
        assert!(raise_open_files_limit(hard) >= before);
        assert_eq!(open_files_limit(), hard);
    }

    #[test]
    fn a_process_with_threads_does_not_go_to_the_background() {
        std::thread::scope(|scope| {
            let (send, receive) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || receive.recv());
            assert!(daemonize().is_err());
            drop(send);
        });
    }

    #[test]
    fn affinity_takes_processors_that_exist() {
        std::thread::spawn(|| {
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            let allowed = status
                .split("Cpus_allowed_list:")
                .nth(1)
                .unwrap()
                .trim_start();
            let end = allowed
                .find(|character: char| !character.is_ascii_digit())
                .unwrap();
            set_affinity(&[allowed[..end].parse().unwrap()]).unwrap();
            assert!(set_affinity(&[]).is_err());
            assert!(set_affinity(&[1 << 20]).is_err());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn the_kernel_accounts_our_time_and_knows_its_name() {
        let before = cpu_times(Usage::Thread);
        let mut sum = 0u64;
        for number in 0..30_000_000u64 {
            sum = std::hint::black_box(sum ^ number);
        }
        let after = cpu_times(Usage::Thread);
        assert!(after.user + after.system > before.user + before.system);
        let process = cpu_times(Usage::Process);
        // The kernel rounds each in its own way.
        let slack = Duration::from_millis(50);
        assert!(process.user + process.system + slack >= after.user + after.system);
        assert_eq!(system_name().system, "Linux");
        assert!(!system_name().machine.is_empty());
    }

    #[test]
    fn the_score_for_memory_shortage_reads_back() {
        let score = oom_score_adj().unwrap();
        // Raising the score of oneself needs no privilege; the same score changes nothing.
        set_oom_score_adj(score).unwrap();
        assert!(set_oom_score_adj(5000).is_err());
        assert_eq!(oom_score_adj().unwrap(), score);
    }

    #[test]
    fn thread_names_are_cut_to_what_fits() {
        std::thread::spawn(|| {
            set_thread_name("a-name-that-is-too-long");
            let name = fs::read_to_string("/proc/thread-self/comm").unwrap();
            assert_eq!(name, "a-name-that-is-\n");
        })
        .join()
        .unwrap();
    }
}
