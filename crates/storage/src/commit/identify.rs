//! Which stream entries carry events that the ledger does not know, and the rows of those that do.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use diesel::sql_types::{BigInt, Binary, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use harkara_core::ids::{AccountId, EventId};
use harkara_core::time::EventTime;

use crate::StorageError;
use crate::record::{EventRecord, Origin};
use crate::statement::{Rows, SqlText, Statement};

/// What identification found.
pub(super) struct Identified {
    /// Positions of the records that are new; their ledger rows are written.
    pub(super) fresh: Vec<usize>,
    /// Deliveries whose event was known before them.
    pub(super) duplicates: usize,
}

/// An event that was known before.
struct Known {
    event_id: EventId,
    created_at_micros: i64,
}

type Digest = [u8; 32];

/// Writes the identities and ledger rows of new events and counts the deliveries of known ones.
///
/// The body's digest decides: the same body is the same event, whatever id it came under. The id
/// header is not signed, so a second body under a known id is an event of its own and is stored
/// under a contested id (see [`harkara_core::ids::EventId::contested`]); neither is lost.
pub(super) async fn fresh(
    connection: &mut AsyncPgConnection,
    records: &mut [EventRecord],
) -> Result<Identified, StorageError> {
    // In order of digest, so that two commits with common events wait for each other in one order.
    let mut first_of: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut repeated = Vec::new();
    for (at, record) in records
        .iter()
        .enumerate()
        .filter(|(_, record)| is_stream(record))
    {
        match first_of.entry(record.claimed.body_sha256) {
            Entry::Vacant(vacant) => {
                vacant.insert(at);
            }
            Entry::Occupied(_) => repeated.push(at),
        }
    }
    if first_of.is_empty() {
        return Ok(Identified {
            fresh: Vec::new(),
            duplicates: 0,
        });
    }
    let candidates: Vec<usize> = first_of.into_values().collect();
    let new = insert_identities(connection, records, &candidates).await?;
    let mut known = Vec::new();
    let mut fresh = Vec::new();
    for at in candidates {
        if new.contains(&records[at].claimed.body_sha256) {
            fresh.push(at);
        } else {
            known.push(at);
        }
    }

    let mut held = HashMap::new();
    if !known.is_empty() {
        held = find_known(connection, records, &known).await?;
        let contested: Vec<usize> = known
            .iter()
            .copied()
            .filter(|&at| !held.contains_key(&records[at].claimed.body_sha256))
            .collect();
        if !contested.is_empty() {
            for &at in &contested {
                records[at].claimed.event_id = records[at]
                    .claimed
                    .event_id
                    .contested(&records[at].claimed.body_sha256);
            }
            let new = insert_identities(connection, records, &contested).await?;
            let (won, lost): (Vec<usize>, Vec<usize>) = contested
                .into_iter()
                .partition(|&at| new.contains(&records[at].claimed.body_sha256));
            fresh.extend(&won);
            known.retain(|at| !won.contains(at));
            let lost = find_known(connection, records, &lost).await?;
            held.extend(lost);
        }
    }
    // A delivery may be called a duplicate only of an event that is there.
    if known
        .iter()
        .any(|&at| !held.contains_key(&records[at].claimed.body_sha256))
    {
        return Err(StorageError::HolderNotFound);
    }
    fresh.sort_unstable();
    insert_rows(connection, records, &fresh).await?;

    for &at in &fresh {
        let record = &records[at];
        held.insert(
            record.claimed.body_sha256,
            Known {
                event_id: record.claimed.event_id.clone(),
                created_at_micros: record.claimed.received_at.millis() * 1000,
            },
        );
    }
    let duplicates: Vec<usize> = known.into_iter().chain(repeated).collect();
    count_duplicates(connection, records, &duplicates, &held).await?;
    Ok(Identified {
        fresh,
        duplicates: duplicates.len(),
    })
}

fn is_stream(record: &EventRecord) -> bool {
    matches!(record.claimed.origin, Origin::Stream(_))
}

/// Inserts identities; gives the digests of those that were not there. Waits for a concurrent commit
/// that holds the same one.
async fn insert_identities(
    connection: &mut AsyncPgConnection,
    records: &[EventRecord],
    at: &[usize],
) -> Result<HashSet<Digest>, StorageError> {
    static TEXT: LazyLock<SqlText> = LazyLock::new(|| {
        SqlText::cut(
            "INSERT INTO event_identities (razorpay_event_id, body_sha256, created_at) \
             SELECT id, sha, to_timestamp(ms / 1000.0) FROM ({}) AS i \
             ON CONFLICT DO NOTHING RETURNING body_sha256",
        )
    });
    let columns = Rows::of(at.iter().map(|&at| &records[at].claimed))
        .text("id", |event| Some(event.event_id.as_str()))
        .bytes("sha", |event| &event.body_sha256)
        .bigint("ms", |event| Some(event.received_at.millis()))
        .columns();
    let digests: Vec<Vec<u8>> = Statement::<Binary>::new(&TEXT, columns)
        .load(connection)
        .await
        .map_err(StorageError::statement("insert event identities"))?;
    Ok(digests
        .into_iter()
        .filter_map(|digest| digest.try_into().ok())
        .collect())
}

/// The events that hold the digests of some records.
async fn find_known(
    connection: &mut AsyncPgConnection,
    records: &[EventRecord],
    at: &[usize],
) -> Result<HashMap<Digest, Known>, StorageError> {
    static TEXT: LazyLock<SqlText> = LazyLock::new(|| {
        SqlText::cut(
            "SELECT body_sha256, razorpay_event_id, (extract(epoch FROM created_at) * 1000000)::bigint \
             FROM event_identities WHERE body_sha256 = ANY (ARRAY({}))",
        )
    });
    let columns = Rows::of(at.iter().map(|&at| &records[at].claimed))
        .bytes("sha", |event| &event.body_sha256)
        .columns();
    let rows: Vec<(Vec<u8>, String, i64)> =
        Statement::<(Binary, Text, BigInt)>::new(&TEXT, columns)
            .load(connection)
            .await
            .map_err(StorageError::statement("find event identities"))?;
    Ok(rows
        .into_iter()
        .filter_map(|(digest, event_id, created_at_micros)| {
            Some((
                digest.try_into().ok()?,
                Known {
                    event_id: EventId::stored(event_id),
                    created_at_micros,
                },
            ))
        })
        .collect())
}

/// Writes the ledger rows of new events.
async fn insert_rows(
    connection: &mut AsyncPgConnection,
    records: &[EventRecord],
    at: &[usize],
) -> Result<(), StorageError> {
    static TEXT: LazyLock<SqlText> = LazyLock::new(|| {
        SqlText::cut(
            "INSERT INTO webhook_events (razorpay_event_id, event_type, account_id, endpoint, lane, status, body, \
               body_sha256, signature, occurred_at, created_at, processed_at, next_attempt_at, error, traceparent, \
               tracestate) \
             SELECT id, event_type, account_id, endpoint, lane, status, body, sha, signature, \
               to_timestamp(occurred_at), to_timestamp(ms / 1000.0), \
               CASE WHEN status = 'processed' THEN clock_timestamp() END, \
               now() + retry_ms * interval '1 millisecond', error, traceparent, tracestate \
             FROM ({}) AS i",
        )
    });
    if at.is_empty() {
        return Ok(());
    }
    let columns = Rows::of(at.iter().map(|&at| &records[at]))
        .text("id", |r| Some(r.claimed.event_id.as_str()))
        .text("event_type", |r| Some(&r.claimed.event_type))
        .text("account_id", |r| {
            r.account_id.as_ref().map(AccountId::as_str)
        })
        .text("endpoint", |r| Some(&r.claimed.endpoint))
        .text("lane", |r| Some(r.claimed.lane.as_str()))
        .text("status", |r| Some(r.verdict.status()))
        .text("signature", |r| Some(&r.claimed.signature))
        .text("error", |r| r.verdict.error())
        .text("traceparent", |r| not_empty(&r.claimed.trace.traceparent))
        .text("tracestate", |r| not_empty(&r.claimed.trace.tracestate))
        .bytes("body", |r| &r.claimed.body)
        .bytes("sha", |r| &r.claimed.body_sha256)
        .bigint("occurred_at", |r| r.occurred_at.map(EventTime::seconds))
        .bigint("ms", |r| Some(r.claimed.received_at.millis()))
        .bigint("retry_ms", |r| r.verdict.retry_after_millis())
        .columns();
    Statement::<()>::new(&TEXT, columns)
        .execute(connection)
        .await
        .map_err(StorageError::statement("insert ledger rows"))?;
    Ok(())
}

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Counts further deliveries on the rows of the events that they repeat. Rows are locked in order of
/// their keys. A row that retention has removed is passed over.
async fn count_duplicates(
    connection: &mut AsyncPgConnection,
    records: &[EventRecord],
    at: &[usize],
    held: &HashMap<Digest, Known>,
) -> Result<(), StorageError> {
    static TEXT: LazyLock<SqlText> = LazyLock::new(|| {
        SqlText::cut(
            "WITH counted AS (\
               SELECT id, 'epoch'::timestamptz + us * interval '1 microsecond' AS at, same_id, other_id \
               FROM ({}) AS i\
             ), locked AS MATERIALIZED (\
               SELECT e.razorpay_event_id, e.created_at FROM webhook_events e \
               JOIN counted c ON e.razorpay_event_id = c.id AND e.created_at = c.at \
               ORDER BY e.razorpay_event_id FOR UPDATE OF e\
             ) UPDATE webhook_events e \
             SET duplicates = least(e.duplicates + c.same_id, 2147483647), \
               other_id_duplicates = least(e.other_id_duplicates + c.other_id, 2147483647) \
             FROM counted c JOIN locked l ON l.razorpay_event_id = c.id AND l.created_at = c.at \
             WHERE e.razorpay_event_id = c.id AND e.created_at = c.at",
        )
    });
    let mut counts: BTreeMap<(&str, i64), (i64, i64)> = BTreeMap::new();
    for &at in at {
        let record = &records[at];
        let Some(known) = held.get(&record.claimed.body_sha256) else {
            continue;
        };
        let (same_id, other_id) = counts
            .entry((known.event_id.as_str(), known.created_at_micros))
            .or_default();
        if record.claimed.event_id.delivered() == known.event_id.delivered() {
            *same_id += 1;
        } else {
            *other_id += 1;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let columns = Rows::of(&counts)
        .text("id", |((id, _), _)| Some(*id))
        .bigint("us", |((_, micros), _)| Some(*micros))
        .bigint("same_id", |(_, (same_id, _))| Some(*same_id))
        .bigint("other_id", |(_, (_, other_id))| Some(*other_id))
        .columns();
    Statement::<()>::new(&TEXT, columns)
        .execute(connection)
        .await
        .map_err(StorageError::statement("count duplicates"))?;
    Ok(())
}
