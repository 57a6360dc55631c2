//! The crash report: what a panic or a deadly signal leaves in the log before the process dies as it would have
//! without us, so that core dumps and supervisors see the true cause.
//!
//! A report is made inside a process that is already broken. It therefore says the most certain things first and
//! without allocating, then risks the stack trace, then the sections that the server adds (INFO, clients). A crash
//! inside the report ends it, and so does an alarm when it hangs on a lock; what is written by then stays. The marks
//! between its parts are those that tools know from Redis.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use super::log;
use crate::base::sys::{self, CrashSignal};

/// How long a report may take. Reading our own debug information takes the most of it.
const REPORT_SECONDS_MAX: u32 = 20;

/// From now on panics of any thread and deadly signals are reported. Gives the calling thread, the command thread,
/// a stack on which it can report that its own overflowed.
pub fn install() -> io::Result<()> {
    sys::install_alternate_stack()?;
    sys::install_crash_signals(report_signal)?;
    sys::install_alarm(report_alarm)?;
    std::panic::set_hook(Box::new(report_panic));
    Ok(())
}

/// Whether deadly signals are reported (`crash-log-enabled`).
pub fn set_signals_reported(reported: bool) -> io::Result<()> {
    if reported {
        sys::install_crash_signals(report_signal)
    } else {
        sys::remove_crash_signals()
    }
}

/// Whether a panic ends the process with code 1 instead of SIGABRT (`use-exit-on-panic`).
pub fn set_exit_on_panic(exit: bool) {
    EXIT_ON_PANIC.store(exit, Ordering::Relaxed);
}

static EXIT_ON_PANIC: AtomicBool = AtomicBool::new(false);

/// Adds a section to the report; `contents` is called in a broken process and may find anything. Titles are in
/// capitals, such as `INFO OUTPUT`. At most eight fit.
pub fn add_section(title: &'static str, contents: fn() -> String) {
    let free = SECTIONS
        .iter()
        .any(|slot| slot.set((title, contents)).is_ok());
    assert!(free, "a crash report has room for eight sections");
}

type Section = (&'static str, fn() -> String);
static SECTIONS: [OnceLock<Section>; 8] = [const { OnceLock::new() }; 8];

/// A command that this thread runs, as far as a report tells.
#[derive(Clone, Copy, Debug)]
pub struct RunningCommand {
    name: Option<&'static &'static str>,
    argc: usize,
    bytes: usize,
}

// Each cell is one word, so that a signal never finds half of one.
thread_local! {
    static NAME: Cell<Option<&'static &'static str>> = const { Cell::new(None) };
    static ARGC: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Notes that this thread begins a command: its name in the command table, how many arguments it has and how many
/// bytes they are. Returns the command around it, which `leave_command` takes back.
#[inline]
pub fn enter_command(name: &'static &'static str, argc: usize, bytes: usize) -> RunningCommand {
    RunningCommand {
        argc: ARGC.replace(argc),
        bytes: BYTES.replace(bytes),
        name: NAME.replace(Some(name)),
    }
}

/// Notes that a command ended and the one around it goes on.
#[inline]
pub fn leave_command(outer: RunningCommand) {
    NAME.set(outer.name);
    ARGC.set(outer.argc);
    BYTES.set(outer.bytes);
}

/// The thread that is making a report; 0 for none.
static REPORTING_THREAD: AtomicI32 = AtomicI32::new(0);

/// Says what is going on, to somebody who asks by SIGALRM. The stack is not shown: to walk it takes locks that the
/// interrupted thread may hold.
fn report_alarm() {
    say(format_args!("Received SIGALRM"));
    say_command();
}

fn report_signal(crash: &CrashSignal) {
    if !begin_report(crash.number) {
        return;
    }
    say(format_args!(
        "Cinnabar {} crashed by signal: {} ({}), si_code: {}",
        env!("CARGO_PKG_VERSION"),
        crash.number,
        sys::signal_name(crash.number),
        crash.code
    ));
    match crash.sender {
        Some(sender) => say(format_args!(
            "Killed by PID: {}, UID: {}",
            sender.pid, sender.uid
        )),
        None => say(format_args!("Accessing address: {:#x}", crash.address)),
    }
    if crash.instruction != 0 {
        say(format_args!(
            "Crashed running the instruction at: {:#x}",
            crash.instruction
        ));
    }
    const NEAR_STACK_BYTES: usize = 64 * 1024;
    if crash.sender.is_none() && crash.address.abs_diff(crash.stack_pointer) < NEAR_STACK_BYTES {
        say(format_args!(
            "The address lies at the end of the stack: it probably overflowed"
        ));
    }
    write_common_parts();
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    if begin_report(sys::ABORT_SIGNAL) {
        let message = panic.payload_as_str().unwrap_or("(not a text)");
        let kind = if message.starts_with("assertion") {
            "ASSERTION FAILED"
        } else {
            "PANIC"
        };
        let thread = std::thread::current();
        say(format_args!("=== {kind} ==="));
        match panic.location() {
            Some(place) => say(format_args!(
                "==> {}:{} {message}",
                place.file(),
                place.line()
            )),
            None => say(format_args!("==> {message}")),
        }
        say(format_args!(
            "Cinnabar {} stopped itself in thread '{}'",
            env!("CARGO_PKG_VERSION"),
            thread.name().unwrap_or("unnamed")
        ));
        write_common_parts();
    }
    if EXIT_ON_PANIC.load(Ordering::Relaxed) {
        sys::exit_at_once(1);
    }
    sys::die_by_signal(sys::ABORT_SIGNAL);
}

/// Whether this thread is the one to report. If the report itself is what crashed, nobody is. If another thread is
/// reporting, this one waits for the end, which is near.
fn begin_report(signal: i32) -> bool {
    let thread = sys::thread_id();
    match REPORTING_THREAD.compare_exchange(0, thread, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {
            sys::abort_after(REPORT_SECONDS_MAX, signal);
            log::write_block(
                "\n\n=== CINNABAR BUG REPORT START: Cut & paste starting from here ===\n",
            );
            true
        }
        Err(reporting) if reporting == thread => {
            say(format_args!(
                "Making the crash report crashed as well; it ends here"
            ));
            false
        }
        Err(_) => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
    }
}

fn say_command() {
    if let Some(name) = NAME.get() {
        let (argc, bytes) = (ARGC.get(), BYTES.get());
        say(format_args!(
            "Command in progress: {name}, {argc} arguments, {bytes} bytes"
        ));
    }
}

fn write_common_parts() {
    say_command();
    log::write_block("\n------ STACK TRACE ------\n");
    log::write_block(&Backtrace::force_capture().to_string());
    log::write_block("\n------ STACK TRACE DONE ------\n");
    for (title, contents) in SECTIONS.iter().filter_map(OnceLock::get) {
        log::write_block(&format!("\n------ {title} ------\n"));
        let mut contents = contents();
        if !contents.ends_with('\n') {
            contents.push('\n');
        }
        log::write_block(&contents);
    }
    log::write_block(
        "\n=== CINNABAR BUG REPORT END. Make sure to include from START to END. ===\n\n\
         A crash is a fault of the server, whatever the clients did. Please report it with the lines above;\n\
         look through them first for data that should stay with you.\n\n",
    );
}

fn say(message: fmt::Arguments<'_>) {
    log::write_emergency(message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sys::child;
    use std::hint::black_box;
    use std::os::unix::process::ExitStatusExt;

    const CHILD: &str = "server::crash::tests::child_that_crashes";

    /// Only does something when the tests below start it as a process of its own.
    #[test]
    fn child_that_crashes() {
        let Some(scenario) = child::scenario() else {
            return;
        };
        install().unwrap();
        add_section("INFO OUTPUT", || "redis_version:7.4.0\r\n".into());
        static NAMES: [&str; 2] = ["eval", "set"];
        let outer = enter_command(&NAMES[0], 3, 30);
        let inner = enter_command(&NAMES[1], 4, 40);
        leave_command(inner);
        match scenario.as_str() {
            "segv" => sys::provoke_segmentation_fault(),
            "abort" => std::process::abort(),
            "overflow" => drop(black_box(descend(1))),
            "panic" => panic!("the tables disagree"),
            "assert" => assert_eq!(black_box(1), 2, "numbers"),
            "exit" => {
                set_exit_on_panic(true);
                panic!("the tables disagree");
            }
            "thread" => drop(std::thread::spawn(|| panic!("the helper failed")).join()),
            "section" => {
                add_section("CLIENTS", || panic!("no clients"));
                sys::provoke_segmentation_fault();
            }
            "unreported" => {
                set_signals_reported(false).unwrap();
                sys::provoke_segmentation_fault();
            }
            "idle" => {
                leave_command(outer);
                panic!("idle");
            }
            other => panic!("unknown scenario {other}"),
        }
    }

    fn descend(depth: u64) -> u64 {
        let room = black_box([depth; 128]);
        if depth == 0 {
            0
        } else {
            descend(depth + 1) + room[(depth % 128) as usize]
        }
    }

    enum End {
        Signal(i32),
        Code(i32),
    }

    /// The child's output holds `expected` in this order, and it ends as it must.
    fn check(scenario: &str, end: End, expected: &[&str]) -> String {
        let output = child::run(CHILD, scenario);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match end {
            End::Signal(signal) => assert_eq!(output.status.signal(), Some(signal), "{text}"),
            End::Code(code) => assert_eq!(output.status.code(), Some(code), "{text}"),
        }
        let mut rest = text.as_str();
        for part in expected {
            let at = rest
                .find(part)
                .unwrap_or_else(|| panic!("no {part:?} in {text}"));
            rest = &rest[at + part.len()..];
        }
        text
    }

    const START: &str = "=== CINNABAR BUG REPORT START: Cut & paste starting from here ===";
    const RUNNING: &str = "Command in progress: eval, 3 arguments, 30 bytes";
    const TRACE: &str = "------ STACK TRACE ------\n";
    const TRACE_DONE: &str = "------ STACK TRACE DONE ------\n";
    const INFO: &str = "------ INFO OUTPUT ------\nredis_version:7.4.0\r\n";
    const END: &str = "=== CINNABAR BUG REPORT END. Make sure to include from START to END. ===";
    const FRAME: &str = "child_that_crashes";

    #[test]
    fn signals_are_reported_and_then_kill() {
        let rest = [RUNNING, TRACE, FRAME, TRACE_DONE, INFO, END];
        let with = |head: &[&'static str]| [&[START], head, &rest].concat();
        check(
            "segv",
            End::Signal(11),
            &with(&["crashed by signal: 11 (SIGSEGV)", "address: 0x"]),
        );
        check(
            "abort",
            End::Signal(6),
            &with(&["crashed by signal: 6 (SIGABRT)", "Killed by PID: "]),
        );
        check("unreported", End::Signal(11), &[]);
    }

    #[test]
    fn a_stack_that_overflowed_is_named() {
        let parts = [
            START,
            "crashed by signal: 11",
            "it probably overflowed",
            TRACE,
            "descend",
        ];
        check("overflow", End::Signal(11), &parts);
    }

    #[test]
    fn panics_are_reported_once() {
        let rest = [RUNNING, TRACE, FRAME, TRACE_DONE, INFO, END];
        let with = |head: &[&'static str]| [&[START], head, &rest].concat();
        let panic = with(&["=== PANIC ===", "crash.rs:", " the tables disagree"]);
        let text = check("panic", End::Signal(6), &panic);
        assert_eq!(text.matches("STACK TRACE -").count(), 1);
        check("exit", End::Code(1), &panic);
        check(
            "assert",
            End::Signal(6),
            &with(&["=== ASSERTION FAILED ===", "numbers"]),
        );
    }

    #[test]
    fn a_panic_of_any_thread_ends_the_process() {
        let text = check(
            "thread",
            End::Signal(6),
            &[START, "the helper failed", TRACE, END],
        );
        assert!(
            !text.contains("Command in progress"),
            "the command ran elsewhere: {text}"
        );
        let text = check("idle", End::Signal(6), &[START, TRACE, END]);
        assert!(!text.contains("Command in progress"), "{text}");
    }

    #[test]
    fn a_crash_inside_the_report_ends_it() {
        let text = check(
            "section",
            End::Signal(6),
            &[START, INFO, "CLIENTS", "crashed as well"],
        );
        assert_eq!(text.matches("BUG REPORT START").count(), 1);
    }
}
