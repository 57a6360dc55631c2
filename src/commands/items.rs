//! Elements of collections as replies.

use crate::data::listpack::Item;
use crate::resp::reply::Reply;

/// Replies with an element as a bulk string.
#[inline]
pub(super) fn reply_item(reply: &mut Reply, item: Item<'_>) {
    match item {
        Item::Int(n) => reply.bulk_int(n),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}
