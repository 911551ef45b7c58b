//! Parses the replies of stream commands without copying bodies.

use bytes::Bytes;
use harkara_core::entry::EntryId;
use redis::{FromRedisValue, Value};

use super::Idle;

type Fields = Vec<(Bytes, Bytes)>;
pub(super) type Entries = Vec<(EntryId, Fields)>;

/// `XREADGROUP`: entries by stream key; empty if the wait ended without any.
pub(super) fn streams(reply: Value) -> Option<Vec<(String, Entries)>> {
    match reply {
        Value::Nil => Some(Vec::new()),
        Value::Array(streams) => streams
            .into_iter()
            .map(|stream| {
                let [key, found] = pair(stream)?;
                Some((text(key)?, entries(found)?))
            })
            .collect(),
        _ => None,
    }
}

/// `XCLAIM`: entries, without those that were deleted from the stream.
pub(super) fn entries(reply: Value) -> Option<Entries> {
    let Value::Array(entries) = reply else {
        return None;
    };
    entries
        .into_iter()
        .filter(|entry| !matches!(entry, Value::Nil))
        .filter_map(|entry| {
            let read =
                pair(entry).and_then(|[id, fields]| Some((EntryId::parse(&text(id)?)?, fields)));
            match read {
                // A deleted entry of the own pending list has only an id.
                Some((_, Value::Nil)) => None,
                Some((id, fields)) => Some(pairs(fields).map(|fields| (id, fields))),
                None => Some(None),
            }
        })
        .collect()
}

/// `XAUTOCLAIM … JUSTID`: the next cursor, the ids, and since Redis 7 the deleted ones.
pub(super) fn autoclaimed(reply: Value) -> Option<Idle> {
    let mut parts = Vec::<Value>::from_redis_value(reply).ok()?.into_iter();
    let next = text(parts.next()?)?;
    let mut part = || match parts.next() {
        Some(part) => ids(&Vec::<String>::from_redis_value(part).ok()?),
        None => Some(Vec::new()),
    };
    Some(Idle {
        next,
        ids: part()?,
        deleted: part()?,
    })
}

/// Ids as text; `None` if one is not an id.
pub(super) fn ids(texts: &[String]) -> Option<Vec<EntryId>> {
    texts.iter().map(|id| EntryId::parse(id)).collect()
}

fn pairs(fields: Value) -> Option<Fields> {
    let Value::Array(flat) = fields else {
        return None;
    };
    let mut flat = flat.into_iter();
    let mut fields = Vec::with_capacity(flat.len() / 2);
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        fields.push((bytes(name)?, bytes(value)?));
    }
    Some(fields)
}

fn pair(value: Value) -> Option<[Value; 2]> {
    match value {
        Value::Array(items) => items.try_into().ok(),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    String::from_utf8(bytes(value)?.into()).ok()
}

fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(Bytes::from(bytes)),
        Value::SimpleString(text) => Some(Bytes::from(text)),
        _ => None,
    }
}
