//! Questions of an audit: what the tables hold of events and entities that are known by their ids.
//!
//! Whoever asks gives at most some thousand ids at a time, and compares the answers with what was sent.
//! Every question but [`duplicate_bodies`] relies on a primary key or an index by event.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;

use crate::{Pool, StorageError};

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct StoredEvent {
    /// Its id.
    #[diesel(sql_type = Text)]
    pub event_id: String,
    /// `processed`, `pending` or `failed`.
    #[diesel(sql_type = Text)]
    pub status: String,
    /// How durable it was when it was answered, where that is known.
    #[diesel(sql_type = Nullable<Text>)]
    pub durability: Option<String>,
    /// SHA-256 of the stored body, computed from it now.
    #[diesel(sql_type = Binary)]
    pub digest: Vec<u8>,
    /// Whether the digest that stands beside the body is the body's.
    #[diesel(sql_type = Bool)]
    pub digest_is_right: bool,
}

/// The ledger's rows of some events.
pub async fn stored_events(
    pool: &Pool,
    event_ids: &[&str],
) -> Result<Vec<StoredEvent>, StorageError> {
    pool.within("read ledger rows", async |connection| {
        sql_query(
            "SELECT razorpay_event_id AS event_id, status, durability, sha256(body) AS digest, \
               sha256(body) = body_sha256 AS digest_is_right \
             FROM webhook_events WHERE razorpay_event_id = ANY ($1)",
        )
        .bind::<Array<Text>, _>(event_ids)
        .load(connection)
        .await
        .map_err(StorageError::statement("read ledger rows"))
    })
    .await
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Text)]
    id: String,
}

fn ids(rows: Vec<Id>) -> Vec<String> {
    rows.into_iter().map(|row| row.id).collect()
}

/// Those of some events that are in the ledger and wait for nothing: processed or failed.
pub async fn settled_events(pool: &Pool, event_ids: &[&str]) -> Result<Vec<String>, StorageError> {
    pool.within("read ledger rows", async |connection| {
        sql_query(
            "SELECT razorpay_event_id AS id FROM webhook_events \
             WHERE razorpay_event_id = ANY ($1) AND status <> 'pending'",
        )
        .bind::<Array<Text>, _>(event_ids)
        .load(connection)
        .await
        .map(ids)
        .map_err(StorageError::statement("read ledger rows"))
    })
    .await
}

/// An identity: an id and the digest of the body that it stands for.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct Identity {
    /// The id.
    #[diesel(sql_type = Text)]
    pub event_id: String,
    /// SHA-256 of the body.
    #[diesel(sql_type = Binary)]
    pub digest: Vec<u8>,
}

/// The identities of some bodies, and those that second bodies under some ids were given.
pub async fn identities(
    pool: &Pool,
    event_ids: &[&str],
    digests: &[&[u8]],
) -> Result<Vec<Identity>, StorageError> {
    pool.within("read event identities", async |connection| {
        // A contested id is the id, a tilde and hex digits, all of which sort before a g.
        sql_query(
            "SELECT razorpay_event_id AS event_id, body_sha256 AS digest \
               FROM event_identities WHERE body_sha256 = ANY ($2) \
             UNION SELECT e.razorpay_event_id, e.body_sha256 FROM unnest($1) AS i (id) \
               JOIN event_identities e ON e.razorpay_event_id > i.id || '~' COLLATE \"C\" \
                 AND e.razorpay_event_id < i.id || '~g' COLLATE \"C\"",
        )
        .bind::<Array<Text>, _>(event_ids)
        .bind::<Array<Binary>, _>(digests)
        .load(connection)
        .await
        .map_err(StorageError::statement("read event identities"))
    })
    .await
}

#[derive(QueryableByName)]
struct Digest {
    #[diesel(sql_type = Binary)]
    digest: Vec<u8>,
}

/// The digests that more than one ledger row has, among the rows received since a time. Reads them all,
/// by the index on `created_at`.
pub async fn duplicate_bodies(
    pool: &Pool,
    since: DateTime<Utc>,
) -> Result<Vec<Vec<u8>>, StorageError> {
    pool.within("compare ledger rows", async |connection| {
        let rows: Vec<Digest> = sql_query(
            "SELECT body_sha256 AS digest FROM webhook_events WHERE created_at >= $1 \
             GROUP BY body_sha256 HAVING count(*) > 1",
        )
        .bind::<Timestamptz, _>(since)
        .load(connection)
        .await
        .map_err(StorageError::statement("compare ledger rows"))?;
        Ok(rows.into_iter().map(|row| row.digest).collect())
    })
    .await
}

/// A change of an entity's status that is told more than once.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct DuplicateChange {
    /// The event that made it.
    #[diesel(sql_type = Text)]
    pub event_id: String,
    /// The kind of entity.
    #[diesel(sql_type = Text)]
    pub entity_type: String,
    /// The entity.
    #[diesel(sql_type = Text)]
    pub entity_id: String,
    /// How many rows of `audit_logs` tell it.
    #[diesel(sql_type = BigInt)]
    pub rows: i64,
}

/// The changes of status by some events that are told more than once for an entity.
pub async fn duplicate_changes(
    pool: &Pool,
    event_ids: &[&str],
) -> Result<Vec<DuplicateChange>, StorageError> {
    pool.within("read audit rows", async |connection| {
        sql_query(
            "SELECT razorpay_event_id AS event_id, entity_type, entity_id, count(*) AS rows \
             FROM audit_logs WHERE razorpay_event_id = ANY ($1) AND action = 'status_changed' \
             GROUP BY 1, 2, 3 HAVING count(*) > 1",
        )
        .bind::<Array<Text>, _>(event_ids)
        .load(connection)
        .await
        .map_err(StorageError::statement("read audit rows"))
    })
    .await
}

/// A table with one merged row for each entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is a table")]
pub enum MergedTable {
    Orders,
    Payments,
    Refunds,
    Disputes,
    Snapshots,
}

impl MergedTable {
    /// The table's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Orders => "payment_orders",
            Self::Payments => "payment_transactions",
            Self::Refunds => "payment_refunds",
            Self::Disputes => "payment_disputes",
            Self::Snapshots => "entity_snapshots",
        }
    }

    /// The kind of entity; its id; the amounts that only ever grow or shrink; the text that does.
    fn columns(self) -> [&'static str; 4] {
        match self {
            Self::Orders => [
                "''",
                "order_id",
                "ARRAY[amount_paid, amount_due, attempts]",
                "NULL::text",
            ],
            Self::Payments => [
                "''",
                "payment_id",
                "ARRAY[amount_refunded]",
                "refund_status",
            ],
            Self::Refunds => ["''", "refund_id", "ARRAY[]::bigint[]", "NULL::text"],
            Self::Disputes => ["''", "dispute_id", "ARRAY[]::bigint[]", "NULL::text"],
            Self::Snapshots => [
                "entity_type",
                "entity_id",
                "ARRAY[]::bigint[]",
                "NULL::text",
            ],
        }
    }
}

/// A merged row, as far as the law of merging decides it.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct MergedRow {
    /// The kind of entity where the table's key has one, else empty.
    #[diesel(sql_type = Text)]
    pub entity_type: String,
    /// The entity.
    #[diesel(sql_type = Text)]
    pub entity_id: String,
    /// Its status.
    #[diesel(sql_type = Nullable<Text>)]
    pub status: Option<String>,
    /// The event whose snapshot prevails.
    #[diesel(sql_type = Text)]
    pub last_event_id: String,
    /// That snapshot's precedence.
    #[diesel(sql_type = BigInt)]
    pub precedence: i64,
    /// What only ever grows (of an order: `amount_paid`, `amount_due`, which shrinks, and `attempts`; of a
    /// payment `amount_refunded`).
    #[diesel(sql_type = Array<Nullable<BigInt>>)]
    pub grown: Vec<Option<i64>>,
    /// Of a payment its `refund_status`.
    #[diesel(sql_type = Nullable<Text>)]
    pub refund_status: Option<String>,
    /// Whether it has no status, or `audit_logs` tells how it came to it.
    #[diesel(sql_type = Bool)]
    pub is_audited: bool,
}

/// The rows of some entities, each a kind (empty but for [`MergedTable::Snapshots`]) and an id.
pub async fn merged_rows(
    pool: &Pool,
    table: MergedTable,
    entity_types: &[&str],
    entity_ids: &[&str],
) -> Result<Vec<MergedRow>, StorageError> {
    let [entity_type, entity_id, grown, refund_status] = table.columns();
    pool.within("read merged rows", async |connection| {
        // The kind stands with the id, so that the key of snapshots is used.
        sql_query(format!(
            "SELECT {entity_type} AS entity_type, {entity_id} AS entity_id, status, last_event_id, precedence, \
               {grown} AS grown, {refund_status} AS refund_status, \
               status IS NULL OR EXISTS (SELECT FROM audit_logs a \
                 WHERE a.entity_id = i.id AND a.action = 'status_changed' AND a.to_status = status) AS is_audited \
             FROM {} JOIN unnest($1, $2) AS i (kind, id) ON {entity_type} = i.kind AND {entity_id} = i.id",
            table.name()
        ))
        .bind::<Array<Text>, _>(entity_types)
        .bind::<Array<Text>, _>(entity_ids)
        .load(connection)
        .await
        .map_err(StorageError::statement("read merged rows"))
    })
    .await
}

/// The tables with one row for each event.
pub const HISTORY_TABLES: [&str; 6] = [
    "downtime_events",
    "invoice_events",
    "fund_account_events",
    "account_events",
    "payment_link_events",
    "order_notifications",
];

/// A row of a table with one row for each event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, QueryableByName)]
pub struct HistoryRow {
    /// One of [`HISTORY_TABLES`].
    #[diesel(sql_type = Text)]
    pub table: String,
    /// The event.
    #[diesel(sql_type = Text)]
    pub event_id: String,
}

/// The rows that some events have in the tables with one row for each event.
pub async fn history_rows(
    pool: &Pool,
    event_ids: &[&str],
) -> Result<Vec<HistoryRow>, StorageError> {
    let each = HISTORY_TABLES.map(|table| {
        format!(
            "SELECT '{table}' AS \"table\", razorpay_event_id AS event_id FROM {table} \
             WHERE razorpay_event_id = ANY ($1)"
        )
    });
    pool.within("read history rows", async |connection| {
        sql_query(each.join(" UNION ALL "))
            .bind::<Array<Text>, _>(event_ids)
            .load(connection)
            .await
            .map_err(StorageError::statement("read history rows"))
    })
    .await
}
