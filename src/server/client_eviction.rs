//! `maxmemory-clients`: the connections that take the most memory are ended when all together take too
//! much.
//!
//! Clients are filed by size in an ordered set, from which the largest is taken; nobody looks through
//! them. The event loop files a client anew ([`note`]) after anything that may have changed its size,
//! which costs a comparison if it has not. While there is no limit nothing is filed.

use crate::server::client::{Client, Closing, Slot};
use crate::server::state::Server;
use std::collections::BTreeSet;

/// The sizes of all clients, as far as there is a limit.
#[derive(Default)]
pub struct ClientEviction {
    /// Bytes that clients may take together; 0 for no limit.
    limit: usize,
    /// Bytes that they take.
    total: usize,
    /// By slot.
    filed: Vec<Filed>,
    /// Those that can be evicted.
    by_size: BTreeSet<(usize, Slot)>,
}

/// What a client is filed under.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Filed {
    bytes: usize,
    /// Whether it is in `by_size`.
    evictable: bool,
}

impl Filed {
    /// What a client is to be filed under that holds `beside` bytes more than it knows.
    fn of(client: Option<&Client>, beside: usize) -> Filed {
        match client {
            Some(client) if client.closing != Some(Closing::Now) => Filed {
                bytes: client.memory() + beside,
                evictable: !client.no_evict,
            },
            _ => Filed::default(),
        }
    }
}

impl ClientEviction {
    /// Whether there is a limit.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.limit != 0
    }

    fn file(&mut self, slot: Slot, new: Filed) {
        if self.filed.len() <= slot {
            self.filed.resize(slot + 1, Filed::default());
        }
        let old = std::mem::replace(&mut self.filed[slot], new);
        if old == new {
            return;
        }
        self.total = self.total - old.bytes + new.bytes;
        if old.evictable {
            let was_there = self.by_size.remove(&(old.bytes, slot));
            assert!(was_there, "a client is filed under its size");
        }
        if new.evictable {
            self.by_size.insert((new.bytes, slot));
        }
    }
}

/// Puts a changed limit into force.
pub fn note_config(server: &mut Server) {
    let limit = server.config.maxmemory_clients;
    let limit = limit.bytes(server.config.maxmemory) as usize;
    let was_on = server.client_eviction.is_on();
    server.client_eviction.limit = limit;
    if limit == 0 {
        server.client_eviction = ClientEviction::default();
    } else if !was_on {
        for client in server.clients.iter() {
            let filed = Filed::of(Some(client), 0);
            server.client_eviction.file(client.slot, filed);
        }
    }
}

/// Files a client anew that may have grown or shrunk, or gone, and holds `beside` bytes more than it
/// knows.
#[inline]
pub fn note(server: &mut Server, slot: Slot, beside: usize) {
    if server.client_eviction.is_on() {
        let filed = Filed::of(server.clients.get(slot), beside);
        server.client_eviction.file(slot, filed);
    }
}

/// Ends the connections of the largest clients until the others are within the limit.
#[inline]
pub fn evict(server: &mut Server) {
    if server.client_eviction.is_on() {
        while server.client_eviction.total > server.client_eviction.limit {
            if !evict_largest(server) {
                return;
            }
        }
    }
}

#[cold]
fn evict_largest(server: &mut Server) -> bool {
    let Some(&(_, slot)) = server.client_eviction.by_size.last() else {
        return false;
    };
    tracing::info!("Evicting client: {}", server.describe(slot));
    server.stats.evicted_clients += 1;
    server.close_client(slot, Closing::Now);
    note(server, slot, 0);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{hash, rng::Rng};
    use crate::server::client::Endpoint;
    use crate::server::config::{Config, MemoryOrPercent};

    fn server_with(queries: &[usize]) -> Server {
        let mut server = Server::new(Config::default(), &[], hash::process(), Rng::from_seed(1));
        for &bytes in queries {
            let end = || Endpoint::tcp(([127, 0, 0, 1], 6379));
            let slot = server.add_client(3, end(), end());
            set_room(&mut server, slot, bytes);
        }
        server
    }

    fn set_room(server: &mut Server, slot: Slot, bytes: usize) {
        let query = &mut server.clients.at_mut(slot).query;
        query.take();
        query.give_back(Vec::with_capacity(bytes).into());
    }

    fn limit(server: &mut Server, bytes: usize) {
        server.config.maxmemory_clients = MemoryOrPercent::Bytes(bytes as u64);
        note_config(server);
        evict(server);
    }

    #[test]
    fn the_largest_go_first_and_no_more_than_needed() {
        let mut server = server_with(&[1000, 5000, 3000, 4000]);
        let fixed = size_of::<Client>();
        let check = |server: &Server, expected: &[Slot]| {
            let open = server.clients.iter().filter(|c| c.closing.is_none());
            let open: Vec<Slot> = open.map(|client| client.slot).collect();
            assert_eq!(open, expected);
        };
        limit(&mut server, 13_000 + 4 * fixed);
        check(&server, &[0, 1, 2, 3]);
        limit(&mut server, 8_000 + 3 * fixed);
        check(&server, &[0, 2, 3]);
        server.clients.at_mut(3).no_evict = true;
        note(&mut server, 3, 0);
        limit(&mut server, 5_000 + 2 * fixed);
        check(&server, &[0, 3]);
        assert_eq!(server.stats.evicted_clients, 2);
        limit(&mut server, 1);
        check(&server, &[3]);
    }

    #[test]
    fn what_goes_and_grows_is_counted() {
        let mut server = server_with(&[100, 200]);
        limit(&mut server, 1 << 20);
        let before = server.client_eviction.total;
        server.forget_client(1);
        assert_eq!(
            server.client_eviction.total,
            before - 200 - size_of::<Client>()
        );
        set_room(&mut server, 0, 500);
        note(&mut server, 0, 7);
        assert_eq!(
            server.client_eviction.total,
            before - 200 - size_of::<Client>() + 400 + 7
        );
        limit(&mut server, 0);
        assert!(server.client_eviction.by_size.is_empty());
    }
}
