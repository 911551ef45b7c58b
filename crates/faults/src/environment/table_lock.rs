//! A lock on one table of PostgreSQL.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use tokio_postgres::Client;

use super::Environment;

/// A session that has a table locked, until it is released or dropped.
pub(crate) struct TableLock {
    session: Client,
    since: SystemTime,
}

impl Environment {
    /// Locks a table against everybody else.
    pub(crate) async fn lock(&self, table: &str) -> Result<TableLock> {
        let session = self.client().await?;
        let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        session.batch_execute(&lock).await?;
        Ok(TableLock {
            session,
            since: SystemTime::now(),
        })
    }
}

impl TableLock {
    /// Of the events received since: how many wait for a table, and the longest time to the commit of those that
    /// were processed.
    pub(crate) async fn ledger_meanwhile(&self) -> Result<(i64, Duration)> {
        let sql = "SELECT count(*) FILTER (WHERE error LIKE 'postponed while %'), \
              coalesce(max(extract(epoch FROM processed_at - created_at)), 0)::float8 \
            FROM webhook_events WHERE created_at >= $1";
        let row = self.session.query_one(sql, &[&self.since]).await?;
        let slowest: f64 = row.get(1);
        Ok((row.get(0), Duration::from_secs_f64(slowest.max(0.0))))
    }

    pub(crate) async fn release(self) -> Result<()> {
        Ok(self.session.batch_execute("ROLLBACK").await?)
    }
}
