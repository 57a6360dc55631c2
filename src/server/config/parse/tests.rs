//! Faults and values of configurations that are read from text and from files.

use super::*;
use proptest::prelude::*;

/// Reads a text and compares either what CONFIG GET reports, or the faults as `line: reason`.
fn check(text: &str, expected: Result<&[(&str, &str)], &[&str]>) {
    let loaded = Loader::new()
        .text(Origin::StandardInput, text.as_bytes())
        .finish();
    match (loaded, expected) {
        (Ok((config, _)), Ok(values)) => {
            for (name, value) in values {
                let found = config.get(&[name.as_bytes()]);
                let reported = found[0].1.escape_ascii().to_string();
                assert_eq!(reported, *value, "{name} after {text:?}");
            }
        }
        (Err(faults), Err(reasons)) => assert_eq!(described(&faults), reasons, "{text:?}"),
        (loaded, _) => panic!("{text:?}: {loaded:?}"),
    }
}

fn described(faults: &[Fault]) -> Vec<String> {
    faults
        .iter()
        .map(|fault| match &fault.place {
            Some(place) => format!("{}: {}", place.number, fault.reason),
            None => fault.reason.clone(),
        })
        .collect()
}

#[test]
fn lines_set_parameters() {
    check("", Ok(&[("port", "6379")]));
    check("# port 1\n\n \t\r\n", Ok(&[("port", "6379")]));
    check("port 7000", Ok(&[("port", "7000")]));
    check("  PORT \t7000 \r\nport 7001\n", Ok(&[("port", "7001")]));
    check(
        "requirepass \"a \\x62\\t\\\"\"",
        Ok(&[("requirepass", "a b\\t\\\"")]),
    );
    check("requirepass 'a b'", Ok(&[("requirepass", "a b")]));
    check("logfile ''", Ok(&[("logfile", "")]));
    check("slaveof localhost 1", Ok(&[("replicaof", "localhost 1")]));
    check("requirepass a#b", Ok(&[("requirepass", "a#b")]));
}

#[test]
fn lists_come_as_arguments_or_as_one() {
    check("bind 127.0.0.1 -::1", Ok(&[("bind", "127.0.0.1 -::1")]));
    check("bind \"127.0.0.1 -::1\"", Ok(&[("bind", "127.0.0.1 -::1")]));
    check("bind \"\"", Ok(&[("bind", "")]));
    check("bind", Ok(&[("bind", "")]));
    let expected = [("shutdown-on-sigterm", "nosave force")];
    check("shutdown-on-sigterm \"force  nosave\"", Ok(&expected));
    let reason = "1: Unbalanced quotes in configuration line";
    check("bind \"'x\"", Err(&[reason]));
}

#[test]
fn save_lines_add_up_after_the_first_cleared_the_defaults() {
    let save = |value| [("save", value)];
    check("port 1", Ok(&save("3600 1 300 100 60 10000")));
    check("save 900 1", Ok(&save("900 1")));
    check("save 900 1\nsave 60 5 10 7", Ok(&save("900 1 60 5 10 7")));
    check("save \"900 1\"\nsave 60 5", Ok(&save("900 1 60 5")));
    check("save 900 1\nsave \"\"", Ok(&save("")));
    check("save ''\nsave 900 1", Ok(&save("900 1")));
    check("save", Ok(&save("")));
}

#[test]
fn faults_are_told_with_their_lines_and_all_of_them() {
    check("port", Err(&["1: wrong number of arguments"]));
    check("port 1 2", Err(&["1: wrong number of arguments"]));
    check("port 1 # x", Err(&["1: wrong number of arguments"]));
    let unknown = "1: Bad directive or wrong number of arguments";
    for line in [
        "nosuch 1",
        "include",
        "include a b",
        "rename-command get",
        "user",
        "loadmodule",
        "lua-replicate-commands",
        "sentinel",
    ] {
        check(line, Err(&[unknown]));
    }
    check(
        "port \"1",
        Err(&["1: Unbalanced quotes in configuration line"]),
    );
    check(
        "sentinel x",
        Err(&["1: sentinel directive while not in sentinel mode"]),
    );
    check("a.b", Err(&["1: Module config specified without value"]));
    check(
        "\na.b 1",
        Err(&["2: Module configuration without a loadmodule directive"]),
    );
    check(
        "dir /no/such/directory",
        Err(&["1: No such file or directory"]),
    );
    check(
        "cluster-enabled yes\nreplicaof a 1",
        Err(&["replicaof directive not allowed in cluster mode"]),
    );
    check(
        "port x\nport 1\n\nmaxmemory 1z\nnosuch",
        Err(&[
            "1: argument couldn't be parsed into an integer",
            "4: argument must be a memory value",
            "5: Bad directive or wrong number of arguments",
        ]),
    );
}

#[test]
fn directives_that_are_not_parameters() {
    let text = "user alice on >pw ~*\nloadmodule /m.so a b\nm.x 1\nrename-command FLUSHALL ''\n\
                lua-replicate-commands yes\nlist-max-ziplist-entries 1\n";
    let (config, _) = Loader::new()
        .text(Origin::CommandLine, text.as_bytes())
        .finish()
        .unwrap();
    let texts = |all: &[&str]| all.iter().map(|t| Text::from(*t)).collect::<Vec<_>>();
    assert_eq!(config.users, [texts(&["alice", "on", ">pw", "~*"])]);
    assert_eq!(config.modules, [texts(&["/m.so", "a", "b"])]);
    let renamed = RenamedCommand {
        from: "FLUSHALL".into(),
        to: "".into(),
    };
    assert_eq!(config.renamed_commands, [renamed]);
}

#[test]
fn renames_are_checked_against_the_commands() {
    fn check(text: &str, expected: &[&str]) {
        let known = |name: &[u8]| {
            [&b"get"[..], b"set"]
                .iter()
                .any(|k| k.eq_ignore_ascii_case(name))
        };
        let loader = Loader::new()
            .commands(known)
            .text(Origin::CommandLine, text.as_bytes());
        let faults = loader.finish().err().unwrap_or_default();
        assert_eq!(described(&faults), expected, "{text:?}");
    }
    let missing = "No such command in rename-command";
    let taken = "Target command name already exists";
    check("rename-command GET fetch", &[]);
    check("rename-command get ''", &[]);
    check("rename-command nosuch x", &[&format!("1: {missing}")]);
    check("rename-command get SET", &[&format!("1: {taken}")]);
    check("rename-command get x\nrename-command set get", &[]);
    check(
        "rename-command get x\nrename-command set X",
        &[&format!("2: {taken}")],
    );
    check(
        "rename-command get x\nrename-command GET y",
        &[&format!("2: {missing}")],
    );
    check("rename-command get x\nrename-command x y", &[]);
}

#[test]
fn warnings() {
    fn check(text: &str, expected: &[&str]) {
        let (_, loaded) = Loader::new()
            .text(Origin::CommandLine, text.as_bytes())
            .finish()
            .unwrap();
        let warnings = &loaded.warnings;
        assert_eq!(warnings.len(), expected.len(), "{text:?}: {warnings:?}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.contains(expected), "{warning:?}");
        }
    }
    check(
        "cluster-enabled yes",
        &["databases number from 16 to 1", "runs by itself"],
    );
    check("oom-score-adj-values 3 2 1", &["oom-score-adj-values"]);
    check("activedefrag yes", &["activedefrag"]);
}

/// Files in a temporary directory, with `include`d paths relative to it.
fn load_files(files: &[(&str, &str)]) -> (PathBuf, Result<Config, Vec<Fault>>) {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().canonicalize().unwrap();
    for (name, text) in files {
        fs::write(
            root.join(name),
            text.replace("ROOT", root.to_str().unwrap()),
        )
        .unwrap();
    }
    let loaded = Loader::new().file(root.join(files[0].0)).finish();
    (root, loaded.map(|(config, _)| config))
}

#[test]
fn included_files_are_read_where_they_are_named() {
    let (_, config) = load_files(&[
        ("main.conf", "port 1\ndir ROOT\ninclude a.conf\ntimeout 3"),
        ("a.conf", "port 2\ntimeout 2\ninclude ROOT/?-sub.conf\n"),
        ("x-sub.conf", "hz 11\nsave 1 1"),
        ("y-sub.conf", "hz 12\nsave 2 2"),
    ]);
    let config = config.unwrap();
    assert_eq!((config.port, config.timeout, config.hz), (2, 3, 12));
    assert_eq!(config.save.len(), 2);
}

#[test]
fn a_pattern_may_match_nothing_but_a_path_may_not() {
    let (root, loaded) = load_files(&[(
        "main.conf",
        "include ROOT/*.nothing\ninclude ROOT/missing.conf\nport x",
    )]);
    let missing = format!(
        "Fatal error, can't open config file '{}/missing.conf': No such file or directory",
        root.display()
    );
    let reasons = described(&loaded.unwrap_err());
    let port = "3: argument couldn't be parsed into an integer".to_owned();
    assert_eq!(reasons, [missing, port]);
}

#[test]
fn files_that_include_themselves_are_refused() {
    for files in [
        &[("a.conf", "include ROOT/a.conf")][..],
        &[
            ("a.conf", "include ROOT/b.conf"),
            ("b.conf", "include ROOT/*.conf"),
        ],
        &[("a.conf", "include ROOT/./a.conf")],
    ] {
        let (_, loaded) = load_files(files);
        let faults = loaded.unwrap_err();
        assert!(
            faults.iter().all(|f| f.reason.contains("include")),
            "{faults:?}"
        );
        assert!(!faults.is_empty() && faults.len() <= 2, "{faults:?}");
    }
}

#[test]
fn faults_as_they_are_printed() {
    let (root, loaded) = load_files(&[
        ("main.conf", "\nport x\ninclude ROOT/b.conf"),
        ("b.conf", " nosuch  1 "),
    ]);
    let faults = loaded.unwrap_err();
    let file = |name| format!("{}", root.join(name).display());
    let reason = "argument couldn't be parsed into an integer";
    assert_eq!(
        faults[0].to_string(),
        format!("{}:2: 'port x' {reason}", file("main.conf"))
    );
    assert_eq!(
        faults[0].fatal_text("1.2.3"),
        format!(
            "\n*** FATAL CONFIG FILE ERROR (Cinnabar 1.2.3) ***\n\
             Reading the configuration file, at line 2\n>>> 'port x'\n{reason}\n"
        )
    );
    assert_eq!(
        faults[1].fatal_text("1.2.3"),
        format!(
            "\n*** FATAL CONFIG FILE ERROR (Cinnabar 1.2.3) ***\n\
             Reading the configuration file, at line 1 ({})\n>>> 'nosuch  1'\n\
             Bad directive or wrong number of arguments\n",
            file("b.conf")
        )
    );
    let whole = Fault {
        place: None,
        reason: "all of it".to_owned(),
    };
    assert_eq!(whole.to_string(), "all of it");
    assert!(
        whole
            .fatal_text("1")
            .ends_with("(Cinnabar 1) ***\nall of it\n")
    );
}

#[test]
fn the_file_is_remembered_absolute() {
    let (config, loaded) = Loader::new().file("/dev/null").finish().unwrap();
    assert_eq!(loaded.file, Some(PathBuf::from("/dev/null")));
    assert_eq!(
        config.dir.as_path(),
        std::env::current_dir().unwrap().as_path()
    );
    assert!(Loader::new().finish().unwrap().1.file.is_none());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: Vec<u8>) {
        let _ = Loader::new().text(Origin::CommandLine, &text).finish();
    }

    #[test]
    fn any_argument_of_any_parameter_is_taken_or_refused(
        at in 0..crate::server::config::PARAMS.len(),
        values in prop::collection::vec(".*", 0..5),
    ) {
        let param = &crate::server::config::PARAMS[at];
        let values: Vec<&[u8]> = values.iter().map(|v| v.as_bytes()).collect();
        let mut config = Config::default();
        let before = param.get(&config);
        if param.set(&mut config, &values, Mode::Load).is_err() {
            prop_assert_eq!(param.get(&config), before);
        }
    }
}
