//! A client in one line, as CLIENT LIST and the log show it.

use crate::resp::reply::Proto;
use crate::server::client::{Client, Closing, Endpoint, unusual};
use crate::server::pubsub::Kind;
use crate::server::state::Server;

/// The line, without a line end. `request_bytes` is the size of the client's request in progress.
pub fn line(server: &Server, client: &Client, request_bytes: usize) -> String {
    let now_ms = server.now_ms();
    let label = client.label.as_deref();
    let text = |bytes: Option<&Vec<u8>>| {
        bytes
            .map(|b| String::from_utf8_lossy(b).into_owned())
            .unwrap_or_default()
    };
    let command = client
        .last_command
        .map_or("NULL", |id| server.commands.get(id).full_name.as_str());
    let (out_chunks, out_bytes) = (client.out.count(), client.out.bytes());
    let query_free = client.query.capacity() - client.query.len();
    // All clients share one reply buffer; this is the room that this one's replies took of it lately.
    let reply_room = client
        .reply_peak
        .next_power_of_two()
        .clamp(1 << 10, 16 << 10);
    let transaction = client.transaction.as_deref();
    let multi_bytes = transaction.map_or(0, |t| t.queue_bytes());
    let queued = match transaction {
        Some(transaction) if client.is_in_multi() => transaction.len() as i64,
        _ => -1,
    };
    let total = client.memory() + request_bytes;
    format!(
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} capa={} db={} sub={} psub={} ssub={} multi={} watch={} \
         qbuf={} qbuf-free={query_free} argv-mem={request_bytes} multi-mem={multi_bytes} rbs={reply_room} rbp={} obl=0 oll={out_chunks} \
         omem={out_bytes} tot-mem={total} events={} cmd={command} user={} redir={} resp={} lib-name={} lib-ver={} \
         tot-net-in={} tot-net-out={} tot-cmds={}",
        client.id,
        client.peer,
        client.local,
        client.fd,
        text(label.map(|l| &l.name)),
        (now_ms - client.created_ms).max(0) / 1000,
        (now_ms - client.active_ms).max(0) / 1000,
        flags(client),
        if client.can_redirect { "r" } else { "" },
        client.db,
        client.subscribed_to(Kind::Channel),
        client.subscribed_to(Kind::Pattern),
        client.subscribed_to(Kind::Shard),
        queued,
        transaction.map_or(0, |t| t.watched()),
        unread_bytes(client),
        client.reply_peak,
        if client.out.is_empty() { "r" } else { "rw" },
        client.user(),
        client
            .tracking
            .as_ref()
            .map_or(-1, |tracking| tracking.mode.redirect as i64),
        if client.proto == Proto::Resp3 { 3 } else { 2 },
        text(label.map(|l| &l.lib_name)),
        text(label.map(|l| &l.lib_version)),
        client.bytes_in,
        client.bytes_out,
        client.commands,
    )
}

/// The bytes received of what is no whole request, without those in front of an argument of which a part
/// has come.
fn unread_bytes(client: &Client) -> usize {
    /// A marker, the digits of a length and a line end.
    const HEADER_MAX: usize = 1 + 20 + 2;
    let rest = client
        .query
        .bytes()
        .get(client.query.progress().argument_at()..);
    let header = rest.filter(|rest| rest.starts_with(b"$"));
    let header = header.map(|rest| &rest[..rest.len().min(HEADER_MAX)]);
    match header.and_then(|header| memchr::memchr(b'\n', header)) {
        Some(end) => client.query.len() - client.query.progress().argument_at() - end - 1,
        None => client.query.len(),
    }
}

/// The letters of `flags=`.
fn flags(client: &Client) -> String {
    let mut flags = String::new();
    if client.unusual & unusual::MONITOR != 0 {
        flags.push('O');
    }
    if client.is_subscribed() {
        flags.push('P');
    }
    if client.is_in_multi() {
        flags.push('x');
    }
    if client.is_held() {
        flags.push('b');
    }
    if let Some(tracking) = &client.tracking {
        flags.push('t');
        if tracking.is_broken {
            flags.push('R');
        }
        if tracking.mode.broadcast {
            flags.push('B');
        }
    }
    let transaction = client.transaction.as_ref();
    if transaction.is_some_and(|transaction| transaction.is_touched()) {
        flags.push('d');
    }
    if client.closing == Some(Closing::AfterReplies) {
        flags.push('c');
    }
    if client.closing == Some(Closing::Now) {
        flags.push('A');
    }
    if matches!(client.peer, Endpoint::Unix(_)) {
        flags.push('U');
    }
    if client.no_evict {
        flags.push('e');
    }
    if client.no_touch {
        flags.push('T');
    }
    if flags.is_empty() {
        flags.push('N');
    }
    flags
}
