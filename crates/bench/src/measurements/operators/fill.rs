//! A large ledger, which PostgreSQL makes up itself.

use anyhow::{Context, Result};
use chrono::{DateTime, Months, TimeDelta, Utc};

use crate::postgres_server::Database;

/// The account of the oldest event alone.
pub(super) const RARE_ACCOUNT: &str = "acc_of_the_oldest_event";

/// The name of one event in [`ROWS_PER_RARE`].
pub(super) const RARE_TYPE: &str = "account.suspended";

/// As few as make a listing of 50 look at millions of events.
const ROWS_PER_RARE: u64 = 100_000;

/// Rows of one statement.
const ROWS_PER_INSERT: u64 = 100_000;

/// A filled ledger.
pub(super) struct Filled {
    pub(super) event_id: String,
    pub(super) entity_id: String,
    rows: u64,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Filled {
    /// The time of receipt of the oldest of so many of the newest events.
    pub(super) fn since_newest(&self, rows: u64) -> DateTime<Utc> {
        let newest = i64::try_from(rows.min(self.rows)).unwrap_or(i64::MAX);
        let all = i64::try_from(self.rows).unwrap_or(i64::MAX);
        let seconds = (self.until - self.since).num_seconds();
        self.until - TimeDelta::seconds(seconds.saturating_mul(newest) / all)
    }
}

/// Writes so many rows of a month, with the audit rows of their changes. Bodies have the usual 1.5 kB. One
/// event in a thousand is a dead letter, and one in ten thousand is pending.
pub(super) async fn fill(database: &Database, rows: u64) -> Result<Filled> {
    let until = Utc::now();
    let since = until
        .checked_sub_months(Months::new(1))
        .context("the clock is wrong")?;
    let (from, duration) = (since.to_rfc3339(), (until - since).num_seconds());
    let at = format!("timestamptz '{from}' + n * interval '{duration} s' / {rows}.0::float8");
    let events = format!(
        "INSERT INTO webhook_events (razorpay_event_id, event_type, account_id, endpoint, lane, status, body, \
           body_sha256, signature, created_at, processed_at, next_attempt_at, error, secret_fingerprint) \
         SELECT 'evt_' || n, CASE WHEN n % {ROWS_PER_RARE} = 1 THEN '{RARE_TYPE}' ELSE 'payment.captured' END, \
           CASE WHEN n = 1 THEN '{RARE_ACCOUNT}' ELSE 'acc_' || n % 1000 END, 'default', 'default', status, \
           convert_to('{{\"event\":\"payment.captured\",\"payload\":\"' || repeat(md5(n::text), 47) || '\"}}', 'UTF8'), \
           sha256(n::text::bytea), repeat(md5(n::text), 2), at, CASE WHEN status = 'processed' THEN at END, \
           CASE WHEN status = 'pending' THEN now() + interval '1 day' END, \
           CASE WHEN status = 'failed' THEN 'made up' END, '0a1b2c3d' \
         FROM (SELECT n, {at} AS at, \
             CASE WHEN n % 1000 = 0 THEN 'failed' WHEN n % 10000 = 7 THEN 'pending' ELSE 'processed' END AS status \
           FROM generate_series($1::bigint, $2::bigint) n) events"
    );
    // Two events change a payment: it is authorized, then captured.
    let changes = format!(
        "INSERT INTO audit_logs (at, actor, action, entity_type, entity_id, razorpay_event_id, from_status, to_status) \
         SELECT {at}, 'worker', 'status_changed', 'payment', 'pay_' || n / 2, 'evt_' || n, NULL, 'captured' \
         FROM generate_series($1::bigint, $2::bigint) n"
    );
    let client = &database.client;
    for first in (1..=rows).step_by(usize::try_from(ROWS_PER_INSERT)?) {
        let last = rows.min(first + ROWS_PER_INSERT - 1);
        let (first, last) = (i64::try_from(first)?, i64::try_from(last)?);
        for insert in [&events, &changes] {
            let inserted = client.execute(insert, &[&first, &last]).await;
            inserted.context("PostgreSQL refuses the rows of the ledger")?;
        }
        eprintln!("filling the ledger: {last} of {rows} rows");
    }
    let vacuum = client.batch_execute("VACUUM ANALYZE").await;
    vacuum.context("PostgreSQL does not vacuum")?;
    let middle = rows / 2;
    Ok(Filled {
        event_id: format!("evt_{middle}"),
        entity_id: format!("pay_{}", middle / 2),
        rows,
        since,
        until,
    })
}
