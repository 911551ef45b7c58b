//! Finding and listing events.

use chrono::{DateTime, SecondsFormat, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{Array, BigInt, Bool, Bytea, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use serde::{Serialize, Serializer};

use super::stretch::{BEGINNING, END};
use super::{EventStatus, Stretch};
use crate::{Pool, StorageError};

/// Which events to list. All conditions must hold.
#[derive(Clone, Debug)]
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
    pub since: DateTime<Utc>,
    /// Received before this time, which pages through a listing.
    pub before: DateTime<Utc>,
    /// Only what follows this event in the listing: the time of its receipt and its id.
    pub after: Option<(DateTime<Utc>, String)>,
}

impl EventFilter {
    /// All events.
    #[must_use]
    pub fn all() -> Self {
        Self {
            status: None,
            event_type: None,
            account_id: None,
            endpoint: None,
            since: BEGINNING,
            before: END,
            after: None,
        }
    }
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

/// Where a listing looks for its events.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// In the ledger, by the time of receipt. The condition on it should leave few rows, or the others leave
    /// nearly all.
    Ledger,
    /// Among the pending events, of which there should be few: among so many, those longest due.
    Pending(u32),
    /// Among those that changed an entity in a stretch of its changes, or were replayed.
    Changes(&'a str, Stretch),
}

/// Lists events, newest first.
///
/// Relies on the indexes `webhook_events_created_at`, `webhook_events_dead_letters`, `webhook_events_due`,
/// `audit_logs_entity` and the primary key. What the sources other than the ledger contain is found first and
/// sorted then: the planner would rather walk through the whole ledger in the order of the listing.
pub async fn list(
    pool: &Pool,
    filter: &EventFilter,
    source: Source<'_>,
    rows_max: u32,
) -> Result<Vec<EventRow>, StorageError> {
    let (found, from) = match source {
        Source::Ledger => (String::new(), "webhook_events"),
        Source::Pending(pending_max) => (
            format!("status = 'pending' ORDER BY next_attempt_at LIMIT {pending_max}"),
            "found",
        ),
        Source::Changes(..) => {
            let ids = "razorpay_event_id = ANY (ARRAY(SELECT DISTINCT razorpay_event_id FROM audit_logs \
                WHERE entity_id = $9 AND at >= $10 AND at < $11))";
            (ids.to_owned(), "found")
        }
    };
    let (with, columns) = if found.is_empty() {
        (String::new(), COLUMNS)
    } else {
        let found = format!(
            "WITH found AS MATERIALIZED (SELECT {COLUMNS} FROM webhook_events WHERE {found}) "
        );
        (found, "*")
    };
    // Written out, so that the planner knows that the index of dead letters has them all.
    let status = match filter.status {
        Some(status) => format!("status = '{status}'"),
        None => "true".to_owned(),
    };
    let query = format!(
        "{with}SELECT {columns} FROM {from} WHERE {status} \
           AND ($1::text IS NULL OR event_type = $1) AND ($2::text IS NULL OR account_id = $2) \
           AND ($3::text IS NULL OR endpoint = $3) AND created_at >= $4 AND created_at < $5 \
           AND ($7::timestamptz IS NULL OR created_at < $7 OR (created_at = $7 AND razorpay_event_id > $8)) \
         ORDER BY created_at DESC, razorpay_event_id LIMIT $6"
    );
    let query = sql_query(query)
        .into_boxed()
        .bind::<Nullable<Text>, _>(&filter.event_type)
        .bind::<Nullable<Text>, _>(&filter.account_id)
        .bind::<Nullable<Text>, _>(&filter.endpoint)
        .bind::<Timestamptz, _>(filter.since)
        .bind::<Timestamptz, _>(filter.before)
        .bind::<BigInt, _>(i64::from(rows_max))
        .bind::<Nullable<Timestamptz>, _>(filter.after.as_ref().map(|(at, _)| *at))
        .bind::<Nullable<Text>, _>(filter.after.as_ref().map(|(_, id)| id.as_str()));
    let query = match source {
        Source::Ledger | Source::Pending(_) => query,
        Source::Changes(entity_id, stretch) => query
            .bind::<Text, _>(entity_id)
            .bind::<Timestamptz, _>(stretch.from)
            .bind::<Timestamptz, _>(stretch.before),
    };
    pool.load("list events", query).await
}

/// Whether at most `rows_max` events are pending. Relies on the index `webhook_events_due`.
pub async fn few_are_pending(pool: &Pool, rows_max: u32) -> Result<bool, StorageError> {
    let query = sql::<BigInt>(
        "SELECT count(*) FROM (\
           SELECT FROM webhook_events WHERE status = 'pending' ORDER BY next_attempt_at LIMIT 1 + ",
    )
    .bind::<BigInt, _>(i64::from(rows_max))
    .sql(") pending");
    let pending: i64 = pool.get_row("count pending events", query).await?;
    Ok(pending <= i64::from(rows_max))
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
