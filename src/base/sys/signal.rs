//! Signals: requests to stop become a flag and a byte in a pipe, crashes become a report and then the death that
//! the signal stands for. Handlers do nothing here that is not async-signal-safe; the crash report is the
//! exception, and `abort_after` bounds what that can cost.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use super::memory::{map_pages, page_size};
use super::process::exit_at_once;

/// A request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor or an operator wants us to end.
    Terminate,
}

impl StopSignal {
    fn number(self) -> c_int {
        match self {
            StopSignal::Interrupt => libc::SIGINT,
            StopSignal::Terminate => libc::SIGTERM,
        }
    }
}

/// The last request to stop that nobody cleared, as the signal's number; 0 for none.
static STOP_REQUESTED: AtomicI32 = AtomicI32::new(0);

/// Where a request to stop writes a byte; -1 before handlers are installed. Never closed.
static WAKE_FD: AtomicI32 = AtomicI32::new(-1);

/// Called before a second SIGINT ends the process.
static ON_INSIST: OnceLock<fn()> = OnceLock::new();

/// From now on SIGTERM and SIGINT are remembered for `stop_signal` and write a byte to `wake`, the write end of
/// a pipe that the poll loop watches. A SIGINT that finds a request pending calls `on_insist`, which must be
/// async-signal-safe, and ends the process with code 1.
pub fn install_stop_signals(wake: OwnedFd, on_insist: fn()) -> io::Result<()> {
    let wake = wake.into_raw_fd();
    // SAFETY: the descriptor is ours and open; a full pipe must not block the handler.
    if unsafe { libc::fcntl(wake, libc::F_SETFL, libc::O_NONBLOCK) } == -1 {
        return Err(io::Error::last_os_error());
    }
    WAKE_FD.store(wake, Ordering::SeqCst);
    let _ = ON_INSIST.set(on_insist);
    for signal in [StopSignal::Interrupt, StopSignal::Terminate] {
        set_action(signal.number(), on_stop_signal as *const () as usize, 0)?;
    }
    Ok(())
}

/// The request to stop that is pending, if any.
#[inline]
pub fn stop_signal() -> Option<StopSignal> {
    match STOP_REQUESTED.load(Ordering::Relaxed) {
        libc::SIGINT => Some(StopSignal::Interrupt),
        libc::SIGTERM => Some(StopSignal::Terminate),
        _ => None,
    }
}

/// Forgets the request to stop, when a shutdown was called off.
pub fn clear_stop_signal() {
    STOP_REQUESTED.store(0, Ordering::Relaxed);
}

/// In a child: requests to stop, which a terminal or a supervisor sends to parent and child alike, are the parent's
/// to act upon, and what ends a child by [`super::DISMISSAL_SIGNAL`] is not caught.
pub(super) fn leave_stop_signals_to_parent() {
    for signal in [StopSignal::Interrupt, StopSignal::Terminate] {
        let _ = set_action(signal.number(), libc::SIG_IGN, 0);
    }
    let _ = set_action(super::DISMISSAL_SIGNAL, libc::SIG_DFL, 0);
}

extern "C" fn on_stop_signal(signal: c_int) {
    let pending = STOP_REQUESTED.swap(signal, Ordering::SeqCst);
    if pending != 0 && signal == libc::SIGINT {
        if let Some(on_insist) = ON_INSIST.get() {
            on_insist();
        }
        exit_at_once(1);
    }
    let fd: RawFd = WAKE_FD.load(Ordering::SeqCst);
    // SAFETY: errno is the thread's own and is put back, since the code that was interrupted may be about to read
    // it; the descriptor stays open for ever. A failed write means a full pipe, which wakes the reader as well.
    unsafe {
        let errno = libc::__errno_location();
        let interrupted = *errno;
        libc::write(fd, [b'!'].as_ptr().cast(), 1);
        *errno = interrupted;
    }
}

/// SIGHUP, SIGPIPE and SIGXFSZ do nothing to us: a closed terminal is no reason to stop, and a closed peer or a
/// file that may not grow is an error of the write that met it.
pub fn ignore_harmless_signals() -> io::Result<()> {
    for signal in [libc::SIGHUP, libc::SIGPIPE, libc::SIGXFSZ] {
        set_action(signal, libc::SIG_IGN, 0)?;
    }
    Ok(())
}

/// A signal that means the program cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashSignal {
    /// The signal's number.
    pub number: i32,
    /// What the kernel says about its cause (`si_code`).
    pub code: i32,
    /// The address that could not be accessed, or that of the instruction; 0 if a process sent the signal.
    pub address: usize,
    /// Who sent it, if a process did.
    pub sender: Option<Sender>,
    /// The instruction that was interrupted; 0 where we cannot tell.
    pub instruction: usize,
    /// The stack pointer there; 0 where we cannot tell.
    pub stack_pointer: usize,
}

/// A process that sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its process id.
    pub pid: i32,
    /// The user it runs as.
    pub uid: u32,
}

const CRASH_SIGNALS: [c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
];

/// The signal by which a process ends itself that found itself broken (SIGABRT).
pub const ABORT_SIGNAL: i32 = libc::SIGABRT;

/// The report to make of a crash.
static REPORT: OnceLock<fn(&CrashSignal)> = OnceLock::new();

/// From now on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT call `report`, on the alternate stack of the thread if
/// it has one, and then take their course, so that core dumps are written as ever. A crash inside the report
/// calls it again.
pub fn install_crash_signals(report: fn(&CrashSignal)) -> io::Result<()> {
    let _ = REPORT.set(report);
    // Without SA_NODEFER, a crash inside the report would end the process before that could be said.
    let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    for signal in CRASH_SIGNALS {
        set_action(signal, on_crash_signal as *const () as usize, flags)?;
    }
    Ok(())
}

/// Crash signals end the process without a report from now on.
pub fn remove_crash_signals() -> io::Result<()> {
    for signal in CRASH_SIGNALS {
        set_action(signal, libc::SIG_DFL, 0)?;
    }
    Ok(())
}

/// Room for a report on a thread whose own stack may be what overflowed. The memory is never given back.
pub fn install_alternate_stack() -> io::Result<()> {
    const STACK_BYTES: usize = 512 * 1024;
    let guard = page_size();
    let start = map_pages(guard + STACK_BYTES, guard)?;
    // SAFETY: the pages are fresh and become the thread's alternate stack for good; the lowest one is made
    // inaccessible, so that a report that needs more than there is faults instead of writing over others.
    unsafe {
        libc::mprotect(start.as_ptr().cast(), guard, libc::PROT_NONE);
        let stack = libc::stack_t {
            ss_sp: start.add(guard).as_ptr().cast(),
            ss_flags: 0,
            ss_size: STACK_BYTES,
        };
        match libc::sigaltstack(&stack, ptr::null_mut()) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

extern "C" fn on_crash_signal(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::ucontext_t,
) {
    // SAFETY: the kernel passes both pointers valid, because of SA_SIGINFO.
    let crash = unsafe { describe_crash(signal, &*info, context.as_ref()) };
    if let Some(report) = REPORT.get() {
        report(&crash);
    }
    die_by_signal(signal);
}

/// # Safety
/// `info` and `context` are those of a handler that runs now.
unsafe fn describe_crash(
    signal: c_int,
    info: &libc::siginfo_t,
    context: Option<&libc::ucontext_t>,
) -> CrashSignal {
    // Codes above zero are the kernel's; the others mean that a process sent the signal.
    let sent = info.si_code <= 0;
    // SAFETY: which of the fields are valid depends on the code, as above.
    let (address, sender) = unsafe {
        if sent {
            (
                0,
                Some(Sender {
                    pid: info.si_pid(),
                    uid: info.si_uid(),
                }),
            )
        } else {
            (info.si_addr().addr(), None)
        }
    };
    let (instruction, stack_pointer) = context.map_or((0, 0), interrupted_at);
    CrashSignal {
        number: signal,
        code: info.si_code,
        address,
        sender,
        instruction,
        stack_pointer,
    }
}

#[cfg(target_arch = "x86_64")]
fn interrupted_at(context: &libc::ucontext_t) -> (usize, usize) {
    let registers = &context.uc_mcontext.gregs;
    (
        registers[libc::REG_RIP as usize] as usize,
        registers[libc::REG_RSP as usize] as usize,
    )
}

#[cfg(target_arch = "aarch64")]
fn interrupted_at(context: &libc::ucontext_t) -> (usize, usize) {
    (
        context.uc_mcontext.pc as usize,
        context.uc_mcontext.sp as usize,
    )
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn interrupted_at(_context: &libc::ucontext_t) -> (usize, usize) {
    (0, 0)
}

/// Ends the process as the signal does by default, with a core dump where that is allowed.
pub fn die_by_signal(signal: i32) -> ! {
    let _ = set_action(signal, libc::SIG_DFL, 0);
    // SAFETY: the set is on our stack and made empty before use; unblocking one signal and raising it touches no
    // other memory.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
        libc::raise(signal);
    }
    exit_at_once(128 + signal)
}

/// The signal by which a report that hangs ends.
static HANGING_REPORT_SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Unless the process ends within so many seconds, it dies by `signal`. A report made inside a broken process
/// may wait for a lock that nobody will release.
pub fn abort_after(seconds: u32, signal: i32) {
    extern "C" fn on_alarm(_signal: c_int) {
        die_by_signal(HANGING_REPORT_SIGNAL.load(Ordering::SeqCst));
    }
    HANGING_REPORT_SIGNAL.store(signal, Ordering::SeqCst);
    let _ = set_action(
        libc::SIGALRM,
        on_alarm as *const () as usize,
        libc::SA_ONSTACK,
    );
    // SAFETY: alarm takes a number; its handler is in place. The signal may be blocked in this thread only if
    // somebody blocked it, which we never do.
    unsafe { libc::alarm(seconds) };
}

/// Reads where nothing may be read, for those who want to see what a crash looks like.
pub fn provoke_segmentation_fault() {
    if let Ok(page) = map_pages(page_size(), 1) {
        // SAFETY: the page is ours alone. Reading it after it was made inaccessible faults, which is the purpose;
        // the read is volatile, so that it is not left out.
        unsafe {
            libc::mprotect(page.as_ptr().cast(), page_size(), libc::PROT_NONE);
            page.as_ptr().read_volatile();
        }
    }
}

/// The number by which the kernel knows the calling thread; never 0.
pub fn thread_id() -> i32 {
    // SAFETY: gettid takes nothing and returns a number.
    unsafe { libc::gettid() }
}

/// The name of a crash signal.
pub fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        _ => "unknown signal",
    }
}

fn set_action(signal: c_int, handler: usize, flags: c_int) -> io::Result<()> {
    // SAFETY: an action of zero bytes is valid; every handler passed by this file has the signature that its
    // flags call for, or is one of the constants SIG_IGN and SIG_DFL.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags | libc::SA_RESTART;
        libc::sigemptyset(&mut action.sa_mask);
        match libc::sigaction(signal, &action, ptr::null_mut::<libc::sigaction>()) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sys::child;
    use std::io::Read;

    const CHILD: &str = "base::sys::signal::tests::child_that_is_signalled";

    fn raise(signal: c_int) {
        // SAFETY: raising a signal for ourselves touches no memory.
        unsafe { libc::raise(signal) };
    }

    /// Only does something when the tests below start it as a process of its own.
    #[test]
    fn child_that_is_signalled() {
        let Some(scenario) = child::scenario() else {
            return;
        };
        let (mut woken, wake) = std::io::pipe().unwrap();
        install_stop_signals(wake.into(), || println!("insisted")).unwrap();
        ignore_harmless_signals().unwrap();
        for signal in scenario.split(' ') {
            let number = match signal {
                "INT" => libc::SIGINT,
                "TERM" => libc::SIGTERM,
                "HUP" => libc::SIGHUP,
                "PIPE" => libc::SIGPIPE,
                "clear" => {
                    clear_stop_signal();
                    continue;
                }
                other => panic!("unknown step {other}"),
            };
            raise(number);
            if stop_signal().is_some() {
                woken.read_exact(&mut [0]).unwrap();
            }
        }
        println!("pending {:?}", stop_signal());
        exit_at_once(7);
    }

    fn check(scenario: &str, expected_code: i32, expected_output: &str) {
        let output = child::run(CHILD, scenario);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(expected_code),
            "{scenario}: {text}"
        );
        assert!(text.contains(expected_output), "{scenario}: {text}");
    }

    #[test]
    fn requests_to_stop_are_remembered_and_wake_the_loop() {
        check("HUP PIPE", 7, "pending None");
        check("TERM", 7, "pending Some(Terminate)");
        check("INT", 7, "pending Some(Interrupt)");
        check("INT TERM", 7, "pending Some(Terminate)");
        check("INT clear", 7, "pending None");
        check("INT clear INT", 7, "pending Some(Interrupt)");
    }

    #[test]
    fn a_second_interrupt_insists() {
        check("INT INT", 1, "insisted");
        check("TERM INT", 1, "insisted");
    }
}
