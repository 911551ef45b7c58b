//! Leases of due rows.

use std::time::Duration;

use bytes::Bytes;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use harkara_core::ids::EventId;
use harkara_core::lane::Lane;
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;

use crate::record::{ClaimedEvent, Origin};
use crate::{Pool, StorageError};

#[derive(QueryableByName)]
struct LeasedRow {
    #[diesel(sql_type = Text)]
    razorpay_event_id: String,
    #[diesel(sql_type = Text)]
    event_type: String,
    #[diesel(sql_type = Text)]
    endpoint: String,
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = Text)]
    signature: String,
    #[diesel(sql_type = Nullable<Text>)]
    traceparent: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    tracestate: Option<String>,
    #[diesel(sql_type = BigInt)]
    created_at_micros: i64,
    #[diesel(sql_type = BigInt)]
    leased_until_micros: i64,
    #[diesel(sql_type = Binary)]
    body: Vec<u8>,
    #[diesel(sql_type = Binary)]
    body_sha256: Vec<u8>,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Bool)]
    is_first: bool,
    #[diesel(sql_type = BigInt)]
    n_due: i64,
}

/// The bounds of one lease.
#[derive(Clone, Copy, Debug)]
pub struct LeaseBounds {
    /// Maximum rows.
    pub rows_max: usize,
    /// Maximum bytes of bodies together; one row is leased whatever its size.
    pub bytes_max: usize,
    /// Attempts that an event may have. A pending row that had as many lost some to dying workers.
    pub attempts_max: u32,
    /// How long the lease holds; then the rows are due again.
    pub lease: Duration,
}

/// Leased rows.
#[derive(Debug)]
pub struct Leased {
    /// The events, the longest due first.
    pub events: Vec<ClaimedEvent>,
    /// Whether more were due.
    pub left_more: bool,
}

/// Leases due rows, oldest first, each for one more attempt.
///
/// Rows that another worker is leasing are skipped. The rows of a worker that dies are due again when the
/// lease ends, with an attempt counted that has no verdict. One of them may have caused the crash, so such a
/// row is leased alone. Relies on the index `webhook_events_due`.
pub async fn lease_due(pool: &Pool, bounds: &LeaseBounds) -> Result<Leased, StorageError> {
    let query = sql_query(
        "WITH due AS (\
           SELECT razorpay_event_id, created_at, next_attempt_at, octet_length(body) AS bytes, \
             (attempts > 0 AND error IS NULL) OR attempts >= $3 AS suspect \
           FROM webhook_events WHERE status = 'pending' AND next_attempt_at <= now() \
           ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED\
         ), in_turn AS (\
           SELECT *, row_number() OVER so_far AS turn, sum(bytes) OVER so_far AS bytes_so_far, \
             bool_or(suspect) OVER so_far AS suspect_so_far \
           FROM due WINDOW so_far AS (ORDER BY next_attempt_at, created_at, razorpay_event_id ROWS UNBOUNDED PRECEDING)\
         ), leased AS (\
           UPDATE webhook_events e \
           SET attempts = e.attempts + 1, next_attempt_at = clock_timestamp() + $4 * interval '1 millisecond' \
           FROM in_turn t WHERE e.razorpay_event_id = t.razorpay_event_id AND e.created_at = t.created_at \
             AND (t.turn = 1 OR (t.bytes_so_far <= $2 AND NOT t.suspect_so_far)) \
           RETURNING t.turn, e.razorpay_event_id, e.event_type, e.endpoint, e.lane, \
             e.signature, e.traceparent, e.tracestate, e.body, e.body_sha256, e.attempts, \
             e.attempts = 1 AND e.error IS NULL AND e.processed_at IS NULL AS is_first, \
             (extract(epoch FROM e.created_at) * 1000000)::bigint AS created_at_micros, \
             (extract(epoch FROM e.next_attempt_at) * 1000000)::bigint AS leased_until_micros\
         ) SELECT *, (SELECT count(*) FROM due) AS n_due FROM leased ORDER BY turn",
    )
    .bind::<BigInt, _>(i64::try_from(bounds.rows_max).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(i64::try_from(bounds.bytes_max).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(i64::from(bounds.attempts_max))
    .bind::<BigInt, _>(i64::try_from(bounds.lease.as_millis()).unwrap_or(i64::MAX));
    let rows: Vec<LeasedRow> = pool.load("lease due events", query).await?;
    let n_due = rows.as_slice().first().map_or(0, |row| row.n_due);
    let n_due = usize::try_from(n_due).unwrap_or(usize::MAX);
    Ok(Leased {
        left_more: n_due > rows.len() || n_due >= bounds.rows_max,
        events: rows.into_iter().map(ClaimedEvent::from).collect(),
    })
}

/// Releases leased rows: the attempt that the lease counted is taken back, and the rows are due again `after`
/// a while. Rows that are no longer this lease's are left alone, and so are events from a stream.
pub async fn release(
    pool: &Pool,
    claimed: &[ClaimedEvent],
    after: Duration,
) -> Result<(), StorageError> {
    let (mut ids, mut created_at, mut leased_until) = (Vec::new(), Vec::new(), Vec::new());
    for event in claimed {
        if let Origin::Ledger {
            leased_until_micros,
            created_at_micros,
            ..
        } = event.origin
        {
            ids.push(event.event_id.as_str());
            created_at.push(created_at_micros);
            leased_until.push(leased_until_micros);
        }
    }
    let query = sql_query(
        "WITH leased AS (\
           SELECT id, 'epoch'::timestamptz + us * interval '1 microsecond' AS at, \
             'epoch'::timestamptz + until_us * interval '1 microsecond' AS leased_until \
           FROM unnest($1, $2, $3) AS i (id, us, until_us)\
         ), locked AS MATERIALIZED (\
           SELECT e.razorpay_event_id, e.created_at FROM webhook_events e \
           JOIN leased l ON e.razorpay_event_id = l.id AND e.created_at = l.at \
           WHERE e.status = 'pending' AND e.next_attempt_at = l.leased_until \
           ORDER BY e.razorpay_event_id FOR UPDATE OF e\
         ) UPDATE webhook_events e \
         SET attempts = e.attempts - 1, next_attempt_at = clock_timestamp() + $4 * interval '1 millisecond' \
         FROM locked l WHERE e.razorpay_event_id = l.razorpay_event_id AND e.created_at = l.created_at",
    )
    .bind::<Array<Text>, _>(ids)
    .bind::<Array<BigInt>, _>(created_at)
    .bind::<Array<BigInt>, _>(leased_until)
    .bind::<BigInt, _>(i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
    pool.run("release leased events", async |connection| {
        query.execute(connection).await
    })
    .await
    .map(drop)
}

impl From<LeasedRow> for ClaimedEvent {
    fn from(row: LeasedRow) -> Self {
        let body_sha256 = row
            .body_sha256
            .try_into()
            .unwrap_or_else(|_| harkara_core::delivery::body_sha256(&row.body));
        Self {
            origin: Origin::Ledger {
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                leased_until_micros: row.leased_until_micros,
                created_at_micros: row.created_at_micros,
                is_first: row.is_first,
            },
            event_id: EventId::stored(row.razorpay_event_id),
            event_type: row.event_type.into(),
            endpoint: row.endpoint.into(),
            lane: Lane::parse(&row.lane).unwrap_or(Lane::Default),
            signature: row.signature,
            durability: None,
            secret_fingerprint: None,
            trace: TraceContext {
                traceparent: row.traceparent.unwrap_or_default(),
                tracestate: row.tracestate.unwrap_or_default(),
            },
            received_at: ReceivedAt::from_millis(row.created_at_micros / 1000),
            body: Bytes::from(row.body),
            body_sha256,
        }
    }
}
