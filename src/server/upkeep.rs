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
    let may_be_silent = client.parked.is_some() || client.is_subscribed() || client.is_monitor();
    let has_timed_out =
        timeout_s != 0 && now_ms - client.active_ms > timeout_s * 1000 && !may_be_silent;
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
    client.query.tidy(now_ms - client.active_ms > SILENT_MS);
    if now_ms - client.reply_peak_ms > REPLY_PEAK_KEPT_MS {
        (client.reply_peak, client.reply_peak_ms) = (0, now_ms);
    }
}
