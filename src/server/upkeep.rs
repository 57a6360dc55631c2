//! What happens to clients by the clock: each is looked at about once a second, a few at a time.

use crate::server::client::{Client, Closing, Slot};
use crate::server::client_eviction;
use crate::server::limits;
use crate::server::state::Server;

/// Looked at in one run, even if all would get their turn with fewer.
const VISITS_MIN: usize = 5;
/// A silent client gives all room of its buffer back after this time.
const SILENT_MS: i64 = 2_000;
/// How long a large reply is remembered.
const REPLY_PEAK_KEPT_MS: i64 = 5_000;

/// Looks after the next clients; called `runs` times a second.
pub fn visit_some(server: &mut Server, runs: usize) {
    let slots = server.clients.slots();
    let visits = (slots / runs).max(VISITS_MIN).min(slots);
    for _ in 0..visits {
        server.upkeep_slot = (server.upkeep_slot + 1) % slots;
        visit(server, server.upkeep_slot);
    }
}

fn visit(server: &mut Server, slot: Slot) {
    let now_ms = server.now_ms();
    let timeout_s = server.config.timeout as i64;
    let Some(client) = server.clients.get_mut(slot) else {
        return;
    };
    tidy(client, now_ms);
    client_eviction::note(server, slot, 0);
    let client = server.clients.at(slot);
    let is_over_soft_limit = client.soft_limit_since_s.is_some();
    let has_timed_out =
        timeout_s != 0 && now_ms - client.active_ms > timeout_s * 1000 && !client.is_listening();
    if is_over_soft_limit {
        limits::check_output(server, slot);
    }
    if has_timed_out {
        tracing::debug!("Closing idle client");
        server.close_client(slot, Closing::Now);
    }
}

/// Gives back room of the client's buffer that it did not use lately, all of it if it is silent.
fn tidy(client: &mut Client, now_ms: i64) {
    let announced = limits::announced_room(client.progress().bytes_needed());
    let (room, peak) = (client.query.capacity(), client.query_peak().max(announced));
    client.forget_query_peak();
    if now_ms - client.active_ms > SILENT_MS {
        client.query.shrink_to_fit();
    } else if room > 2 * limits::QUERY_ROOM_MIN && peak < room / 2 {
        client.query.shrink_to(peak.max(limits::QUERY_ROOM_MIN));
    }
    if now_ms - client.reply_peak_ms > REPLY_PEAK_KEPT_MS {
        (client.reply_peak, client.reply_peak_ms) = (0, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::client::Endpoint;

    fn client(len: usize, room: usize) -> Client {
        let end = Endpoint::unix("/socket");
        let mut client = Client::new(1, 0, 3, end.clone(), end, 0);
        client.query.reserve_exact(room);
        client.query.resize(len, 0);
        client.note_query(len);
        client
    }

    #[test]
    fn buffers_shrink_when_they_are_not_used() {
        const KIB: usize = 1 << 10;
        let check = |len, room, visits_ms: &[i64], expected| {
            let mut client = client(len, room);
            visits_ms
                .iter()
                .for_each(|&now_ms| tidy(&mut client, now_ms));
            assert_eq!(
                client.query.capacity(),
                expected,
                "{len} of {room}, visits at {visits_ms:?}"
            );
            assert_eq!(client.query.len(), len);
        };
        check(0, 16 * KIB, &[1000, 2000], 16 * KIB);
        check(0, 16 * KIB, &[1000, 2000, 3000], 0);
        check(0, 400 * KIB, &[1000], 16 * KIB);
        check(40 * KIB, 400 * KIB, &[1000], 40 * KIB);
        check(300 * KIB, 400 * KIB, &[1000, 2000], 400 * KIB);
        check(300 * KIB, 400 * KIB, &[1000, 2000, 3000], 300 * KIB);
    }

    #[test]
    fn a_buffer_used_since_the_last_visit_stays() {
        let mut client = client(0, 400 << 10);
        client.note_query(300 << 10);
        tidy(&mut client, 1000);
        assert_eq!(client.query.capacity(), 400 << 10);
        tidy(&mut client, 2000);
        assert_eq!(client.query.capacity(), limits::QUERY_ROOM_MIN);
    }
}
