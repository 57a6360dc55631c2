//! Files that are whole and files that are not: what is told of them, and what is left of them.

use super::super::annotation::{push_time, seal};
use super::{CheckOptions, Surroundings, check};
use crate::persist::rdb::{AccessHints, SaveOptions, Version, save};
use crate::resp::encode;
use std::fs;
use std::path::Path;

const LOOK: CheckOptions = CheckOptions {
    fix: false,
    truncate_to: None,
    now_ms: 0,
};
const FIX: CheckOptions = CheckOptions { fix: true, ..LOOK };

fn to(second: i64) -> CheckOptions {
    CheckOptions {
        truncate_to: Some(second),
        ..LOOK
    }
}

fn command(words: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    encode::command(&mut bytes, words.into_iter());
    bytes
}

fn time(second: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_time(&mut bytes, second);
    bytes
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    seal(&mut bytes, 0);
    bytes
}

fn snapshot() -> Vec<u8> {
    let options = SaveOptions {
        version: Version::Auto,
        compress: false,
        checksum: true,
        access: AccessHints::None,
        key_delay_us: 0,
        aux: &[],
        functions: &[],
    };
    let keyspace = crate::keyspace::Keyspace::new(
        1,
        crate::base::hash::process(),
        crate::base::rng::Rng::from_seed(1),
    );
    let mut bytes = Vec::new();
    save(&keyspace, &mut bytes, &options, &mut |_| {}).expect("memory takes what is written");
    bytes
}

fn run(path: &Path, options: CheckOptions, answer: bool) -> (bool, String) {
    let mut out = Vec::new();
    let mut around = Surroundings {
        out: &mut out,
        confirm: &mut || answer,
        progress: &mut |read, size| assert!(read <= size),
    };
    let good = check(path, options, &mut around).expect("memory takes what is written");
    (good, String::from_utf8(out).expect("text"))
}

/// A report without the lines that tell how many commands there are.
fn without_counts(report: &str) -> String {
    let lines = report.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("Commands: "))
        .collect()
}

/// Checks a single file; its name in the report is `F`. Returns what is left of it.
#[track_caller]
fn single(bytes: &[u8], options: CheckOptions, good: bool, expected: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("single");
    fs::write(&path, bytes).expect("a file");
    let (was_good, text) = run(&path, options, true);
    let text = without_counts(&text.replace(&*path.to_string_lossy(), "F"));
    let text = text.strip_prefix("Start checking Old-Style AOF\n");
    assert_eq!(text, Some(expected));
    assert_eq!(was_good, good);
    fs::read(&path).expect("a file")
}

/// The report of a file that is not good, but for its last line.
#[track_caller]
fn bad(bytes: &[u8], expected: &str) {
    let last = "AOF F is not valid. Use the --fix option to try fixing it.\n";
    let left = single(bytes, LOOK, false, &format!("{expected}{last}"));
    assert!(left == bytes, "looking changes nothing");
}

// The reports were compared with those of redis-check-aof 7.0.15.
#[test]
fn whole_files() {
    let set = command("SET foo hello");
    let report = "AOF analyzed: filename=F, size=33, ok_up_to=33, ok_up_to_line=8, diff=0\n\
                  AOF F is valid\n";
    single(&set, LOOK, true, report);
    single(&set, FIX, true, report);
    single(b"", LOOK, true, "AOF F is empty\n");
    let transaction = [command("MULTI"), set, command("EXEC")].concat();
    let report = "AOF analyzed: filename=F, size=62, ok_up_to=62, ok_up_to_line=14, diff=0\n\
                  AOF F is valid\n";
    single(&transaction, LOOK, true, report);
    let two = [sealed(command("PING")), sealed(command("PING"))].concat();
    let report = "AOF analyzed: filename=F, size=80, ok_up_to=80, ok_up_to_line=9, diff=0\n\
                  AOF F is valid\n";
    single(&two, LOOK, true, report);
}

#[test]
fn what_is_wrong_is_told_as_redis_tells_it() {
    let set = command("SET foo hello");
    let with = |tail: &[u8]| [&set, tail].concat();
    let analyzed = |size: usize, line: u32| {
        let diff = size - 33;
        format!(
            "AOF analyzed: filename=F, size={size}, ok_up_to=33, ok_up_to_line={line}, diff={diff}\n"
        )
    };
    let check = |tail: &[u8], fault: &str, line: u32| {
        let bytes = with(tail);
        let expected = format!("{fault}\n{}", analyzed(bytes.len(), line));
        bad(&bytes, &expected);
    };
    check(b"!!!", "AOF F format error", 8);
    check(
        b"*3\r\n$3\r\nSET\r\n$3\r\nfo",
        "0x              32: Expected to read 5 bytes, got 2 bytes",
        12,
    );
    check(
        b"*3\r\n$3\r\nSET\r\n$3",
        "0x              2e: Expected \\r\\n, got: 0000",
        11,
    );
    check(
        b"*1\r\n$3\rSET0\r\n",
        "0x              25: Expected \\r\\n, got: 0d53",
        9,
    );
    check(
        b"*1\r\n$x\r\nEXEC\r\n",
        "0x              25: Expected \\r\\n, got: 780d",
        9,
    );
    check(
        b"*1\r\n+4\r\nEXEC\r\n",
        "0x              25: Expected prefix '$', got: '+'",
        9,
    );
    check(
        b"*1\r\n$-4\r\nEXEC\r\n",
        "0x              25: Expected to read string of -4 bytes, which is not in the suitable range",
        10,
    );
    check(
        b"*1\r\n$3\r\nEXEC\r\n",
        "0x              29: Expected \\r\\n, got: 430d",
        10,
    );
    check(
        b"*1\r\n$9000000000000000000\r\nx",
        "0x              3b: Expected to read 9000000000000000002 bytes, got 1 bytes",
        10,
    );
    check(
        b"*2\r\n$1\r\nx\r\n",
        "0x              2c: Expected prefix '$', got the end of the file",
        11,
    );
    check(
        b"#CRC:1",
        "0x              21: Reached EOF inside an annotation",
        8,
    );
    check(
        &[b'#'; 2000],
        "0x              21: Expected the end of an annotation, which is too long",
        8,
    );
    // No server loads these.
    check(b"*0\r\n", "0x              25: Expected a command", 9);
    check(
        b"*01\r\n$1\r\nx\r\n",
        "0x              21: Expected a number",
        9,
    );
}

#[test]
fn commands_and_checksums_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let sealed_sets = sealed([command("SET a b"), command("set a c")].concat());
    // A checksum need not be of all the bytes behind the one before.
    let mut foreign = command("DEL a");
    let from = foreign.len();
    foreign.extend(command("DEL b"));
    seal(&mut foreign, from);
    fs::write(&path, [sealed_sets, foreign].concat()).expect("a file");
    let (good, text) = run(&path, LOOK, false);
    let counts = "\nCommands: 4, batches with a checksum: 2; del 2, set 2\n";
    assert!(good && text.contains(counts), "{text}");
}

#[test]
fn transactions_are_whole_or_not_there() {
    let (set, multi, exec) = (command("SET foo hello"), command("multi"), command("exec"));
    let open = [&set[..], &multi, &set].concat();
    let report = "0x              51: Reached EOF before reading EXEC for MULTI\n\
                  AOF analyzed: filename=F, size=81, ok_up_to=33, ok_up_to_line=18, diff=48\n";
    bad(&open, report);
    let nested = [&set[..], &multi, &multi, &exec].concat();
    let report = "0x              30: Unexpected MULTI in AOF F\n\
                  AOF analyzed: filename=F, size=77, ok_up_to=33, ok_up_to_line=11, diff=44\n";
    bad(&nested, report);
    let ended = [&set[..], &exec].concat();
    let report = "0x              21: Unexpected EXEC in AOF F\n\
                  AOF analyzed: filename=F, size=47, ok_up_to=33, ok_up_to_line=8, diff=14\n";
    bad(&ended, report);
}

#[test]
fn a_changed_value_is_found_by_the_checksum() {
    let good = sealed(command("SET foo hello"));
    let mut file = [good.clone(), sealed(command("SET foo world"))].concat();
    let at = good.len() + 26;
    file[at] ^= 1;
    let report = format!(
        "0x{:16x}: Bad checksum: what lies between the offsets {} and {} is not what was written\n\
         AOF analyzed: filename=F, size={}, ok_up_to={}, ok_up_to_line=9, diff={}\n",
        good.len() + 33,
        good.len(),
        good.len() + 33,
        file.len(),
        good.len(),
        good.len(),
    );
    bad(&file, &report);
    // What is left must not hold the damaged bytes: it would be taken for good from then on.
    let report = format!(
        "{report}This will shrink the AOF F from {} bytes, with {} bytes, to {} bytes\n\
         Continue? [y/N]: Successfully truncated AOF F\n",
        file.len(),
        good.len(),
        good.len()
    );
    assert_eq!(single(&file, FIX, true, &report), good);
}

/// What is left of a file, which must be good then.
#[track_caller]
fn mended(bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, bytes).expect("a file");
    let (good, text) = run(&path, FIX, true);
    assert!(good, "{text}");
    let left = fs::read(&path).expect("a file");
    let (good, text) = run(&path, LOOK, true);
    assert!(good, "{text}");
    assert!(bytes.starts_with(&left), "{text}");
    left
}

// The cut was once made before the line with the checksum: what that was there to tell of stayed.
#[test]
fn nothing_is_left_of_a_batch_whose_checksum_is_wrong() {
    let first = sealed(command("SET a 1"));
    let batch = sealed([command("SET b 1"), command("SET foo hello")].concat());
    let after = sealed(command("SET c 1"));
    let (multi, others) = (command("MULTI"), command("SET other 1"));
    let changed = |from: &str, to: &str| {
        let text = String::from_utf8(batch.clone()).expect("text");
        assert!(text.contains(from));
        text.replace(from, to).into_bytes()
    };
    for damaged in [
        changed("hello", "hallo"),
        // These are found before the checksum.
        changed("$5", "$4"),
        changed("$5", "$6"),
        changed("$5", "$500000"),
        changed("SET\r\n$3", "SET\r\n!3"),
        changed("hello\r\n", "hello\r!"),
        changed("$3\r\nSET\r\n$3\r\nfoo", "$4\r\nEXEC\r\n$2\r\nfo"),
    ] {
        let check = |before: &[u8], kept: usize| {
            let file = [before, &damaged, &after].concat();
            let left = mended(&file).len();
            assert_eq!(left, kept, "{}", file.escape_ascii());
        };
        check(b"", 0);
        check(&first, first.len());
        // What nobody sealed is not of the batch, but a transaction goes as a whole.
        let unsealed = [&first[..], &others].concat();
        check(&unsealed, unsealed.len());
        check(&[&unsealed[..], &multi, &others].concat(), unsealed.len());
        let mut begun = [&first[..], &multi].concat();
        seal(&mut begun, first.len());
        check(&begun, first.len());
    }
}

#[test]
fn what_is_wrong_beside_a_batch_takes_nothing_from_it() {
    let unsealed = command("SET other 1");
    let batch = sealed(command("SET a 1"));
    for damage in [
        &b"!"[..],
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\nx",
        b"\0\0\0\0",
    ] {
        let file = [&unsealed[..], damage, &batch, &batch].concat();
        assert_eq!(mended(&file), unsealed);
        // Here nobody can tell what was of the batch.
        let mut torn = sealed([unsealed.clone(), command("SET a 1")].concat());
        torn.splice(unsealed.len()..unsealed.len(), damage.iter().copied());
        assert_eq!(mended(&[&batch[..], &torn].concat()), batch);
    }
}

#[test]
fn whichever_byte_is_changed_no_command_of_its_batch_is_left() {
    let batches: Vec<Vec<u8>> = (0..3)
        .map(|n| {
            let name = format!("SET key{n} value");
            sealed(
                [
                    command(&name),
                    command("MULTI"),
                    command(&name),
                    command("EXEC"),
                ]
                .concat(),
            )
        })
        .collect();
    let file = batches.concat();
    let len = batches[0].len();
    assert_eq!(file.len(), 3 * len);
    let seal_len = "#CRC:131:0123456789abcdef\r\n".len();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let left = mended(&changed);
        let batch_from = at / len * len;
        if at % len < len - seal_len {
            assert_eq!(left.len(), batch_from, "{at}");
        } else {
            // The checksum itself: what it was of may stay if it is one no more.
            assert!(left.len() >= batch_from, "{at}");
        }
    }
}

#[test]
fn what_is_not_whole_is_cut_off_if_that_is_agreed_to() {
    let set = command("SET foo hello");
    let file = [&set[..], b"*3\r\n"].concat();
    let report = "0x              25: Expected prefix '$', got the end of the file\n\
                  AOF analyzed: filename=F, size=37, ok_up_to=33, ok_up_to_line=9, diff=4\n\
                  This will shrink the AOF F from 37 bytes, with 4 bytes, to 33 bytes\n\
                  Continue? [y/N]: Successfully truncated AOF F\n";
    assert_eq!(single(&file, FIX, true, report), set);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, &file).expect("a file");
    let (good, text) = run(&path, FIX, false);
    assert!(!good && text.ends_with("Continue? [y/N]: Aborting...\n"));
    assert_eq!(fs::read(&path).expect("a file"), file);
}

#[test]
fn a_file_is_cut_at_a_time() {
    let set = command("SET foo hello");
    let file = [&time(10), &set[..], &time(20), &set].concat();
    let report = "AOF F has nothing before timestamp 5, aborting...\n";
    assert_eq!(single(&file, to(5), false, report), file);
    let report = "Truncate nothing in AOF F to timestamp 20\nAOF F is valid\n";
    assert_eq!(single(&file, to(20), true, report), file);
    let odd = [&time(10), &set[..], b"#TS:1x\r\n", &set].concat();
    single(&odd, to(20), false, "Invalid timestamp annotation\n");
    let report = "Successfully truncated AOF F to timestamp 19\n";
    assert_eq!(
        single(&file, to(19), true, report),
        [time(10), set].concat()
    );
}

#[test]
fn commands_may_follow_a_snapshot() {
    let (snapshot, set) = (snapshot(), command("SET foo hello"));
    let file = [&snapshot[..], &set, b"*"].concat();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, &file).expect("a file");
    let (good, text) = run(&path, FIX, true);
    assert!(good, "{text}");
    let ok = format!("ok_up_to={}", file.len() - 1);
    for part in [
        "Start checking Old-Style AOF\n[offset 0] Checking RDB file ",
        "\\o/ RDB looks OK! \\o/\n",
        "RDB preamble is OK, proceeding with AOF tail...\n",
        &ok,
        "Successfully truncated AOF ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(fs::read(&path).expect("a file"), file[..file.len() - 1]);
    fs::write(&path, &file[..snapshot.len() - 1]).expect("a file");
    let (good, text) = run(&path, FIX, true);
    assert!(!good, "{text}");
    assert!(text.ends_with("RDB preamble of AOF file is not sane, aborting.\n"));
}

/// Checks what a manifest of a base and an increment names.
fn parts(manifest: &str, base: &[u8], increment: &[u8], options: CheckOptions) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.manifest");
    for (name, bytes) in [("a.1.base", base), ("a.1.incr", increment)] {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    fs::write(&path, manifest).expect("a file");
    run(&path, options, true)
}

const MANIFEST: &str = "# a comment\nfile a.1.base seq 1 type b\nfile a.1.incr seq 1 type i\n";

#[test]
fn all_parts_of_a_manifest_are_looked_at() {
    let set = command("SET foo hello");
    let (good, text) = parts(MANIFEST, &set, b"", LOOK);
    let text = without_counts(&text);
    let expected = "Start checking Multi Part AOF\n\
                    Start to check BASE AOF (RESP format).\n\
                    AOF analyzed: filename=a.1.base, size=33, ok_up_to=33, ok_up_to_line=8, diff=0\n\
                    BASE AOF a.1.base is valid\n\
                    Start to check INCR files.\n\
                    INCR AOF a.1.incr is empty\n\
                    All AOF files and manifest are valid\n";
    assert_eq!((good, text.as_str()), (true, expected));
    let (good, text) = parts(MANIFEST, &snapshot(), &set, LOOK);
    assert!(
        good && text.contains("Start to check BASE AOF (RDB format).\n"),
        "{text}"
    );
    let (good, text) = parts(&format!("{MANIFEST}!!!\n"), &set, &set, LOOK);
    assert!(
        !good && text.contains(">>> '!!!'\nInvalid AOF manifest file format\n"),
        "{text}"
    );
    let missing = MANIFEST.replace("a.1.incr", "a.2.incr");
    let (good, text) = parts(&missing, &set, &set, LOOK);
    assert!(
        !good && text.ends_with("a.2.incr: No such file or directory, aborting...\n"),
        "{text}"
    );
}

#[test]
fn only_the_last_part_is_changed() {
    let set = command("SET foo hello");
    let cut = &set[..20];
    let (good, text) = parts(MANIFEST, cut, &set, FIX);
    let last = "Failed to truncate AOF a.1.base because it is not the last file\n";
    assert!(!good && text.ends_with(last), "{text}");
    let late = [&set[..], &time(9), &set].concat();
    let (good, text) = parts(MANIFEST, &late, &set, to(8));
    assert!(!good && text.contains("to timestamp 8 to offset 33 because it is not the last file."));
    let (good, text) = parts(MANIFEST, &set, cut, FIX);
    assert!(
        good && text.contains("Successfully truncated AOF a.1.incr\n"),
        "{text}"
    );
    let (good, text) = parts(MANIFEST, &set, &late, to(8));
    assert!(
        good && text.contains("Successfully truncated AOF a.1.incr to timestamp 8\n"),
        "{text}"
    );
}
