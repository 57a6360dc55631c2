//! A stream as a value of the keyspace. It is always big: even a short one has IDs and counters that no
//! listpack holds. One without entries keeps its key, for the sake of its last ID and its groups.

use super::value::{Big, Collection, Stored, Type};
pub use crate::data::stream::Stream;

impl Collection for Box<Stream> {
    const KIND: Type = Type::Stream;

    fn new_in(_buffer: Vec<u8>) -> Box<Stream> {
        Box::default()
    }

    fn from_stored(stored: Stored) -> Box<Stream> {
        match stored {
            Stored::Big(Big::Stream(stream)) => stream,
            _ => panic!("the entry of a stream holds something else"),
        }
    }

    fn into_stored(self) -> Stored {
        Stored::Big(Big::Stream(self))
    }

    fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::Hasher;
    use crate::base::rng::Rng;
    use crate::data::stream::{Keep, Limits, StreamId, Trim};
    use crate::keyspace::Keyspace;
    use crate::keyspace::value::NewValue;

    fn append(stream: &mut Stream, ms: u64) {
        let fields = [&b"a"[..], b"1"].into_iter();
        let added = stream
            .log
            .append(StreamId::new(ms, 0), fields, Limits::default());
        assert_eq!(added, Ok(()));
    }

    #[test]
    fn a_stream_lives_in_the_keyspace() {
        let mut keyspace = Keyspace::new(1, Hasher::new(1, 2), Rng::from_seed(1));
        let (key, other) = (keyspace.key(b"key"), keyspace.key(b"other"));
        let db = keyspace.db_mut(0);
        let value = NewValue::Big(Big::Stream(Box::default()));
        let place = db.insert(key, value, None, 0);
        let mut buffer = Vec::new();
        let ((), emptied) = db.edit(key, place, &mut buffer, |stream: &mut Box<Stream>| {
            (1..=300).for_each(|ms| append(stream, ms));
            let group = stream.groups.create(b"group", StreamId::MIN, None);
            let group = group.expect("a new one");
            let consumer = group.create_consumer(b"consumer", 5).expect("a new one");
            group.deliver(StreamId::new(7, 0), consumer, 5);
        });
        assert!(!emptied);
        let entry = db.entry(place);
        assert_eq!((entry.kind(), entry.encoding()), (Type::Stream, "stream"));
        assert!(entry.string().is_none() && entry.zset().is_none() && entry.packed().is_none());
        assert!(entry.allocated() > 300 * 8);

        let copy = entry.value_copy();
        assert_eq!(copy.kind(), Type::Stream);
        let NewValue::Big(big) = copy else {
            panic!("a stream is big");
        };
        assert!(big.weight() > 3, "nodes and groups count");
        let copied = db.insert(other, NewValue::Big(big), Some(1), 0);

        let ((), emptied) = db.edit(key, place, &mut buffer, |stream: &mut Box<Stream>| {
            stream.log.trim(Trim {
                keep: Keep::Newest(0),
                approximate: false,
                limit: 0,
            });
        });
        assert!(!emptied, "a stream without entries keeps its key");
        let stream = db.entry(place).stream().expect("a stream");
        assert_eq!((stream.log.len(), stream.log.last_id().ms), (0, 300));
        let copy = db.entry(copied).stream().expect("a stream");
        assert_eq!((copy.log.len(), copy.groups.len()), (300, 1));
        let group = copy.groups.get(b"group").expect("it was copied");
        assert_eq!(group.pending_count(), 1);
    }
}
