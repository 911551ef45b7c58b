//! Which stream entries carry events that the ledger does not know.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use diesel::sql_types::{BigInt, Binary, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use harkara_core::ids::EventId;

use crate::StorageError;
use crate::record::{ClaimedEvent, EventRecord, Origin};
use crate::statement::{Columns, Rows, SqlText, Statement};
use crate::statement_times::Named;

/// What identification found.
#[derive(Default)]
pub(super) struct Identified {
    /// Positions of the records that are new.
    pub(super) fresh: Vec<usize>,
    /// Positions of the deliveries of events that were known before them, and those events.
    pub(super) repeated: Vec<(usize, Known)>,
}

/// An event that was known before.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) event_id: EventId,
    pub(super) created_at_micros: i64,
}

type Digest = [u8; 32];

/// Writes the identities of new events.
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
        .filter(|(_, record)| is_fresh(record))
    {
        match first_of.entry(record.claimed.body_sha256) {
            Entry::Vacant(vacant) => {
                vacant.insert(at);
            }
            Entry::Occupied(_) => repeated.push(at),
        }
    }
    if first_of.is_empty() {
        return Ok(Identified::default());
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
    for &at in &fresh {
        let event = &records[at].claimed;
        held.insert(event.body_sha256, Known::of(event));
    }
    let repeated = known.into_iter().chain(repeated).filter_map(|at| {
        let held = held.get(&records[at].claimed.body_sha256)?;
        Some((at, held.clone()))
    });
    let repeated = repeated.collect();
    Ok(Identified { fresh, repeated })
}

/// The records in the order in which identities are written, if there are any, and all are fresh and no
/// two have an id or a body in common.
pub(super) fn all_distinct(records: &[EventRecord]) -> Option<Vec<usize>> {
    let ids: HashSet<&EventId> = records.iter().map(|r| &r.claimed.event_id).collect();
    let by_digest: BTreeMap<&Digest, usize> = records
        .iter()
        .enumerate()
        .filter(|(_, record)| is_fresh(record))
        .map(|(at, record)| (&record.claimed.body_sha256, at))
        .collect();
    let distinct = ids.len() == records.len() && by_digest.len() == records.len();
    (distinct && !records.is_empty()).then(|| by_digest.into_values().collect())
}

/// Writes identities that are taken to be new; PostgreSQL refuses one that is not.
///
/// Asking about conflicts would look each of the two keys up once more and write a record of its own for
/// each row: 7.8 instead of 4.7 µs a row (`psql`, batches of 400, one connection).
pub(super) async fn insert_new(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
    at: &[usize],
) -> Result<(), StorageError> {
    static TEXT: LazyLock<SqlText> = LazyLock::new(|| SqlText::cut(INSERT));
    Statement::<()>::new(&TEXT, identities(records, at))
        .execute(&mut &*connection)
        .named("insert event identities")
        .await?;
    Ok(())
}

impl Known {
    fn of(event: &ClaimedEvent) -> Self {
        Self {
            event_id: event.event_id.clone(),
            created_at_micros: event.received_at.millis() * 1000,
        }
    }
}

/// Whether a record is no row of the ledger yet.
pub(super) fn is_fresh(record: &EventRecord) -> bool {
    !matches!(record.claimed.origin, Origin::Ledger { .. })
}

/// Inserts identities; gives the digests of those that were not there. Waits for a concurrent commit
/// that holds the same one.
async fn insert_identities(
    connection: &mut AsyncPgConnection,
    records: &[EventRecord],
    at: &[usize],
) -> Result<HashSet<Digest>, StorageError> {
    static TEXT: LazyLock<SqlText> = LazyLock::new(|| {
        SqlText::cut(&format!(
            "{INSERT} ON CONFLICT DO NOTHING RETURNING body_sha256"
        ))
    });
    let digests: Vec<Vec<u8>> = Statement::<Binary>::new(&TEXT, identities(records, at))
        .load(connection)
        .named("insert event identities")
        .await?;
    Ok(digests
        .into_iter()
        .filter_map(|digest| digest.try_into().ok())
        .collect())
}

const INSERT: &str = "INSERT INTO event_identities (razorpay_event_id, body_sha256, created_at) \
     SELECT id, sha, to_timestamp(ms::float8 / 1000) FROM ({}) AS i";

fn identities<'a>(records: &'a [EventRecord], at: &[usize]) -> Columns<'a> {
    Rows::of(at.iter().map(|&at| &records[at].claimed))
        .text("id", |event| Some(event.event_id.as_str()))
        .bytes("sha", |event| &event.body_sha256)
        .bigint("ms", |event| Some(event.received_at.millis()))
        .columns()
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
            .named("find event identities")
            .await?;
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
