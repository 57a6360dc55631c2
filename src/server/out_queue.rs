//! Output that waits for a client's socket, in order.
//!
//! Chunks are shared with whoever else is sent the same bytes. A small one is copied behind those that wait already:
//! that is cheaper than a reference to it, which would have to be counted, kept, and named to the system in the write.
//! One chunk, which is what most clients ever wait for, takes no memory beside its own.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// What is small, in bytes.
const COPIED_MAX: usize = 256;

/// Copied chunks are gathered until they are about this many bytes.
const TAIL_MAX: usize = 16 << 10;

/// What waits for one client.
#[derive(Default)]
pub struct OutQueue {
    /// Empty if nothing waits.
    first: Bytes,
    rest: Option<Box<Rest>>,
}

/// What comes after the first chunk.
#[derive(Default)]
struct Rest {
    chunks: VecDeque<Bytes>,
    /// Copies of the small chunks that came after those.
    tail: Vec<u8>,
    /// The bytes of both.
    bytes: usize,
}

impl OutQueue {
    /// Adds a chunk.
    #[inline]
    pub fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
        } else if !chunk.is_empty() {
            self.rest.get_or_insert_default().push(chunk);
        }
    }

    /// Bytes waiting.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.first.len() + self.rest.as_ref().map_or(0, |rest| rest.bytes)
    }

    /// The number of pieces in memory that wait.
    pub fn count(&self) -> usize {
        let rest = self.rest.as_ref();
        let rest = rest.map_or(0, |rest| {
            rest.chunks.len() + usize::from(!rest.tail.is_empty())
        });
        usize::from(!self.first.is_empty()) + rest
    }

    /// The first piece; empty if nothing waits.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// All pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let rest = self.rest.iter().flat_map(|rest| {
            let chunks = rest.chunks.iter().map(|chunk| &chunk[..]);
            chunks.chain([&rest.tail[..]])
        });
        let all = [&self.first[..]].into_iter().chain(rest);
        all.filter(|piece| !piece.is_empty())
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Drops what was sent.
    pub fn consume(&mut self, mut sent: usize) {
        let waiting = self.bytes();
        assert!(sent <= waiting, "no more is sent than waits");
        if sent == waiting {
            *self = OutQueue::default();
            return;
        }
        while sent >= self.first.len() {
            sent -= self.first.len();
            self.first = self.next();
        }
        self.first.advance(sent);
    }

    /// Takes the piece after the first, which there must be.
    fn next(&mut self) -> Bytes {
        let rest = self.rest.as_mut().expect("more waits than the first piece");
        let next = match rest.chunks.pop_front() {
            Some(chunk) => chunk,
            None => Bytes::from(std::mem::take(&mut rest.tail)),
        };
        rest.bytes -= next.len();
        if rest.bytes == 0 {
            self.rest = None;
        }
        next
    }
}

impl Rest {
    fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        if chunk.len() <= COPIED_MAX {
            if self.tail.len() >= TAIL_MAX {
                self.seal();
            }
            self.tail.extend_from_slice(&chunk);
        } else {
            self.seal();
            self.chunks.push_back(chunk);
        }
    }

    /// Makes a chunk of what was copied.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(std::mem::take(&mut self.tail).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OutQueue;
    use bytes::Bytes;
    use proptest::prelude::*;

    proptest! {
        /// Chunks of all sizes, and writes that take any part of what waits.
        #[test]
        fn what_goes_in_comes_out(
            steps in prop::collection::vec((prop::option::of(0..20_000_usize), 0..60_000_usize), 1..60)
        ) {
            let (mut queue, mut model) = (OutQueue::default(), Vec::new());
            for (step, (len, sent)) in steps.into_iter().enumerate() {
                // Most are small.
                let len = len.unwrap_or(sent % 300);
                let chunk = vec![step as u8; len];
                model.extend_from_slice(&chunk);
                queue.push(Bytes::from(chunk));
                prop_assert_eq!(queue.pieces().count(), queue.count());
                prop_assert_eq!(queue.pieces().next().unwrap_or_default(), queue.first());
                prop_assert_eq!(queue.pieces().collect::<Vec<_>>().concat(), model.clone());
                prop_assert_eq!(queue.bytes(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                if step % 3 == 0 {
                    let sent = sent.min(model.len());
                    queue.consume(sent);
                    model.drain(..sent);
                }
            }
            queue.consume(model.len());
            prop_assert!(queue.is_empty() && queue.rest.is_none());
        }
    }

    #[test]
    fn small_chunks_are_gathered() {
        let mut queue = OutQueue::default();
        for _ in 0..1000 {
            queue.push(Bytes::from_static(&[7; 100]));
        }
        assert_eq!(queue.bytes(), 100_000);
        assert!(queue.count() <= 8, "{} pieces", queue.count());
    }
}
