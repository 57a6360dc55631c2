//! Error replies: every text a client may see that more than one place says, and the type they
//! travel in.
//!
//! A text is written as it goes out, its code first, without the leading `-`. The texts are Redis's,
//! to the letter: clients compare them. Turning an error into bytes is `reply`'s part.

use std::fmt;

/// What a command says: nothing to add, or an error reply.
pub type Outcome = Result<(), ErrorReply>;

/// An error reply, its code first, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorReply {
    /// A text that is always the same.
    Fixed(&'static str),
    /// A text made for the occasion.
    Text(String),
    /// A text that quotes what the client sent, which need not be UTF-8.
    Bytes(Vec<u8>),
    /// What a script made up: its code may be anything.
    Custom(Vec<u8>),
    /// The error of another command that was answered, and counted, before: a script passes it on.
    Counted(Vec<u8>),
}

impl ErrorReply {
    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            ErrorReply::Fixed(text) => text.as_bytes(),
            ErrorReply::Text(text) => text.as_bytes(),
            ErrorReply::Bytes(text) | ErrorReply::Custom(text) | ErrorReply::Counted(text) => text,
        }
    }

    /// The code that error statistics count by: the first word, or `ERR` if there is no short one.
    pub fn code(&self) -> &str {
        let text = self.as_bytes();
        let window = &text[..text.len().min(CODE_BYTES_MAX)];
        memchr::memchr(b' ', window)
            .and_then(|end| std::str::from_utf8(&window[..end]).ok())
            .unwrap_or("ERR")
    }
}

impl From<&'static str> for ErrorReply {
    fn from(text: &'static str) -> ErrorReply {
        ErrorReply::Fixed(text)
    }
}

impl From<String> for ErrorReply {
    fn from(text: String) -> ErrorReply {
        ErrorReply::Text(text)
    }
}

impl From<Vec<u8>> for ErrorReply {
    fn from(text: Vec<u8>) -> ErrorReply {
        ErrorReply::Bytes(text)
    }
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// Redis looks for the end of the code in that many bytes.
const CODE_BYTES_MAX: usize = 31;
/// How much of a name or of arguments an error quotes.
const QUOTED_BYTES_MAX: usize = 128;

/// A command met a value of another type.
pub const WRONG_TYPE: ErrorReply =
    ErrorReply::Fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
/// An argument or value is no 64-bit integer.
pub const NOT_AN_INTEGER: ErrorReply =
    ErrorReply::Fixed("ERR value is not an integer or out of range");
/// An argument or value is no float.
pub const NOT_A_FLOAT: ErrorReply = ErrorReply::Fixed("ERR value is not a valid float");
/// The options make no sense.
pub const SYNTAX: ErrorReply = ErrorReply::Fixed("ERR syntax error");
/// The key must exist.
pub const NO_SUCH_KEY: ErrorReply = ErrorReply::Fixed("ERR no such key");
/// No element there.
pub const INDEX_OUT_OF_RANGE: ErrorReply = ErrorReply::Fixed("ERR index out of range");
/// A timeout ends beyond all times.
pub const TIMEOUT_OUT_OF_RANGE: ErrorReply = ErrorReply::Fixed("ERR timeout is out of range");
/// A wait was ended by CLIENT UNBLOCK.
pub const UNBLOCKED: ErrorReply =
    ErrorReply::Fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK");
/// Source and destination must differ.
pub const SAME_OBJECT: ErrorReply =
    ErrorReply::Fixed("ERR source and destination objects are the same");
/// A number is out of its range.
pub const OUT_OF_RANGE: ErrorReply = ErrorReply::Fixed("ERR value is out of range");
/// A number must be positive.
pub const MUST_BE_POSITIVE: ErrorReply =
    ErrorReply::Fixed("ERR value is out of range, must be positive");
/// A write would go beyond `maxmemory`.
pub const OOM: ErrorReply =
    ErrorReply::Fixed("OOM command not allowed when used memory > 'maxmemory'.");
/// The data are being loaded.
pub const LOADING: ErrorReply = ErrorReply::Fixed("LOADING Redis is loading the dataset in memory");
/// Snapshots fail, and whoever relies on them is to notice.
pub const MISCONF_SAVE: ErrorReply = ErrorReply::Fixed(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that \
     may modify the data set are disabled, because this instance is configured to report errors during writes if RDB \
     snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB \
     error.",
);
/// A script runs for too long.
pub const BUSY_SCRIPT: ErrorReply = ErrorReply::Fixed(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);
/// A function runs for too long.
pub const BUSY_FUNCTION: ErrorReply = ErrorReply::Fixed(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
);
/// EVALSHA of a script that is not known.
pub const NO_SCRIPT: ErrorReply =
    ErrorReply::Fixed("NOSCRIPT No matching script. Please use EVAL.");
/// The target key exists.
pub const BUSY_KEY: ErrorReply = ErrorReply::Fixed("BUSYKEY Target key name already exists.");
/// The client must authenticate first.
pub const NO_AUTH: ErrorReply = ErrorReply::Fixed("NOAUTH Authentication required.");
/// AUTH failed.
pub const WRONG_PASS: ErrorReply =
    ErrorReply::Fixed("WRONGPASS invalid username-password pair or user is disabled.");
/// The user may not touch a key.
pub const NO_PERM_KEY: ErrorReply = ErrorReply::Fixed("NOPERM No permissions to access a key");
/// The user may not touch a channel.
pub const NO_PERM_CHANNEL: ErrorReply =
    ErrorReply::Fixed("NOPERM No permissions to access a channel");
/// EXEC after an error while queueing.
pub const EXEC_ABORT: ErrorReply =
    ErrorReply::Fixed("EXECABORT Transaction discarded because of previous errors.");
/// A command that cannot be part of a transaction.
pub const NOT_IN_MULTI: ErrorReply =
    ErrorReply::Fixed("ERR Command not allowed inside a transaction");
/// A write on a replica.
pub const READ_ONLY: ErrorReply =
    ErrorReply::Fixed("READONLY You can't write against a read only replica.");
/// A client that is fed every command asked for data.
pub const REPLICA_KEYSPACE: ErrorReply =
    ErrorReply::Fixed("ERR Replica can't interact with the keyspace");
/// HELLO asked for a protocol there is not.
pub const NO_PROTO: ErrorReply = ErrorReply::Fixed("NOPROTO unsupported protocol version");
/// HELLO's protocol version is no number.
pub const PROTO_NOT_AN_INTEGER: ErrorReply =
    ErrorReply::Fixed("ERR Protocol version is not an integer or out of range");
/// A string would outgrow `proto-max-bulk-len`.
pub const STRING_TOO_LONG: ErrorReply =
    ErrorReply::Fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
/// A bit offset is no number, negative or too large.
pub const BIT_OFFSET: ErrorReply =
    ErrorReply::Fixed("ERR bit offset is not an integer or out of range");
/// A bit is neither 0 nor 1.
pub const BIT_VALUE: ErrorReply = ErrorReply::Fixed("ERR bit is not an integer or out of range");
/// An offset into a string is negative or too large.
pub const OFFSET_OUT_OF_RANGE: ErrorReply = ErrorReply::Fixed("ERR offset is out of range");
/// INCR and its kin would leave 64 bits.
pub const INCR_OVERFLOW: ErrorReply =
    ErrorReply::Fixed("ERR increment or decrement would overflow");
/// DECRBY of the one number that has no negative.
pub const DECR_OVERFLOW: ErrorReply = ErrorReply::Fixed("ERR decrement would overflow");
/// INCRBYFLOAT would leave the numbers.
pub const INCR_NAN: ErrorReply = ErrorReply::Fixed("ERR increment would produce NaN or Infinity");
/// SCAN's cursor is no number.
pub const INVALID_CURSOR: ErrorReply = ErrorReply::Fixed("ERR invalid cursor");
/// A database number beyond `databases`.
pub const DB_INDEX_OUT_OF_RANGE: ErrorReply = ErrorReply::Fixed("ERR DB index is out of range");
/// A timeout is no number.
pub const TIMEOUT_NOT_A_FLOAT: ErrorReply =
    ErrorReply::Fixed("ERR timeout is not a float or out of range");
/// A timeout is no integer.
pub const TIMEOUT_NOT_AN_INTEGER: ErrorReply =
    ErrorReply::Fixed("ERR timeout is not an integer or out of range");
/// A timeout is negative.
pub const TIMEOUT_NEGATIVE: ErrorReply = ErrorReply::Fixed("ERR timeout is negative");

/// The expiry that `command` (lower case) was given is out of range.
pub fn invalid_expire(command: &str) -> ErrorReply {
    ErrorReply::Text(format!("ERR invalid expire time in '{command}' command"))
}

/// A command that a subscribed client cannot run.
pub fn in_subscriber_mode(name: &str) -> ErrorReply {
    ErrorReply::Text(format!(
        "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context"
    ))
}

/// `name` (lower case; `container|subcommand`) was called with too few or too many arguments.
pub fn wrong_arity(name: &str) -> ErrorReply {
    ErrorReply::Text(format!(
        "ERR wrong number of arguments for '{name}' command"
    ))
}

/// `user` may not run the command `name` (lower case; `container|subcommand`).
pub fn no_perm_command(user: &[u8], name: &str) -> ErrorReply {
    let text = [
        b"NOPERM User ",
        user,
        b" has no permissions to run the '",
        name.as_bytes(),
    ];
    ErrorReply::Bytes([&text.concat()[..], b"' command"].concat())
}

/// There is no command of that name.
pub fn unknown_command<'a>(name: &[u8], args: impl Iterator<Item = &'a [u8]>) -> ErrorReply {
    let mut quoted = Vec::new();
    for arg in args {
        if quoted.len() >= QUOTED_BYTES_MAX {
            break;
        }
        let shown = quotable(arg, QUOTED_BYTES_MAX - quoted.len());
        quoted.push(b'\'');
        quoted.extend_from_slice(shown);
        quoted.extend_from_slice(b"' ");
    }
    let name = quotable(name, QUOTED_BYTES_MAX);
    ErrorReply::Bytes(
        [
            b"ERR unknown command '",
            name,
            b"', with args beginning with: ",
            &quoted,
        ]
        .concat(),
    )
}

/// `container` (any case) has no subcommand `name`.
pub fn unknown_subcommand(name: &[u8], container: &str) -> ErrorReply {
    let name = quotable(name, QUOTED_BYTES_MAX);
    let container = container.to_ascii_uppercase();
    ErrorReply::Bytes(
        [
            b"ERR unknown subcommand '",
            name,
            b"'. Try ",
            container.as_bytes(),
            b" HELP.",
        ]
        .concat(),
    )
}

/// `name` is no subcommand of `container`, or was called with too few or too many arguments.
pub fn subcommand_syntax(name: &[u8], container: &str) -> ErrorReply {
    let name = quotable(name, QUOTED_BYTES_MAX);
    let container = container.to_ascii_uppercase();
    ErrorReply::Bytes(
        [
            b"ERR unknown subcommand or wrong number of arguments for '",
            name,
            b"'. Try ",
            container.as_bytes(),
            b" HELP.",
        ]
        .concat(),
    )
}

/// What of `text` an error quotes: at most `bytes_max`, and nothing from a zero byte on.
pub fn quotable(text: &[u8], bytes_max: usize) -> &[u8] {
    let text = &text[..text.len().min(bytes_max)];
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let check = |error: ErrorReply, code: &str| assert_eq!(error.code(), code);
        check(SYNTAX, "ERR");
        check(WRONG_TYPE, "WRONGTYPE");
        check(format!("CUSTOM {}", 1).into(), "CUSTOM");
        check("NOSPACE".into(), "ERR");
        let code = "C".repeat(30);
        check(format!("{code} text").into(), &code);
        check(format!("C{code} text").into(), "ERR");
        check(b"\xff\xff text".to_vec().into(), "ERR");
    }

    /// Texts as Redis 7.0.15 and Valkey 8.1.1 sent them.
    #[test]
    fn unknown_commands_quote_a_bounded_part_of_the_request() {
        let check = |request: &[&str], expected: &str| {
            let args = request[1..].iter().map(|arg| arg.as_bytes());
            let error = unknown_command(request[0].as_bytes(), args);
            let expected = format!("ERR unknown command {expected}");
            assert_eq!(error.to_string(), expected);
        };
        let begin = "with args beginning with:";
        check(
            &["nosuch", "a", "b"],
            &format!("'nosuch', {begin} 'a' 'b' "),
        );
        check(&["nosuch"], &format!("'nosuch', {begin} "));
        check(
            &["no\0such", "a\0b", "c"],
            &format!("'no', {begin} 'a' 'c' "),
        );
        let long = "N".repeat(200);
        check(&[&long, "a"], &format!("'{}', {begin} 'a' ", &long[..128]));
        check(
            &["n", &long, "a"],
            &format!("'n', {begin} '{}' ", &long[..128]),
        );
        let hundred = "a".repeat(100);
        check(
            &["n", &hundred, &hundred, "c"],
            &format!("'n', {begin} '{hundred}' '{}' ", &hundred[..25]),
        );
        let (most, more) = ("a".repeat(124), "a".repeat(125));
        check(
            &["n", &most, "cd", "e"],
            &format!("'n', {begin} '{most}' 'c' "),
        );
        check(&["n", &more, "c"], &format!("'n', {begin} '{more}' "));
    }

    #[test]
    fn texts_that_name_a_command() {
        let check = |error: ErrorReply, text: &str| assert_eq!(error.to_string(), text);
        check(
            wrong_arity("config|get"),
            "ERR wrong number of arguments for 'config|get' command",
        );
        check(
            unknown_subcommand(b"no\0such", "config"),
            "ERR unknown subcommand 'no'. Try CONFIG HELP.",
        );
        check(
            no_perm_command(b"bob", "config|get"),
            "NOPERM User bob has no permissions to run the 'config|get' command",
        );
        check(
            invalid_expire("setex"),
            "ERR invalid expire time in 'setex' command",
        );
    }
}
