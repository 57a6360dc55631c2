//! The process title: what `ps` shows as our command line.
//!
//! Linux shows the memory in which it laid down the arguments when the program started, so a new title is
//! written over them. The environment lies right behind:
//!
//! ```text
//! arg_start              arg_end = env_start                env_end
//! | argv[0] 0 argv[1] 0 ... 0 | NAME=value 0 NAME=value 0 ... 0 |
//! ```
//!
//! Its variables are moved to the heap first, so that the title may take their room too. When the byte before
//! `arg_end` is not zero, the kernel shows everything up to the first zero byte.

#![allow(unsafe_code)]

use std::io;
use std::ptr;
use std::sync::Mutex;

use super::process::thread_count;

/// The memory that holds the title. `None` until it is claimed, and for ever if it could not be.
static AREA: Mutex<Option<Area>> = Mutex::new(None);

struct Area {
    start: usize,
    len: usize,
}

/// Makes the memory of the arguments and the environment ours to write the title to. To be called once at start,
/// by the only thread, after the arguments were read for the last time: `std::env::args` returns parts of the
/// title from now on. The environment stays as it is for its readers.
pub fn claim_title_area() -> io::Result<()> {
    if thread_count() != 1 {
        return Err(io::Error::other(
            "the title is claimed before there are threads",
        ));
    }
    let area = find_area().ok_or(io::ErrorKind::Unsupported)?;
    for (name, value) in std::env::vars_os() {
        if name.as_encoded_bytes().contains(&b'=') {
            continue;
        }
        // SAFETY: there is one thread, so nobody reads the environment while it changes. Setting a variable to
        // its own value makes the C library hold it in memory of its own.
        unsafe { std::env::set_var(name, value) };
    }
    *AREA.lock().expect("no title was being set") = Some(area);
    Ok(())
}

/// Sets the title, cut to the room there is. Does nothing when the room could not be claimed.
pub fn set_process_title(title: &[u8]) {
    let area = AREA.lock().expect("setting a title does not panic");
    let Some(area) = &*area else { return };
    let shown = &title[..title.len().min(area.len - 1)];
    let start = ptr::with_exposed_provenance_mut::<u8>(area.start);
    // SAFETY: the kernel mapped this memory writable for the life of the process and reported its bounds; the
    // lock makes us its only writer. Its readers were sent elsewhere when it was claimed; should one come back
    // for an argument it finds a string that ends, because the last byte stays zero.
    unsafe {
        ptr::copy_nonoverlapping(shown.as_ptr(), start, shown.len());
        ptr::write_bytes(start.add(shown.len()), 0, area.len - shown.len());
    }
}

/// The bounds as the kernel knows them: fields 48 to 51 of the process's `stat` line, counted from 1.
fn find_area() -> Option<Area> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    area_of_stat(&stat)
}

fn area_of_stat(stat: &str) -> Option<Area> {
    // The second field, the name, stands in parentheses and may hold spaces and parentheses itself.
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut bounds = after_name
        .split_ascii_whitespace()
        .skip(48 - 3)
        .map(str::parse::<usize>);
    let arg_start = bounds.next()?.ok()?;
    let arg_end = bounds.next()?.ok()?;
    let env_start = bounds.next()?.ok()?;
    let env_end = bounds.next()?.ok()?;
    // A kernel that will not tell says zero.
    if arg_start == 0 || arg_end <= arg_start {
        return None;
    }
    let end = if env_start == arg_end && env_end > env_start {
        env_end
    } else {
        arg_end
    };
    Some(Area {
        start: arg_start,
        len: end - arg_start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sys::child;

    /// Only does something when the test below starts it as a process of its own.
    #[test]
    fn child_that_is_renamed() {
        let Some(title) = child::scenario() else {
            return;
        };
        child::alone(|| {
            claim_title_area().unwrap();
            set_process_title(b"a title that was set before");
            set_process_title(title.as_bytes());
            let shown = std::fs::read("/proc/self/cmdline").unwrap();
            let end = shown
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(shown.len());
            println!("shown {}", String::from_utf8_lossy(&shown[..end]));
            println!("environment {}", child::scenario().unwrap());
        });
    }

    fn check_title(title: &str) {
        let output = child::run("base::sys::title::tests::child_that_is_renamed", title);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains(&format!("shown {title}\n")), "{text}");
        assert!(text.contains(&format!("environment {title}\n")), "{text}");
    }

    #[test]
    fn the_title_is_what_others_see_and_the_environment_stays() {
        check_title("short");
        // Longer than the arguments, so that it takes the room of the environment.
        check_title(&"long ".repeat(60));
    }

    fn check(bounds: &str, expected: Option<(usize, usize)>) {
        let fields = vec!["0"; 44].join(" ");
        let stat = format!("1 (a ) (b) S {fields} {bounds} 0\n");
        let found = area_of_stat(&stat).map(|area| (area.start, area.len));
        assert_eq!(found, expected, "{bounds}");
    }

    #[test]
    fn bounds_are_taken_from_the_stat_line() {
        check("100 120 120 200", Some((100, 100)));
        check("100 120 130 200", Some((100, 20)));
        check("0 0 0 0", None);
        check("100", None);
        check("100 120 120 x", None);
    }

    #[test]
    fn the_kernel_reports_where_our_arguments_are() {
        let area = find_area().unwrap();
        let length: usize = std::env::args_os().map(|arg| arg.len() + 1).sum();
        assert!(area.len >= length);
    }
}
