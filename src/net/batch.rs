//! One batch of requests: what was read from the ready sockets, cut into requests, with the buckets
//! of the next keys under way to the cache while one runs.
//!
//! ```text
//! inbox   | client 7: SET.. GET.. GE | client 3: INCR.. | …
//! regions   7: frames 0..2, rest "GE"   3: frames 2..3
//! frames    argv spans, command, key hashes
//! ```

use crate::resp::encode;
use crate::resp::reply::Reply;
use crate::resp::request::{Argv, Limits, Parsed, ProtocolError, Span, parse};
use crate::server::client::Slot;
use crate::server::command::NO_AUTH;
use crate::server::cx::KeyHashes;
use crate::server::exec::{self, Done};
use crate::server::registry::Resolved;
use crate::server::state::Server;

/// Keys of one request that are hashed ahead: all of an MSET of this many, the first ones of more.
const HASHES_MAX: usize = 64;
/// Requests whose memory is fetched together. While one group runs, the next one's entries and the
/// buckets of the one after it are under way. Fetching one by one is slower, since each waits for its
/// own address translation; fetching for a whole batch at once too, since the first translations are
/// forgotten before they are used.
const GROUP: usize = 16;
/// Replies beyond this are sent before the next request runs: what is written over and over stays in the cache, and
/// needs no new memory each time.
pub(super) const REPLY_BYTES_MAX: usize = 256 << 10;

/// A client's bytes are cut into so many requests at once, or into a little more than so many bytes: what they come to
/// takes memory, and a request that waits has those behind it cut again.
const FRAMES_MAX: usize = 1024;
const CUT_BYTES_MAX: usize = 64 << 10;
/// Deliveries beyond this are made before the next request runs.
const DELIVERIES_MAX: usize = 1 << 16;

/// Whether what the requests of a client caused others to be sent must be sent before its next one runs:
/// because it may itself be among those, and what it is sent has its place among its replies, or because
/// it has become much.
#[cold]
fn must_deliver(server: &Server, slot: Slot) -> bool {
    server.deliveries.len() > DELIVERIES_MAX || server.clients.at(slot).is_listening()
}

/// A request, cut but not run.
struct Frame {
    /// Where it begins in the buffer.
    at: usize,
    spans: (u32, u32),
    hashes: (u32, u32),
    resolved: Resolved,
}

/// A client's part of the batch.
struct Region {
    slot: Slot,
    db: usize,
    frames: (usize, usize),
    /// Where the bytes begin that no frame holds.
    rest: usize,
    /// Where its bytes end.
    end: usize,
    error: Option<ProtocolError>,
}

/// Requests of one or more clients that lie in one buffer.
#[derive(Default)]
pub(super) struct Batch {
    spans: Vec<Span>,
    hashes: Vec<u64>,
    frames: Vec<Frame>,
    regions: Vec<Region>,
    /// Whether the last region runs scripts.
    runs_scripts: bool,
    /// The most spans and frames that there were since the last look.
    peaks: (usize, usize),
}

/// What cutting a client's bytes came to.
pub(super) struct Cut {
    /// Where the first byte lies that no request of the batch holds.
    pub(super) rest: usize,
    /// Whether there may be whole requests among the rest, to be cut after this batch ran.
    pub(super) again: bool,
    /// Whether the bytes are no request, so that the rest means nothing.
    pub(super) failed: bool,
}

/// How far a region ran.
pub(super) enum Ran {
    /// To its end.
    Whole,
    /// Up to this frame, because many replies have gathered.
    UpTo(usize),
    /// Up to a request that must wait; these bytes are it and what came after it, to be cut again.
    Postponed(Vec<u8>),
    /// Up to a request that was taken and waits for a key; these bytes are what came after it.
    Parked(Vec<u8>),
}

impl Batch {
    /// Forgets all requests.
    pub(super) fn clear(&mut self) {
        self.peaks.0 = self.peaks.0.max(self.spans.len());
        self.peaks.1 = self.peaks.1.max(self.frames.len());
        self.spans.clear();
        self.hashes.clear();
        self.frames.clear();
        self.regions.clear();
        self.runs_scripts = false;
    }

    /// Whether a request of the last client may run scripts.
    #[inline]
    pub(super) fn runs_scripts(&self) -> bool {
        self.runs_scripts
    }

    /// Gives up room that no batch has needed since the last call: a request of a million arguments must
    /// not keep its spans for ever.
    pub(super) fn trim(&mut self) {
        let (spans, frames) = std::mem::take(&mut self.peaks);
        self.spans.shrink_to(2 * spans);
        self.hashes.shrink_to(2 * spans);
        self.frames.shrink_to(2 * frames);
        self.regions.shrink_to(2 * frames);
    }

    /// The number of clients with requests in the batch.
    pub(super) fn regions(&self) -> usize {
        self.regions.len()
    }

    /// Cuts the bytes `start..` of `buffer`, which ends where the client's bytes end, into requests.
    pub(super) fn cut(
        &mut self,
        server: &mut Server,
        slot: Slot,
        buffer: &mut [u8],
        start: usize,
    ) -> Cut {
        let client = server.clients.at_mut(slot);
        let limits = Limits {
            bulk_bytes_max: server.config.proto_max_bulk_len as usize,
            authenticated: client.is_authenticated(),
        };
        let mut progress = client.query.progress();
        let db = client.db;
        let first = self.frames.len();
        let (frames_max, bytes_max) = (first + FRAMES_MAX, start + CUT_BYTES_MAX);
        let mut cut = Cut {
            rest: start,
            again: false,
            failed: false,
        };
        let mut error = None;
        while cut.rest < buffer.len() {
            let spans_from = self.spans.len();
            match parse(buffer, cut.rest, &mut self.spans, &limits, &mut progress) {
                Parsed::Request { consumed } => {
                    self.add(server, buffer, cut.rest, spans_from);
                    cut.rest += consumed;
                    let is_much = self.frames.len() == frames_max || cut.rest >= bytes_max;
                    if is_much || !limits.authenticated && self.last_may_authenticate(server) {
                        cut.again = cut.rest < buffer.len();
                        break;
                    }
                }
                Parsed::Empty { consumed } => cut.rest += consumed,
                Parsed::Incomplete => break,
                Parsed::Error(e) => {
                    cut.failed = true;
                    error = Some(e);
                    break;
                }
            }
        }
        server.clients.at_mut(slot).query.set_progress(progress);
        self.regions.push(Region {
            slot,
            db,
            frames: (first, self.frames.len()),
            rest: cut.rest,
            end: buffer.len(),
            error,
        });
        cut
    }

    /// Adds a request whose spans were just found: looks its command up and hashes its keys.
    #[inline]
    fn add(&mut self, server: &Server, buffer: &[u8], at: usize, spans_from: usize) {
        let argv = Argv::new(buffer, &self.spans[spans_from..]);
        let resolved = server.commands.resolve(argv.at(0), argv.get(1));
        let hashes_from = self.hashes.len();
        if let Resolved::Found(id) = resolved {
            let registered = server.commands.get(id);
            self.runs_scripts |= registered.runs_scripts;
            let keys = registered.keys;
            if keys.first > 0 {
                let indexes = (keys.first..keys.end(argv)).step_by(keys.step);
                for index in indexes.take(HASHES_MAX) {
                    let hash = server.keyspace.hasher().hash(argv.at(index));
                    self.hashes.push(hash);
                }
            }
        }
        self.frames.push(Frame {
            at,
            spans: (spans_from as u32, self.spans.len() as u32),
            hashes: (hashes_from as u32, self.hashes.len() as u32),
            resolved,
        });
    }

    /// Whether the last request may be one after which its client may send more.
    #[cold]
    fn last_may_authenticate(&self, server: &Server) -> bool {
        let resolved = self.frames.last().map(|frame| frame.resolved);
        matches!(resolved, Some(Resolved::Found(id)) if server.commands.get(id).command.flags & NO_AUTH != 0)
    }

    /// The client of a region, and the error that ends its bytes.
    pub(super) fn region(&self, index: usize) -> (Slot, Option<ProtocolError>) {
        let region = &self.regions[index];
        (region.slot, region.error)
    }

    /// The bytes of a region that no request holds.
    pub(super) fn uncut(&self, index: usize) -> std::ops::Range<usize> {
        let region = &self.regions[index];
        region.rest..region.end
    }

    /// Runs the requests of a region, from frame `from` of it on.
    pub(super) fn run(
        &self,
        server: &mut Server,
        buffer: &[u8],
        reply: &mut Reply,
        index: usize,
        from: usize,
    ) -> Ran {
        let region = &self.regions[index];
        let enough = reply.len() + REPLY_BYTES_MAX;
        for i in region.frames.0 + from..region.frames.1 {
            let frame = &self.frames[i];
            if i.is_multiple_of(GROUP) {
                self.prefetch_entries(server, region.db, i + GROUP);
                self.prefetch_buckets(server, region.db, i + 2 * GROUP);
            }
            if server.clients.at(region.slot).closing.is_some() {
                break;
            }
            let argv = Argv::new(
                buffer,
                &self.spans[frame.spans.0 as usize..frame.spans.1 as usize],
            );
            let hashes = &self.hashes[frame.hashes.0 as usize..frame.hashes.1 as usize];
            let known = match frame.resolved {
                Resolved::Found(id) if !hashes.is_empty() => {
                    let keys = server.commands.get(id).keys;
                    KeyHashes {
                        first: keys.first,
                        step: keys.step,
                        hashes,
                    }
                }
                _ => KeyHashes::default(),
            };
            server.request_bytes = region.rest - frame.at;
            match exec::request(server, reply, region.slot, frame.resolved, argv, known) {
                Done::Answered => {}
                Done::Postponed => return Ran::Postponed(self.unrun(buffer, region, i)),
                Done::Parked => return Ran::Parked(self.unrun(buffer, region, i + 1)),
            }
            if reply.len() > enough
                || (!server.deliveries.is_empty() && must_deliver(server, region.slot))
            {
                return Ran::UpTo(i + 1 - region.frames.0);
            }
        }
        Ran::Whole
    }

    /// The bytes of a region's requests from a frame on, and of what is no request behind them. An inline request
    /// was unquoted where it lay and could not be cut again, so it is put as an array.
    #[cold]
    fn unrun(&self, buffer: &[u8], region: &Region, from: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for i in from..region.frames.1 {
            let frame = &self.frames[i];
            let spans = &self.spans[frame.spans.0 as usize..frame.spans.1 as usize];
            // Where an array stood, its first argument does not.
            let is_inline = buffer[frame.at] != b'*' || spans[0].range().start == frame.at;
            if is_inline {
                encode::command(&mut bytes, Argv::new(buffer, spans).iter());
                continue;
            }
            let is_last = i + 1 == region.frames.1;
            let end = if is_last {
                region.rest
            } else {
                self.frames[i + 1].at
            };
            bytes.extend_from_slice(&buffer[frame.at..end]);
        }
        match region.error {
            None => {}
            // These were unquoted too, up to where that failed.
            Some(ProtocolError::UnbalancedQuotes) => bytes.extend_from_slice(b"\"\r\n"),
            Some(_) => bytes.extend_from_slice(&buffer[region.rest..region.end]),
        }
        bytes
    }

    /// The key hashes of the group of requests that begins at `index`.
    #[inline]
    fn group_hashes(&self, index: usize) -> &[u64] {
        let Some(first) = self.frames.get(index) else {
            return &[];
        };
        let last = &self.frames[(index + GROUP).min(self.frames.len()) - 1];
        &self.hashes[first.hashes.0 as usize..last.hashes.1 as usize]
    }

    #[inline]
    fn prefetch_buckets(&self, server: &Server, db: usize, index: usize) {
        let db = server.keyspace.db(db);
        for &hash in self.group_hashes(index) {
            db.prefetch_bucket(hash);
        }
    }

    #[inline]
    fn prefetch_entries(&self, server: &Server, db: usize, index: usize) {
        let db = server.keyspace.db(db);
        for &hash in self.group_hashes(index) {
            db.prefetch_entry(hash);
        }
    }

    /// Fetches for the first groups; each that runs then fetches for later ones.
    pub(super) fn warm_up(&self, server: &Server) {
        let Some(first) = self.regions.first() else {
            return;
        };
        self.prefetch_buckets(server, first.db, 0);
        self.prefetch_buckets(server, first.db, GROUP);
        self.prefetch_entries(server, first.db, 0);
    }
}
