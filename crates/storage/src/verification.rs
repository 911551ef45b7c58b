//! Read-only queries that verify a load: the rows of events and entities with known ids.
//!
//! Callers pass at most some thousand ids at a time, and compare the answers with the load. Every query but
//! [`duplicate_bodies`] relies on a primary key or an index by event.

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use strum::IntoStaticStr;

use crate::ledger::EventStatus;
use crate::{Pool, StorageError};

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct StoredEvent {
    /// Its id.
    #[diesel(sql_type = Text)]
    pub event_id: String,
    /// Its status.
    #[diesel(sql_type = Text)]
    pub status: EventStatus,
    /// How durable it was when it was answered, where that is known.
    #[diesel(sql_type = Nullable<Text>)]
    pub durability: Option<String>,
    /// SHA-256 of the stored body, computed by this query.
    #[diesel(sql_type = Binary)]
    pub digest: Vec<u8>,
    /// Whether the stored digest is the body's.
    #[diesel(sql_type = Bool)]
    pub digest_is_right: bool,
}

/// The ledger rows of some events.
pub async fn stored_events(
    pool: &Pool,
    event_ids: &[&str],
) -> Result<Vec<StoredEvent>, StorageError> {
    let query = sql_query(
        "SELECT razorpay_event_id AS event_id, status, durability, sha256(body) AS digest, \
           sha256(body) = body_sha256 AS digest_is_right \
         FROM webhook_events WHERE razorpay_event_id = ANY ($1)",
    )
    .bind::<Array<Text>, _>(event_ids);
    pool.load("read ledger rows", query).await
}

/// Those of some events that the ledger has as processed or failed.
pub async fn settled_events(pool: &Pool, event_ids: &[&str]) -> Result<Vec<String>, StorageError> {
    let query =
        sql::<Text>("SELECT razorpay_event_id FROM webhook_events WHERE razorpay_event_id = ANY (")
            .bind::<Array<Text>, _>(event_ids)
            .sql(") AND status <> 'pending'");
    pool.load("read ledger rows", query).await
}

/// An event's id and the digest of its body.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct Identity {
    /// The id.
    #[diesel(sql_type = Text)]
    pub event_id: String,
    /// SHA-256 of the body.
    #[diesel(sql_type = Binary)]
    pub digest: Vec<u8>,
}

/// The identities of some bodies, and the contested ones of some ids.
pub async fn identities(
    pool: &Pool,
    event_ids: &[&str],
    digests: &[&[u8]],
) -> Result<Vec<Identity>, StorageError> {
    // A contested id is the id, a tilde and hex digits, all of which sort before a g.
    let query = sql_query(
        "SELECT razorpay_event_id AS event_id, body_sha256 AS digest \
           FROM event_identities WHERE body_sha256 = ANY ($2) \
         UNION SELECT e.razorpay_event_id, e.body_sha256 FROM unnest($1) AS i (id) \
           JOIN event_identities e ON e.razorpay_event_id > i.id || '~' COLLATE \"C\" \
             AND e.razorpay_event_id < i.id || '~g' COLLATE \"C\"",
    )
    .bind::<Array<Text>, _>(event_ids)
    .bind::<Array<Binary>, _>(digests);
    pool.load("read event identities", query).await
}

/// The digests that several ledger rows have, among the rows received since a time. Reads all of them, by
/// the index on `created_at`.
pub async fn duplicate_bodies(
    pool: &Pool,
    since: DateTime<Utc>,
) -> Result<Vec<Vec<u8>>, StorageError> {
    let query = sql::<Binary>("SELECT body_sha256 FROM webhook_events WHERE created_at >= ")
        .bind::<Timestamptz, _>(since)
        .sql(" GROUP BY body_sha256 HAVING count(*) > 1");
    pool.load("compare ledger rows", query).await
}

/// A change of an entity's status by an event, with the number of its rows in `audit_logs`, which is not one.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
#[expect(missing_docs, reason = "the names say it")]
pub struct DuplicateChange {
    #[diesel(sql_type = Text)]
    pub event_id: String,
    #[diesel(sql_type = Text)]
    pub entity_type: String,
    #[diesel(sql_type = Text)]
    pub entity_id: String,
    #[diesel(sql_type = BigInt)]
    pub rows: i64,
}

/// The changes of status by some events that have several rows in `audit_logs`.
pub async fn duplicate_changes(
    pool: &Pool,
    event_ids: &[&str],
) -> Result<Vec<DuplicateChange>, StorageError> {
    let query = sql_query(
        "SELECT razorpay_event_id AS event_id, entity_type, entity_id, count(*) AS rows \
         FROM audit_logs WHERE razorpay_event_id = ANY ($1) AND action = 'status_changed' \
         GROUP BY 1, 2, 3 HAVING count(*) > 1",
    )
    .bind::<Array<Text>, _>(event_ids);
    pool.load("read audit rows", query).await
}

/// A table with one merged row for each entity.
#[derive(Clone, Copy, Debug, IntoStaticStr, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is a table")]
pub enum MergedTable {
    #[strum(serialize = "payment_orders")]
    Orders,
    #[strum(serialize = "payment_transactions")]
    Payments,
    #[strum(serialize = "payment_refunds")]
    Refunds,
    #[strum(serialize = "payment_disputes")]
    Disputes,
    #[strum(serialize = "entity_snapshots")]
    Snapshots,
}

impl MergedTable {
    /// The table's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The kind of entity; its id; the amounts that only grow or shrink; the text that does.
    fn columns(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Orders => (
                "''",
                "order_id",
                "amount_paid, amount_due, attempts",
                "NULL::text",
            ),
            Self::Payments => ("''", "payment_id", "amount_refunded", "refund_status"),
            Self::Refunds => ("''", "refund_id", "", "NULL::text"),
            Self::Disputes => ("''", "dispute_id", "", "NULL::text"),
            Self::Snapshots => ("entity_type", "entity_id", "", "NULL::text"),
        }
    }
}

/// The columns of a merged row that the law of merging decides.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct MergedRow {
    /// The kind of entity where the table's key has one, otherwise empty.
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
    /// Amounts that only grow or shrink: of an order `amount_paid`, `amount_due` and `attempts`, of a payment
    /// `amount_refunded`.
    #[diesel(sql_type = Array<Nullable<BigInt>>)]
    pub grown: Vec<Option<i64>>,
    /// The `refund_status` of a payment.
    #[diesel(sql_type = Nullable<Text>)]
    pub refund_status: Option<String>,
    /// Whether it has no status, or `audit_logs` has the change to it.
    #[diesel(sql_type = Bool)]
    pub is_audited: bool,
}

/// The rows of some entities, each a kind (empty except for [`MergedTable::Snapshots`]) and an id.
pub async fn merged_rows(
    pool: &Pool,
    table: MergedTable,
    entity_types: &[&str],
    entity_ids: &[&str],
) -> Result<Vec<MergedRow>, StorageError> {
    let (entity_type, entity_id, grown, refund_status) = table.columns();
    // The kind is joined with the id, so that the key of snapshots is used.
    let query = sql_query(format!(
        "SELECT {entity_type} AS entity_type, {entity_id} AS entity_id, status, last_event_id, precedence, \
           ARRAY[{grown}]::bigint[] AS grown, {refund_status} AS refund_status, \
           status IS NULL OR EXISTS (SELECT FROM audit_logs a \
             WHERE a.entity_id = i.id AND a.action = 'status_changed' AND a.to_status = status) AS is_audited \
         FROM {} JOIN unnest($1, $2) AS i (kind, id) ON {entity_type} = i.kind AND {entity_id} = i.id",
        table.name()
    ))
    .bind::<Array<Text>, _>(entity_types)
    .bind::<Array<Text>, _>(entity_ids);
    pool.load("read merged rows", query).await
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

/// The rows of some events in the tables with one row for each event.
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
    let query = sql_query(each.join(" UNION ALL ")).bind::<Array<Text>, _>(event_ids);
    pool.load("read history rows", query).await
}
