//! What Redis knows of the workers and of their work.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use redis::{RedisResult, Value, cmd, from_redis_value};

use super::Scene;

/// The streams of partition 0.
const STREAMS: [&str; 4] = [
    "harkara:{0}:critical",
    "harkara:{0}:medium",
    "harkara:{0}:normal",
    "harkara:{0}:default",
];

const GROUP: &str = "harkara";

/// A worker's counter of entries that it took over.
pub(crate) const RECLAIMED: &str = "harkara_worker_entries_reclaimed_total";

impl Scene {
    /// Entries that the present workers have reclaimed from others.
    pub(crate) async fn reclaimed(&self) -> Result<f64> {
        let mut sum = 0.0;
        for worker in &self.workers {
            sum += worker.counted(RECLAIMED).await?;
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
}
