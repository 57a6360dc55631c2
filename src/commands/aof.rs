//! Commands on the append-only file.

use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::aof::rewrite;
use crate::server::command::*;
use crate::server::cx::ServerCx;

/// The family's table.
pub static COMMANDS: &[Command] = &[cmd("bgrewriteaof", 1, Server(bgrewriteaof))
    .group(Group::Server)
    .since("1.0.0")
    .flags(ADMIN | NOSCRIPT | NO_ASYNC_LOADING)
    .doc("Rewrites the append-only file in the background.", "O(1)")];

fn bgrewriteaof(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    let in_transaction = cx.client().is_in_multi();
    let said = rewrite::ask(cx.server, in_transaction)?;
    cx.reply.simple(said);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::Session;
    use crate::persist::aof::annotation::Annotation;
    use crate::persist::aof::dataset::{self, Options};
    use crate::persist::aof::reader::{CommandReader, Item};
    use std::io::Cursor;

    /// Keys of every type and encoding, in two databases.
    fn fill(session: &mut Session) {
        let many = |count: usize, of: fn(usize) -> String| {
            let words: Vec<String> = (0..count).map(of).collect();
            words.join(" ")
        };
        let long = "v".repeat(100);
        for command in [
            "SET text value".into(),
            "SET number -12345".into(),
            format!("SET long {long}"),
            "SET later value PXAT 9999999999999".into(),
            format!("RPUSH list {}", many(129, |n| format!("element{n}"))),
            "RPUSH packed a 1 -70000 b".into(),
            format!("RPUSH large {}", long.repeat(200)),
            "SADD integers 1 2 300000".into(),
            "SADD words a b 3".into(),
            format!("SADD set {}", many(600, |n| format!("member{n}"))),
            format!(
                "ZADD zset {}",
                many(200, |n| format!("{}.5 member{n}", n % 7))
            ),
            "ZADD scores 0.1 a -inf b inf c 1e300 d -0 e 12345678901234567 f".into(),
            format!("HSET hash {}", many(600, |n| format!("field{n} {n}"))),
            "HSET fields a 1 b 2 c 3".into(),
            "HPEXPIREAT fields 9999999999999 FIELDS 2 a c".into(),
            "PEXPIREAT fields 9999999999998".into(),
            "XADD stream 5-1 f v".into(),
            "XADD stream 5-2 f w g 7".into(),
            "XADD stream 9-0 other x".into(),
            "XDEL stream 5-2".into(),
            "XGROUP CREATE stream group 0".into(),
            "XREADGROUP GROUP group reader COUNT 1 STREAMS stream >".into(),
            "XGROUP CREATECONSUMER stream group idle".into(),
            "XGROUP CREATE stream late $ ENTRIESREAD 2".into(),
            "XGROUP CREATE new group $ MKSTREAM".into(),
            "XADD emptied 7-7 f v".into(),
            "XDEL emptied 7-7".into(),
            "SELECT 9".into(),
            "SET elsewhere 1".into(),
            "SELECT 0".into(),
        ] {
            let reply = session.run(&command);
            assert!(!reply.starts_with('-'), "{command}: {reply}");
        }
        session.run_argv(&[b"SET", b"with space\r\n", b"\0\xff\r\n"]);
    }

    /// What a digest does not tell.
    fn details(session: &mut Session) -> Vec<String> {
        let questions = [
            "DEBUG DIGEST",
            "DBSIZE",
            "XPENDING stream group",
            "XINFO GROUPS stream",
            "XINFO GROUPS new",
            "XINFO STREAM new",
            "XINFO STREAM emptied",
            "HPEXPIRETIME fields FIELDS 3 a b c",
            "PEXPIRETIME fields",
            "PEXPIRETIME later",
        ];
        questions.map(|question| session.run(question)).into()
    }

    /// Runs what was written, and gives how many commands and checksums that were.
    fn replay(session: &mut Session, file: &[u8]) -> (usize, usize) {
        let mut reader = CommandReader::new(Cursor::new(file), 0, file.len() as u64, true);
        let (mut commands, mut checksums) = (0, 0);
        loop {
            match reader.next().expect("what was written can be read") {
                Item::Command => {
                    let argv: Vec<&[u8]> = reader.argv().iter().collect();
                    let reply = session.run_argv(&argv);
                    let shown = String::from_utf8_lossy(argv[0]);
                    assert!(!reply.starts_with('-'), "{shown}: {reply}");
                    commands += 1;
                }
                Item::Annotation(Annotation::Checksum { .. }) => checksums += 1,
                Item::Annotation(annotation) => assert_eq!(annotation, Annotation::Time(7)),
                Item::End => return (commands, checksums),
            }
        }
    }

    #[test]
    fn a_data_set_comes_back_from_the_commands_that_it_is_written_as() {
        let mut original = Session::new();
        fill(&mut original);
        for checksums in [false, true] {
            let options = Options {
                timestamp: checksums.then_some(7),
                checksums,
                ..Options::default()
            };
            let (mut file, mut keys) = (Vec::new(), 0);
            let told = &mut |so_far| keys = so_far;
            dataset::write(original.keyspace(), &[], &mut file, &options, told)
                .expect("memory takes what is written");
            assert_eq!(keys, 19);
            assert_eq!(file.starts_with(b"#TS:7\r\n"), checksums);
            let mut copy = Session::new();
            let (commands, sealed) = replay(&mut copy, &file);
            assert_eq!(sealed > 0, checksums);
            // Batches are of 64 items: 3 of the list, 10 of the set, 4 of the sorted set, 10 of the hash.
            assert!((50..70).contains(&commands), "{commands}");
            copy.run("SELECT 0");
            assert_eq!(details(&mut copy), details(&mut original));
        }
    }
}
