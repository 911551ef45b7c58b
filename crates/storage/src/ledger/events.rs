//! Finding and listing events.

use chrono::{DateTime, SecondsFormat, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Bytea, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use serde::{Serialize, Serializer};

use super::EventStatus;
use crate::{Pool, StorageError};

/// Which events to list. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// The status.
    pub status: Option<EventStatus>,
    /// The event's name.
    pub event_type: Option<String>,
    /// The account.
    pub account_id: Option<String>,
    /// The endpoint.
    pub endpoint: Option<String>,
    /// Received at or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Received before this time, which pages through a listing.
    pub before: Option<DateTime<Utc>>,
    /// Events that changed the status of this entity.
    pub entity_id: Option<String>,
}

/// An event without its body.
#[derive(Clone, Debug, QueryableByName, Serialize)]
#[expect(missing_docs, reason = "the fields are the ledger's columns")]
pub struct EventRow {
    #[diesel(sql_type = Text)]
    pub razorpay_event_id: String,
    #[diesel(sql_type = Text)]
    pub event_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub account_id: Option<String>,
    #[diesel(sql_type = Text)]
    pub endpoint: String,
    #[diesel(sql_type = Text)]
    pub lane: String,
    #[diesel(sql_type = Text)]
    pub status: EventStatus,
    #[diesel(sql_type = Bool)]
    pub processed: bool,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    #[serde(serialize_with = "optional_time")]
    pub occurred_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    #[serde(serialize_with = "time")]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    #[serde(serialize_with = "optional_time")]
    pub processed_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Integer)]
    pub duplicates: i32,
    #[diesel(sql_type = Integer)]
    pub other_id_duplicates: i32,
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    #[serde(serialize_with = "optional_time")]
    pub next_attempt_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    pub error: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub traceparent: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub durability: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub secret_fingerprint: Option<String>,
    #[diesel(sql_type = Integer)]
    pub body_bytes: i32,
}

/// An event with its evidence.
#[derive(Clone, Debug)]
pub struct EventDetail {
    /// Its row.
    pub row: EventRow,
    /// The exact body.
    pub body: Vec<u8>,
    /// The body's digest.
    pub body_sha256: Vec<u8>,
    /// The verified signature.
    pub signature: String,
}

/// A row that an event changed.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Change {
    #[diesel(sql_type = Text)]
    #[serde(skip)]
    pub razorpay_event_id: String,
    #[diesel(sql_type = Text)]
    #[serde(rename = "table")]
    pub table_name: String,
    #[diesel(sql_type = Text)]
    pub entity_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    #[serde(rename = "from")]
    pub from_status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    #[serde(rename = "to")]
    pub to_status: Option<String>,
}

/// Serialises a time as RFC 3339 in UTC, to the microsecond, which is the precision of PostgreSQL.
fn time<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// The same where there may be no time.
pub fn optional_time<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

const COLUMNS: &str = "razorpay_event_id, event_type, account_id, endpoint, lane, status, processed, occurred_at, \
    created_at, processed_at, duplicates, other_id_duplicates, attempts, next_attempt_at, error, traceparent, \
    durability, secret_fingerprint, octet_length(body) AS body_bytes";

/// Lists events, newest first. Relies on the index `webhook_events_created_at`.
pub async fn list(
    pool: &Pool,
    filter: &EventFilter,
    rows_max: u32,
) -> Result<Vec<EventRow>, StorageError> {
    let query = format!(
        "SELECT {COLUMNS} FROM webhook_events e WHERE ($1::text IS NULL OR status = $1) \
           AND ($2::text IS NULL OR event_type = $2) AND ($3::text IS NULL OR account_id = $3) \
           AND ($4::text IS NULL OR endpoint = $4) AND ($5::timestamptz IS NULL OR created_at >= $5) \
           AND ($6::timestamptz IS NULL OR created_at < $6) \
           AND ($7::text IS NULL OR razorpay_event_id IN (SELECT a.razorpay_event_id FROM audit_logs a WHERE a.entity_id = $7)) \
         ORDER BY created_at DESC, razorpay_event_id LIMIT $8"
    );
    let query = sql_query(query)
        .bind::<Nullable<Text>, _>(filter.status.map(EventStatus::as_str))
        .bind::<Nullable<Text>, _>(&filter.event_type)
        .bind::<Nullable<Text>, _>(&filter.account_id)
        .bind::<Nullable<Text>, _>(&filter.endpoint)
        .bind::<Nullable<Timestamptz>, _>(filter.since)
        .bind::<Nullable<Timestamptz>, _>(filter.before)
        .bind::<Nullable<Text>, _>(&filter.entity_id)
        .bind::<BigInt, _>(i64::from(rows_max));
    pool.load("list events", query).await
}

#[derive(QueryableByName)]
struct Evidence {
    #[diesel(sql_type = Bytea)]
    body: Vec<u8>,
    #[diesel(sql_type = Bytea)]
    body_sha256: Vec<u8>,
    #[diesel(sql_type = Text)]
    signature: String,
}

/// Finds events by id, with their bodies. Relies on the primary key.
pub async fn find(pool: &Pool, event_ids: &[String]) -> Result<Vec<EventDetail>, StorageError> {
    let query = format!(
        "SELECT {COLUMNS}, body, body_sha256, signature FROM webhook_events \
         WHERE razorpay_event_id = ANY ($1) ORDER BY created_at"
    );
    let query = sql_query(query).bind::<Array<Text>, _>(event_ids);
    let found: Vec<(EventRow, Evidence)> = pool.load("find events", query).await?;
    let details = found.into_iter().map(|(row, evidence)| EventDetail {
        row,
        body: evidence.body,
        body_sha256: evidence.body_sha256,
        signature: evidence.signature,
    });
    Ok(details.collect())
}

/// The rows whose status events changed, and the history rows that they added.
///
/// Relies on the audit's index by event and on the primary keys of the history tables.
pub async fn changes(pool: &Pool, event_ids: &[String]) -> Result<Vec<Change>, StorageError> {
    let query = sql_query(
        "SELECT razorpay_event_id, from_status, to_status, entity_id, CASE entity_type \
         WHEN 'payment' THEN 'payment_transactions' WHEN 'order' THEN 'payment_orders' \
         WHEN 'refund' THEN 'payment_refunds' WHEN 'dispute' THEN 'payment_disputes' \
         ELSE 'entity_snapshots' END AS table_name \
       FROM audit_logs WHERE razorpay_event_id = ANY ($1) AND action = 'status_changed' \
     UNION ALL SELECT razorpay_event_id, NULL, status, downtime_id, 'downtime_events' \
       FROM downtime_events WHERE razorpay_event_id = ANY ($1) \
     UNION ALL SELECT razorpay_event_id, NULL, status, invoice_id, 'invoice_events' \
       FROM invoice_events WHERE razorpay_event_id = ANY ($1) \
     UNION ALL SELECT razorpay_event_id, NULL, status, validation_id, 'fund_account_events' \
       FROM fund_account_events WHERE razorpay_event_id = ANY ($1) \
     UNION ALL SELECT razorpay_event_id, NULL, status, account_id, 'account_events' \
       FROM account_events WHERE razorpay_event_id = ANY ($1) \
     UNION ALL SELECT razorpay_event_id, NULL, status, payment_link_id, 'payment_link_events' \
       FROM payment_link_events WHERE razorpay_event_id = ANY ($1) \
     UNION ALL SELECT razorpay_event_id, NULL, status, notification_id, 'order_notifications' \
       FROM order_notifications WHERE razorpay_event_id = ANY ($1) \
     ORDER BY razorpay_event_id, table_name, entity_id",
    )
    .bind::<Array<Text>, _>(event_ids);
    pool.load("list changes", query).await
}
