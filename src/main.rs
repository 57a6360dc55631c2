//! The program: arguments, configuration, the process around the server, and the wiring of its layers.

use cinnabar::base::{clock, hash, rng::Rng, sys};
use cinnabar::commands;
use cinnabar::net::EventLoop;
use cinnabar::script::functions;
use cinnabar::server::aof;
use cinnabar::server::apply::{log_form, log_level};
use cinnabar::server::args::{self, Invocation, Start};
use cinnabar::server::check_aof;
use cinnabar::server::check_rdb;
use cinnabar::server::config::{self, Config, Fault, Loaded, Loader, Origin};
use cinnabar::server::loading;
use cinnabar::server::log::{self, LogSettings, SyslogSettings};
use cinnabar::server::state::{Server, Shutdown};
use cinnabar::server::supervise::{self, PidFile, Supervision, Supervisor};
use cinnabar::server::{crash, info};
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tracing::{error, info, warn};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    // Read once: the arguments' memory then belongs to the process title.
    let given: Vec<OsString> = std::env::args_os().collect();
    let title = sys::claim_title_area();
    match args::parse(given.clone()) {
        Invocation::Inform(text) => {
            println!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Invocation::Refuse(text) => {
            eprintln!("{}", text.trim_end());
            ExitCode::FAILURE
        }
        Invocation::CheckRdb(path) => match check_rdb::run(&path) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(e) => {
                eprintln!("Can't check {}: {e}", path.display());
                ExitCode::FAILURE
            }
        },
        Invocation::CheckAof(request) => match check_aof::run(&request) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(e) => {
                eprintln!("Can't check {}: {e}", request.path.display());
                ExitCode::FAILURE
            }
        },
        Invocation::Run(start) if start.check_only => check(load(&start)),
        Invocation::Run(start) => match load(&start) {
            Ok((config, loaded)) => {
                if let Err(e) = title {
                    eprintln!("The process title can't be set: {e}");
                }
                run(&given, &start, config, loaded)
            }
            Err(faults) => {
                eprint!("{}", faults[0].fatal_text(VERSION));
                ExitCode::FAILURE
            }
        },
    }
}

/// Reads the configuration from all the places that the command line names.
fn load(start: &Start) -> Result<(Config, Loaded), Vec<Fault>> {
    let mut loader = Loader::new().commands(commands::exists);
    if let Some(path) = &start.config_file {
        loader = loader.file(path);
    }
    if start.config_from_stdin {
        let mut text = Vec::new();
        // What could be read counts; an error here is the end of the input.
        let _ = std::io::stdin().read_to_end(&mut text);
        loader = loader.text(Origin::StandardInput, &text);
    }
    if !start.directives.is_empty() {
        loader = loader.text(Origin::CommandLine, &start.directives.join(&b'\n'));
    }
    let (config, loaded) = loader.finish()?;
    match config::missed(&config) {
        faults if faults.is_empty() => Ok((config, loaded)),
        faults => Err(faults),
    }
}

/// `--check-config`: says all that is wrong, and starts nothing.
fn check(loaded: Result<(Config, Loaded), Vec<Fault>>) -> ExitCode {
    match loaded {
        Ok((_, loaded)) => {
            loaded
                .warnings
                .iter()
                .for_each(|w| eprintln!("warning: {w}"));
            println!("The configuration is good.");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("{fault}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the server with a good configuration, to its end.
fn run(given: &[OsString], start: &Start, config: Config, loaded: Loaded) -> ExitCode {
    // A restart runs the same command line in the same place.
    let (executable, origin) = (std::env::current_exe(), std::env::current_dir());
    let supervisor = Supervisor::detect(supervision(&config));
    if config.daemonize
        && !supervisor.is_supervised()
        && let Err(e) = sys::daemonize()
    {
        eprintln!("Can't run in the background: {e}");
        return ExitCode::FAILURE;
    }
    if let Err(e) = log::init(log_settings(&config)) {
        eprintln!("Can't open log file: {e}");
        return ExitCode::FAILURE;
    }
    supervisor.announce();
    if let Err(e) = crash::install() {
        warn!("Crashes will go unreported: {e}");
    }
    clock::calibrate();
    announce(start, &loaded);
    let pid_file = pid_file(&config);
    supervisor.stop_for_upstart();
    match serve(given, config, loaded, supervisor) {
        Ok(Shutdown::Exit) => {
            remove(pid_file);
            warn!("Cinnabar is now ready to exit, bye bye...");
            ExitCode::SUCCESS
        }
        Ok(Shutdown::Restart) => {
            remove(pid_file);
            restart(given, executable, origin)
        }
        Ok(Shutdown::NothingLoaded) => {
            remove(pid_file);
            warn!("Fatal error loading the DB, check server logs. Exiting.");
            ExitCode::FAILURE
        }
        Err(reason) => {
            warn!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The first lines of the log.
fn announce(start: &Start, loaded: &Loaded) {
    info!("oO0OoO0OoO0Oo Cinnabar is starting oO0OoO0OoO0Oo");
    info!(
        "Cinnabar version={VERSION}, bits=64, commit={}, modified={}, pid={}, just started",
        args::GIT_SHA,
        args::GIT_DIRTY,
        std::process::id()
    );
    loaded.warnings.iter().for_each(|w| warn!("{w}"));
    if start.config_file.is_none() && !start.config_from_stdin && start.directives.is_empty() {
        warn!(
            "Warning: no config file specified, using the default config. In order to specify a config file use \
             cinnabar /path/to/redis.conf"
        );
    } else {
        info!("Configuration loaded");
    }
}

/// Builds the server, serves, and says how that ended.
fn serve(
    given: &[OsString],
    mut config: Config,
    loaded: Loaded,
    supervisor: Supervisor,
) -> Result<Shutdown, String> {
    std::env::set_current_dir(config.dir.as_path())
        .map_err(|e| format!("Can't chdir to '{}': {e}", config.dir.to_text()))?;
    prepare_process(&mut config);
    let mut server = Server::new(config, commands::FAMILIES, hash::process(), Rng::from_os());
    server.functions.load = Some(functions::load);
    server.config_file = loaded.file;
    server.name = given
        .first()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    server.supervisor = supervisor;
    server.apply_start_up_config()?;
    crash::add_section("INFO OUTPUT", info::last_text);
    let mut event_loop = EventLoop::new(server)?;
    watch_signals(&mut event_loop).map_err(|e| format!("Can't handle signals: {e}"))?;
    let server = event_loop.server_mut();
    show_logo(&server.config);
    warn!("Server initialized");
    aof::load::read_manifest(server)?;
    if loading::begin_at_start(server).is_err() {
        return Ok(Shutdown::NothingLoaded);
    }
    let ended = event_loop.run();
    event_loop.server_mut().keyspace.abandon();
    Ok(ended)
}

/// Limits and habits of the process that the configuration wants otherwise.
fn prepare_process(config: &mut Config) {
    // What we open beside clients: log, listeners, poll, files of persistence.
    const RESERVED: u64 = 32;
    let wanted = u64::from(config.maxclients) + RESERVED;
    let got = sys::raise_open_files_limit(wanted);
    if got < wanted {
        let fits = got.saturating_sub(RESERVED).max(1) as u32;
        warn!(
            "You requested maxclients of {} requiring at least {wanted} max file descriptors.",
            config.maxclients
        );
        warn!(
            "Current maximum open files is {got}. maxclients has been reduced to {fits} to compensate for low ulimit. \
             If you need higher maxclients increase 'ulimit -n'."
        );
        config.maxclients = fits;
    }
    warn_of_kernel_settings(config);
    if config.disable_thp
        && let Err(e) = sys::disable_huge_pages()
    {
        warn!("Huge pages stay on: {e}");
    }
    if !config.server_cpulist.is_empty() {
        match supervise::parse_cpu_list(&config.server_cpulist.to_text()) {
            Some(cpus) => {
                drop(sys::set_affinity(&cpus).inspect_err(|e| warn!("server-cpulist: {e}")))
            }
            None => warn!("server-cpulist is no list of processors"),
        }
    }
    crash::set_exit_on_panic(config.use_exit_on_panic);
    if !config.crash_log_enabled
        && let Err(e) = crash::set_signals_reported(false)
    {
        warn!("Crashes will be reported: {e}");
    }
}

/// Settings of the kernel that will be felt one day.
fn warn_of_kernel_settings(config: &Config) {
    let setting = |name: &str| {
        let text = std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
        text.trim().parse::<u32>().ok()
    };
    if setting("vm/overcommit_memory") == Some(0) {
        warn!(
            "WARNING Memory overcommit must be enabled! Otherwise the system may refuse the child process that writes \
             a snapshot when memory is short. Put 'vm.overcommit_memory = 1' into /etc/sysctl.conf, and run 'sysctl \
             vm.overcommit_memory=1' for now."
        );
    }
    if let Some(backlog_max) = setting("net/core/somaxconn")
        && config.port != 0
        && backlog_max < config.tcp_backlog
    {
        warn!(
            "WARNING: The TCP backlog will not be {} but {backlog_max}, which is all that \
             /proc/sys/net/core/somaxconn allows.",
            config.tcp_backlog
        );
    }
}

/// Has signals wake the event loop.
fn watch_signals(event_loop: &mut EventLoop) -> std::io::Result<()> {
    let (sender, receiver) = mio::unix::pipe::new()?;
    supervise::install_signals(sender.into())?;
    event_loop.watch_signals(receiver)
}

/// A small banner, for people and for tools that look for the process id in it.
fn show_logo(config: &Config) {
    if config.always_show_logo {
        log::write_block(&format!(
            "\n        .--.\n     .-'    '-.      Cinnabar {VERSION} 64 bit\n    /   .--.   \\\n    \\   '--'   /     \
             Running in standalone mode\n     '-.    .-'      Port: {}\n        '--'         PID: {}\n\n",
            config.port,
            std::process::id()
        ));
    } else {
        info!("Running mode=standalone, port={}.", config.port);
    }
}

fn log_settings(config: &Config) -> LogSettings {
    LogSettings {
        level: log_level(config.loglevel),
        file: (!config.logfile.is_empty()).then(|| config.logfile.as_path().to_path_buf()),
        form: log_form(config),
        syslog: config.syslog_enabled.then(|| SyslogSettings {
            ident: config.syslog_ident.to_text(),
            facility: log::syslog_facility(config::Choice::name(config.syslog_facility))
                .unwrap_or(16),
        }),
    }
}

fn supervision(config: &Config) -> Supervision {
    match config.supervised {
        config::Supervised::No => Supervision::No,
        config::Supervised::Upstart => Supervision::Upstart,
        config::Supervised::Systemd => Supervision::Systemd,
        config::Supervised::Auto => Supervision::Auto,
    }
}

fn pid_file(config: &Config) -> Option<PidFile> {
    let path = if !config.pidfile.is_empty() {
        config.pidfile.as_path()
    } else if config.daemonize {
        Path::new(supervise::DEFAULT_PID_FILE)
    } else {
        return None;
    };
    PidFile::create(path)
}

fn remove(pid_file: Option<PidFile>) {
    if let Some(file) = pid_file {
        file.remove();
    }
}

/// Becomes a new process with the same arguments.
fn restart(
    given: &[OsString],
    executable: std::io::Result<PathBuf>,
    origin: std::io::Result<PathBuf>,
) -> ExitCode {
    let restarted = executable.and_then(|program| {
        std::env::set_current_dir(origin?)?;
        Err::<(), _>(Command::new(program).args(&given[1..]).exec())
    });
    if let Err(e) = restarted {
        error!("Can't restart: {e}");
    }
    ExitCode::FAILURE
}
