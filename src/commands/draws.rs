//! Elements drawn by chance: how many a call asks for, and when it has drawn enough.

use super::args::integer_between;
use crate::resp::error::{self, ErrorReply};
use crate::server::cx::DataCx;

/// What SRANDMEMBER and its kin are asked for.
#[derive(Clone, Copy)]
pub(super) struct Draws {
    /// How many elements.
    pub(super) count: usize,
    /// Whether no element comes twice; else each is drawn from all, as often as asked for.
    pub(super) distinct: bool,
    /// The length of the replies from which on the client is cut off, whatever follows.
    reply_len_max: usize,
}

impl Draws {
    /// Reads a count, which asks for repetitions if it is negative; with `in_pairs` each element comes with
    /// another reply.
    ///
    /// Without a limit on what waits to be sent to a client, the number of repetitions has one: a reply of
    /// more would take gigabytes.
    pub(super) fn parse(arg: &[u8], in_pairs: bool, cx: &DataCx<'_>) -> Result<Draws, ErrorReply> {
        const REPETITIONS_MAX: u64 = 1 << 28;
        let count = integer_between(arg, -i64::MAX, i64::MAX)?;
        let draws = Draws {
            count: count.unsigned_abs() as usize,
            distinct: count >= 0,
            reply_len_max: match cx.config.client_output_buffer_limit.normal.hard as usize {
                0 => usize::MAX,
                limit => cx.reply.len().saturating_add(limit),
            },
        };
        let is_unbounded = !draws.distinct && draws.reply_len_max == usize::MAX;
        if in_pairs && count.unsigned_abs() > i64::MAX as u64 / 2
            || is_unbounded && count.unsigned_abs() > REPETITIONS_MAX
        {
            return Err(error::OUT_OF_RANGE);
        }
        Ok(draws)
    }

    /// Has `draw` draw so many elements at a time and say how long the replies are then, until there are
    /// as many as asked for or the client will not get them anyway.
    pub(super) fn repeat(&self, mut draw: impl FnMut(usize) -> usize) {
        const PORTION: usize = 1024;
        let mut left = self.count;
        while left > 0 {
            let portion = left.min(PORTION);
            left -= portion;
            if draw(portion) > self.reply_len_max {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::Session;

    #[test]
    fn counts_have_limits() {
        let mut session = Session::new();
        session.run("SADD set a");
        session.run("HSET hash f v");
        session.run("ZADD zset 1 m");
        let between = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        for (command, element) in [
            ("SRANDMEMBER set", "$1 a"),
            ("HRANDFIELD hash", "$1 f"),
            ("ZRANDMEMBER zset", "$1 m"),
        ] {
            let mut check = |count: &str, expected: &str| {
                let words = format!("{command} {count}");
                assert_eq!(session.run(&words), expected, "{words}");
            };
            check("0", "*0");
            check("9223372036854775807", &format!("*1 {element}"));
            check("-2", &format!("*2 {element} {element}"));
            check("-268435457", "-ERR value is out of range");
            check("-9223372036854775808", between);
            check("x", "-ERR value is not an integer or out of range");
        }
    }

    #[test]
    fn repetitions_end_where_the_client_is_cut_off() {
        let mut session = Session::new();
        session.config_mut().client_output_buffer_limit.normal.hard = 100_000;
        session.run("HSET hash f v");
        let reply = session.run("HRANDFIELD hash -999999999");
        let elements = reply.matches("$1").count();
        assert!((14_000..20_000).contains(&elements), "{elements}");
    }
}
