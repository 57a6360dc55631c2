//! The filters of CLIENT LIST and CLIENT KILL.

use super::super::args::{self, integer, is};
use crate::resp::error::quotable;
use crate::resp::error::{self, ErrorReply};
use crate::resp::request::Argv;
use crate::server::client::{Client, Closing, Slot};
use crate::server::cx::ServerCx;

/// Which clients are meant: those that pass every filter.
#[derive(Default)]
pub(super) struct Filter<'a> {
    /// One of these ids; any, if there is none.
    ids: Vec<u64>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    kind: Option<Kind>,
    user: Option<&'a [u8]>,
    age_min_s: Option<i64>,
    skip_me: bool,
}

/// What TYPE tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Primary,
    Replica,
    Pubsub,
}

impl Kind {
    /// The kind of a client.
    fn of(client: &Client) -> Kind {
        if client.is_subscribed() {
            Kind::Pubsub
        } else {
            Kind::Normal
        }
    }

    fn parse(name: &[u8]) -> Result<Kind, ErrorReply> {
        match () {
            _ if is(name, "normal") => Ok(Kind::Normal),
            _ if is(name, "master") || is(name, "primary") => Ok(Kind::Primary),
            _ if is(name, "slave") || is(name, "replica") => Ok(Kind::Replica),
            _ if is(name, "pubsub") => Ok(Kind::Pubsub),
            _ => Err(ErrorReply::Bytes(
                [
                    b"ERR Unknown client type '",
                    quotable(name, usize::MAX),
                    b"'",
                ]
                .concat(),
            )),
        }
    }
}

impl<'a> Filter<'a> {
    /// The client with this address.
    pub(super) fn address(address: &'a [u8]) -> Filter<'a> {
        Filter {
            address: Some(address),
            ..Filter::default()
        }
    }

    /// The filters that `options` are; `skip_me` unless they say otherwise.
    pub(super) fn parse(options: Argv<'a>, skip_me: bool) -> Result<Filter<'a>, ErrorReply> {
        let mut filter = Filter {
            skip_me,
            ..Filter::default()
        };
        let mut i = 0;
        while let Some(option) = options.get(i) {
            let value = args::after(options, i)?;
            i += 2;
            if is(option, "ID") {
                filter.add_id(integer(value).map_err(|_| error::SYNTAX)?)?;
                while let Some(Ok(id)) = options.get(i).map(integer) {
                    filter.add_id(id)?;
                    i += 1;
                }
            } else if is(option, "TYPE") {
                filter.kind = Some(Kind::parse(value)?);
            } else if is(option, "ADDR") {
                filter.address = Some(value);
            } else if is(option, "LADDR") {
                filter.local_address = Some(value);
            } else if is(option, "USER") {
                if value != b"default" {
                    return Err(ErrorReply::Bytes(
                        [b"ERR No such user '", value, b"'"].concat(),
                    ));
                }
                filter.user = Some(value);
            } else if is(option, "SKIPME") {
                filter.skip_me = match () {
                    _ if is(value, "YES") => true,
                    _ if is(value, "NO") => false,
                    _ => return Err(error::SYNTAX),
                };
            } else if is(option, "MAXAGE") {
                let age =
                    integer(value).map_err(|_| "ERR maxage is not an integer or out of range")?;
                if age <= 0 {
                    return Err("ERR maxage should be greater than 0".into());
                }
                filter.age_min_s = Some(age);
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(filter)
    }

    fn add_id(&mut self, id: i64) -> Result<(), ErrorReply> {
        if id <= 0 {
            return Err("ERR client-id should be greater than 0".into());
        }
        self.ids.push(id as u64);
        Ok(())
    }

    /// The clients that pass, in the order in which they connected. Those that are being closed are
    /// gone already as far as anybody can tell.
    pub(super) fn select(&self, cx: &ServerCx<'_>) -> Vec<Slot> {
        let now_ms = cx.server.now_ms();
        let passes = |client: &&Client| {
            client.closing != Some(Closing::Now)
                && !(self.skip_me && client.slot == cx.slot)
                && self.accepts(client, now_ms)
        };
        let mut selected: Vec<&Client> = cx.server.clients.iter().filter(passes).collect();
        selected.sort_unstable_by_key(|client| client.id);
        selected.iter().map(|client| client.slot).collect()
    }

    fn accepts(&self, client: &Client, now_ms: i64) -> bool {
        let age_s = (now_ms - client.created_ms) / 1000;
        let is_at = |wanted: Option<&[u8]>, end: &dyn std::fmt::Display| {
            wanted.is_none_or(|wanted| end.to_string().as_bytes() == wanted)
        };
        (self.ids.is_empty() || self.ids.contains(&client.id))
            && self.kind.is_none_or(|kind| kind == Kind::of(client))
            && self
                .user
                .is_none_or(|user| client.user().as_bytes() == user)
            && self.age_min_s.is_none_or(|min| age_s >= min)
            && is_at(self.address, &client.peer)
            && is_at(self.local_address, &client.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::request::OwnedArgv;
    use crate::server::client::Endpoint;

    fn options(text: &str) -> OwnedArgv {
        let words: Vec<&[u8]> = text.split_ascii_whitespace().map(str::as_bytes).collect();
        OwnedArgv::from_slices(&words)
    }

    #[test]
    fn faults() {
        let check = |text: &str, expected: &str| {
            let error = Filter::parse(options(text).as_argv(), false)
                .err()
                .expect(text);
            assert_eq!(error.to_string(), expected, "{text}");
        };
        check("ID", "ERR syntax error");
        check("ID x", "ERR syntax error");
        check("ID 1 2 x", "ERR syntax error");
        check("ID 1 0", "ERR client-id should be greater than 0");
        check("ID 1 99999999999999999999", "ERR syntax error");
        check("TYPE robot", "ERR Unknown client type 'robot'");
        check("USER nobody", "ERR No such user 'nobody'");
        check("SKIPME maybe", "ERR syntax error");
        check("MAXAGE old", "ERR maxage is not an integer or out of range");
        check("MAXAGE 0", "ERR maxage should be greater than 0");
        check("COLOUR red", "ERR syntax error");
    }

    #[test]
    fn a_client_must_pass_every_filter() {
        let (peer, local) = (Endpoint::unix("/there"), Endpoint::unix("/here"));
        let client = Client::new(7, 0, 3, peer, local, 10_000);
        let check = |text: &str, expected: bool| {
            let options = options(text);
            let filter = Filter::parse(options.as_argv(), false).unwrap();
            assert_eq!(filter.accepts(&client, 15_000), expected, "{text}");
        };
        check("", true);
        check("ID 6 7 8", true);
        check("ID 6 8", false);
        check("id 7 type normal user default", true);
        check("ID 7 TYPE pubsub", false);
        check("ADDR /there:0 LADDR /here:0", true);
        check("ADDR /here:0", false);
        check("MAXAGE 5", true);
        check("MAXAGE 6", false);
    }
}
