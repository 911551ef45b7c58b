//! Questions to Redis, PostgreSQL and the workers.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use redis::{RedisResult, Value, cmd, from_redis_value};
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, NoTls};

use super::Environment;

/// The streams of partition 0.
const STREAMS: [&str; 4] = [
    "harkara:{0}:critical",
    "harkara:{0}:medium",
    "harkara:{0}:normal",
    "harkara:{0}:default",
];

const GROUP: &str = "harkara";

/// A worker's counter of entries that it reclaimed.
pub(crate) const RECLAIMED: &str = "harkara_worker_entries_reclaimed_total";

/// A clock that is off by this much has jumped.
const JUMPED: Duration = Duration::from_mins(30);

impl Environment {
    /// A counter, summed over the current workers.
    pub(crate) async fn worker_counter(&self, counter: &str) -> Result<f64> {
        let mut sum = 0.0;
        for worker in &self.workers {
            sum += worker.counter(counter).await?;
        }
        Ok(sum)
    }

    /// The names of the group's consumers on all lanes.
    pub(crate) async fn consumers(&self) -> Result<BTreeSet<String>> {
        let mut connection = self.redis.connection().await;
        let mut names = BTreeSet::new();
        for stream in STREAMS {
            let consumers: RedisResult<Vec<HashMap<String, Value>>> = cmd("XINFO")
                .arg(&["CONSUMERS", stream, GROUP])
                .query_async(&mut connection)
                .await;
            for mut consumer in consumers.with_context(|| format!("{stream} has no group"))? {
                let name = consumer.remove("name").context("a consumer has a name")?;
                names.insert(from_redis_value(name)?);
            }
        }
        Ok(names)
    }

    /// Entries of all lanes that are not acknowledged.
    pub(crate) async fn backlog(&self) -> Result<usize> {
        let mut connection = self.redis.connection().await;
        let mut n = 0;
        for stream in STREAMS {
            let length: usize = cmd("XLEN").arg(stream).query_async(&mut connection).await?;
            n += length;
        }
        Ok(n)
    }

    /// Whether the clock of Redis or PostgreSQL differs from ours.
    pub(crate) async fn has_jumped_clock(&self) -> Result<bool> {
        let mut redis = self.redis.connection().await;
        let (seconds, _): (u64, u64) = cmd("TIME").query_async(&mut redis).await?;
        let postgres: SystemTime = self.query("SELECT clock_timestamp()", &[]).await?;
        let now = SystemTime::now();
        let has_jumped = |clock: SystemTime| {
            let ahead = clock.duration_since(now).unwrap_or_default();
            let behind = now.duration_since(clock).unwrap_or_default();
            ahead.max(behind) > JUMPED
        };
        let redis = UNIX_EPOCH + Duration::from_secs(seconds);
        Ok(has_jumped(redis) || has_jumped(postgres))
    }

    /// From `ended` until everything received by then was processed; zero if it was before.
    pub(super) async fn recovery_time(&self, ended: SystemTime) -> Result<Duration> {
        let sql = "SELECT max(processed_at) FROM webhook_events WHERE created_at <= $1";
        let last: Option<SystemTime> = self.query(sql, &[&ended]).await?;
        let last = last.context("nothing was received before the fault ended")?;
        Ok(last.duration_since(ended).unwrap_or_default())
    }

    /// Collects the planner's statistics. A server that is killed every few seconds never gets to it by
    /// itself, and without statistics each query of the audit reads the whole ledger.
    pub(crate) async fn analyze(&self) -> Result<()> {
        Ok(self.client().await?.batch_execute("ANALYZE").await?)
    }

    /// The one value of a query.
    async fn query<T: FromSqlOwned>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<T> {
        Ok(self
            .client()
            .await?
            .query_one(sql, parameters)
            .await?
            .get(0))
    }

    pub(super) async fn client(&self) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.postgres.url(), NoTls)
            .await
            .context("PostgreSQL does not answer")?;
        // The task ends with the client, and the query reports errors of the connection.
        tokio::spawn(connection);
        Ok(client)
    }
}
