//! Directives of parts that are not built. Most only lie there until their part is, but a server that went on
//! without these would not be what was asked for: open to everybody, without encryption, or a primary of its own.

use super::parse::Fault;
use super::types::{Config, Text};

/// What a configuration asks for that would be missed.
pub fn missed(config: &Config) -> Vec<Fault> {
    let user = config.users.iter().find(|user| restricts(user, config));
    let found = [
        user.map(|_| "user: users and their rules are not built yet, and the server would be open to everybody"),
        (!config.aclfile.is_empty())
            .then_some("aclfile: users and their rules are not built yet, and the server would be open to everybody"),
        (config.tls_port != 0)
            .then_some("tls-port: TLS is not built yet, and nothing would listen there"),
        config
            .replicaof
            .as_ref()
            .map(|_| "replicaof: replication is not built yet, and the server would take writes as a primary"),
        (!config.modules.is_empty())
            .then_some("loadmodule: modules cannot be loaded, and their commands would be missing"),
    ];
    let reasons = found.into_iter().flatten();
    reasons
        .map(|reason| Fault {
            place: None,
            reason: reason.to_owned(),
        })
        .collect()
}

/// Whether a user's rules say something else than that anybody may do everything, which is what a server writes
/// who was told nothing. The one password of `requirepass` is kept without them.
fn restricts(user: &[Text], config: &Config) -> bool {
    const OPEN: [&[u8]; 9] = [
        b"on",
        b"nopass",
        b"sanitize-payload",
        b"skip-sanitize-payload",
        b"~*",
        b"allkeys",
        b"&*",
        b"allchannels",
        b"allcommands",
    ];
    let mut words = user.iter().map(|word| &word[..]);
    let is_default = words.next() == Some(b"default");
    let mut passwords = 0;
    let is_open = words.all(|word| {
        let is_password = matches!(word.first(), Some(b'#' | b'>'));
        passwords += usize::from(is_password);
        is_password || OPEN.contains(&word) || word == b"+@all"
    });
    let is_kept = passwords == 0 || (passwords == 1 && !config.requirepass.is_empty());
    !(is_default && is_open && is_kept)
}

#[cfg(test)]
mod tests {
    use super::missed;
    use crate::server::config::{Loader, Origin};

    #[test]
    fn what_would_be_missed_is_named() {
        let check = |text: &str, expected: &[&str]| {
            let loader = Loader::new().text(Origin::StandardInput, text.as_bytes());
            let (config, _) = loader.finish().expect("nothing else is wrong");
            let faults = missed(&config);
            let names: Vec<&str> = faults
                .iter()
                .filter_map(|fault| Some(fault.reason.split_once(':')?.0))
                .collect();
            assert_eq!(names, expected, "{text}");
        };
        check("port 7000\nrequirepass secret", &[]);
        check("user default on nopass ~* &* +@all", &[]);
        check("user default on nopass sanitize-payload ~* &* +@all", &[]);
        check("user default on #abc ~* &* +@all\nrequirepass abc", &[]);
        check("user default on #abc ~* &* +@all", &["user"]);
        check("user default off", &["user"]);
        check("user default on nopass ~app:* +@all", &["user"]);
        check("user other on nopass ~* &* +@all", &["user"]);
        check("aclfile /users.acl", &["aclfile"]);
        check(
            "tls-port 7001\nreplicaof other 6379",
            &["tls-port", "replicaof"],
        );
        // It is said in the log: clients of a cluster find out at once.
        check("cluster-enabled yes", &[]);
        check("loadmodule /module.so", &["loadmodule"]);
    }
}
