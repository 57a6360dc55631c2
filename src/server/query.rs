//! What a client sent that has not run yet: the start of a request that is not whole, or requests that must wait.
//!
//! The bytes that have run before them are passed over and go when the rest moves anyway, so that a client that sent
//! many megabytes ahead is not charged for all of them with each of its requests.
//!
//! The buffer is sized here too. A client that sends small requests needs none, as they run from the buffer that all
//! share; one whose requests are large keeps its buffer for the next one.

use crate::resp::request::Progress;
use crate::server::limits;
use bytes::Bytes;

/// A request of fewer bytes needs no buffer of its own.
pub const LARGE_MIN: usize = 32 << 10;

/// The bytes, and what is known of them.
#[derive(Default)]
pub struct Query {
    bytes: Vec<u8>,
    /// `None` if nothing is known.
    state: Option<Box<State>>,
}

#[derive(Default)]
struct State {
    /// Bytes that have run.
    start: usize,
    /// How far the request behind them was understood.
    progress: Progress,
    has_requests: bool,
    /// The most bytes that there were since the last look at it.
    peak: usize,
}

impl Query {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start()..]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of memory that the buffer takes.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The bytes of memory that it all takes beside the client itself.
    pub fn heap_bytes(&self) -> usize {
        let state = self.state.as_ref().map_or(0, |_| size_of::<State>());
        self.bytes.capacity() + state
    }

    /// How far the request that comes first was understood.
    #[inline]
    pub fn progress(&self) -> Progress {
        self.state
            .as_ref()
            .map_or(Progress::default(), |state| state.progress)
    }

    /// Remembers how far it was understood.
    #[inline]
    pub fn set_progress(&mut self, progress: Progress) {
        if self.state.is_some() || progress != Progress::default() {
            self.state.get_or_insert_default().progress = progress;
        }
    }

    /// Whether there may be whole requests among the bytes, which are to run before more is read.
    #[inline]
    pub fn has_requests(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.has_requests)
    }

    /// Keeps what is left of what was read, all that there is now. `has_requests` says whether there may be whole
    /// requests in it.
    pub fn keep(&mut self, rest: &[u8], has_requests: bool) {
        self.forget_bytes();
        if rest.is_empty() {
            return;
        }
        let announced = limits::announced_room(self.progress().bytes_needed());
        let room = rest.len().max(announced).max(limits::QUERY_ROOM_MIN);
        self.bytes.reserve_exact(room);
        self.bytes.extend_from_slice(rest);
        let state = self.state.get_or_insert_default();
        state.has_requests = has_requests;
        state.peak = state.peak.max(rest.len());
    }

    /// Puts requests that were cut, and must wait, back in front of what came behind them.
    pub fn put_back(&mut self, unrun: &[u8]) {
        if unrun.is_empty() {
            return;
        }
        let state = self.state.get_or_insert_default();
        (state.progress, state.has_requests) = (Progress::default(), true);
        if let Some(start) = state.start.checked_sub(unrun.len()) {
            // There is room where they lay.
            self.bytes[start..state.start].copy_from_slice(unrun);
            state.start = start;
        } else {
            let start = std::mem::take(&mut state.start);
            self.bytes.splice(..start, unrun.iter().copied());
        }
    }

    /// Whether there may be whole requests among the bytes, as when the client could not run any when they came.
    pub fn note_requests(&mut self, may_be: bool) {
        let may_be = may_be && !self.is_empty();
        if may_be != self.has_requests() {
            self.state.get_or_insert_default().has_requests = may_be;
        }
    }

    /// Takes the buffer out; it comes back by [`Query::give_back`].
    pub fn take(&mut self) -> Buffer {
        let state = self.state.as_mut();
        Buffer {
            start: state.map_or(0, |state| std::mem::take(&mut state.start)),
            bytes: std::mem::take(&mut self.bytes),
        }
    }

    /// Takes the buffer back, which nothing has replaced.
    pub fn give_back(&mut self, buffer: Buffer) {
        assert!(self.bytes.is_empty(), "what was taken out is not there");
        self.bytes = buffer.bytes;
        if buffer.start != 0 {
            self.state.get_or_insert_default().start = buffer.start;
        }
    }

    /// Takes out the first `count` bytes, which are to run, in a buffer of their own; there may be more whole requests
    /// behind them if `has_requests`. Whichever part is smaller moves.
    pub fn split(&mut self, count: usize, has_requests: bool) -> Buffer {
        let state = self.state.get_or_insert_default();
        let (start, end) = (state.start, state.start + count);
        state.peak = state.peak.max(self.bytes.len() - start);
        state.has_requests = has_requests;
        if self.bytes.len() - end > count {
            state.start = end;
            let bytes = self.bytes[start..end].to_vec();
            return Buffer { bytes, start: 0 };
        }
        state.start = 0;
        let rest = self.bytes[end..].to_vec();
        let mut bytes = std::mem::replace(&mut self.bytes, rest);
        bytes.truncate(end);
        Buffer { bytes, start }
    }

    /// Takes the buffer of `count` bytes of requests that have run, unless it has one: the next requests are thought
    /// to be as large. `None` if a value has kept it.
    pub fn reuse(&mut self, buffer: Option<Vec<u8>>, count: usize) {
        if self.bytes.capacity() != 0 {
            return;
        }
        match buffer {
            Some(mut buffer) => {
                buffer.clear();
                if count < LARGE_MIN || buffer.capacity() > limits::QUERY_ROOM_KEPT_MAX {
                    buffer.shrink_to(limits::QUERY_ROOM_MIN);
                }
                self.bytes = buffer;
            }
            None if count <= limits::QUERY_ROOM_KEPT_MAX => self.bytes.reserve_exact(count),
            None => {}
        }
    }

    /// Forgets everything: it is no request.
    pub fn clear(&mut self) {
        *self = Query::default();
    }

    /// Gives back room that was not used since the last call; all of it that is not in use if the client is silent.
    pub fn tidy(&mut self, is_silent: bool) {
        let announced = limits::announced_room(self.progress().bytes_needed());
        let (room, peak) = (self.capacity(), self.peak().max(announced));
        self.forget_peak();
        if is_silent {
            self.compact();
            self.bytes.shrink_to_fit();
        } else if room > 2 * limits::QUERY_ROOM_MIN && peak < room / 2 {
            self.compact();
            self.bytes.shrink_to(peak.max(limits::QUERY_ROOM_MIN));
        }
    }

    fn start(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.start)
    }

    fn peak(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.peak)
    }

    /// Forgets how many bytes there were but for the present ones.
    fn forget_peak(&mut self) {
        let len = self.len();
        let Some(state) = &mut self.state else {
            return;
        };
        state.peak = len;
        if len == 0 && state.progress == Progress::default() {
            self.forget_bytes();
            self.state = None;
        }
    }

    fn forget_bytes(&mut self) {
        self.bytes.clear();
        if let Some(state) = &mut self.state {
            (state.start, state.has_requests) = (0, false);
        }
    }

    /// Moves the bytes to the front of the buffer.
    fn compact(&mut self) {
        self.bytes = self.take().into_compact();
    }
}

/// A buffer, and where in it begins what has not run.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// What has not run.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The same, to cut it into requests where it lies.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// The bytes of memory that it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The buffer with nothing before those.
    pub fn into_compact(mut self) -> Vec<u8> {
        self.bytes.drain(..self.start);
        self.bytes
    }

    /// The buffer, to be shared by the values that lie in it, if it holds hardly anything else than one might take.
    pub fn into_shared(self) -> Result<Bytes, Buffer> {
        let len = self.bytes().len();
        if self.bytes.capacity() - len > len / 8 {
            return Err(self);
        }
        Ok(Bytes::from(self.bytes).slice(self.start..))
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Buffer {
        Buffer { bytes, start: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_is_passed_over_and_what_did_not_comes_back() {
        let mut query = Query::default();
        query.keep(b"one two three four ", true);
        let front = query.split(4, true);
        assert_eq!(front.bytes(), b"one ");
        assert_eq!((query.bytes(), query.len()), (&b"two three four "[..], 15));
        assert!(query.has_requests());
        // It fits where it lay; what is longer does not.
        let room = query.capacity();
        query.put_back(b"1 ");
        assert_eq!(query.bytes(), b"1 two three four ");
        query.put_back(b"a longer one ");
        assert_eq!(query.bytes(), b"a longer one 1 two three four ");
        assert_eq!(query.capacity(), room);
        // More than half is to run: what is behind it moves.
        let front = query.split(25, false);
        assert_eq!(front.bytes(), b"a longer one 1 two three ");
        assert_eq!(query.bytes(), b"four ");
        assert!(!query.has_requests());
        query.reuse(Some(front.into_compact()), 25);
        assert_eq!(query.bytes(), b"four ");
        query.put_back(b"");
        assert!(!query.has_requests());
    }

    #[test]
    fn a_buffer_is_read_into_behind_what_has_not_run() {
        let mut query = Query::default();
        query.keep(b"ran and not", true);
        query.split(4, false);
        let mut bytes = query.take().into_compact();
        assert_eq!(bytes, b"and not");
        assert!(query.is_empty());
        bytes.extend_from_slice(b" yet");
        query.give_back(bytes.into());
        assert_eq!(query.bytes(), b"and not yet");
        query.note_requests(true);
        assert!(query.has_requests());
        query.keep(b"", true);
        assert!(query.is_empty() && !query.has_requests());
    }

    #[test]
    fn the_buffer_of_large_requests_is_kept_for_the_next() {
        const KIB: usize = 1 << 10;
        let check = |room: Option<usize>, count, expected| {
            let mut query = Query::default();
            query.reuse(room.map(Vec::with_capacity), count);
            assert_eq!(query.capacity(), expected, "{room:?}, {count}");
        };
        check(Some(100 * KIB), 100 * KIB, 100 * KIB);
        check(Some(100 * KIB), 100, 16 * KIB);
        check(Some(5 << 20), 5 << 20, 16 * KIB);
        check(None, 100 * KIB, 100 * KIB);
        check(None, 5 << 20, 0);
    }

    /// A query of so many bytes in a buffer with so much room.
    fn query(len: usize, room: usize) -> Query {
        let mut bytes = Vec::with_capacity(room);
        bytes.resize(len, 0);
        let mut query = Query::default();
        query.give_back(bytes.into());
        query.note_requests(true);
        query
    }

    #[test]
    fn buffers_shrink_when_they_are_not_used() {
        const KIB: usize = 1 << 10;
        let check = |len, room, visits: &[bool], expected| {
            let mut query = query(len, room);
            visits.iter().for_each(|&is_silent| query.tidy(is_silent));
            assert_eq!(
                query.capacity(),
                expected,
                "{len} of {room}, silent at {visits:?}"
            );
            assert_eq!(query.len(), len);
        };
        check(0, 16 * KIB, &[false, false], 16 * KIB);
        check(0, 16 * KIB, &[false, false, true], 0);
        check(0, 400 * KIB, &[false], 16 * KIB);
        check(300 * KIB, 400 * KIB, &[false, true], 300 * KIB);
        let mut used = query(300 * KIB, 400 * KIB);
        used.split(300 * KIB, false);
        used.reuse(Some(Vec::with_capacity(400 * KIB)), 300 * KIB);
        used.tidy(false);
        assert_eq!(used.capacity(), 400 * KIB);
        used.tidy(false);
        assert_eq!(used.capacity(), 16 * KIB);
    }
}
