//! Looks at Redis: whether it takes writes, has room, and is as durable as it was at the start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::lane::Lane;
use harkara_runtime::failure;
use harkara_runtime::redis::{Pool, ServerProblem, check_server, pool};
use harkara_runtime::settings::{IngressSettings, RedisSettings};

use super::Breaker;
use crate::append::Confirmations;
use crate::rehearsal::takes_appends;

/// Time between two looks while all is well.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The first wait before Redis is asked again, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Redis must have been well for this long before the waits begin anew with the shortest.
const WELL_FOR: Duration = Duration::from_secs(5);

/// The one task that closes the breaker.
pub(crate) struct Watch {
    breaker: Arc<Breaker>,
    redis: RedisSettings,
    ingress: IngressSettings,
    /// What confirmed the levels at the start, and still has to.
    confirmations: Confirmations,
    pool: Pool,
}

impl Watch {
    pub(crate) fn new(
        breaker: Arc<Breaker>,
        redis: &RedisSettings,
        ingress: &IngressSettings,
        confirmations: Confirmations,
    ) -> Self {
        Self {
            breaker,
            redis: redis.clone(),
            ingress: ingress.clone(),
            confirmations,
            pool: pool(redis),
        }
    }

    /// Runs until it is aborted.
    pub(crate) async fn run(self) {
        let mut retry = RETRY_FIRST;
        let mut well_since = Instant::now();
        loop {
            if self.breaker.reason().is_some() {
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(RETRY_MAX);
            } else {
                if well_since.elapsed() >= WELL_FOR {
                    retry = RETRY_FIRST;
                }
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = self.breaker.opened.notified() => continue,
                }
            }
            match tokio::time::timeout(self.redis.response_timeout, self.unfit()).await {
                Ok(Ok(None)) => {
                    if self.breaker.reason().is_some() {
                        self.breaker.close();
                        well_since = Instant::now();
                    }
                }
                Ok(Ok(Some(reason))) => self.breaker.found_unfit(&reason),
                // While it is closed, appends show better than this look whether Redis is there.
                Ok(Err(reason)) => tracing::debug!(reason, "Redis could not be looked at."),
                Err(_) => tracing::debug!("Redis could not be looked at in time."),
            }
        }
    }

    /// Why Redis is not fit to take deliveries; `Err` where it could not be found out.
    async fn unfit(&self) -> Result<Option<String>, String> {
        let server = match check_server(&self.redis).await {
            Ok(server) => server,
            // It takes appends, and drops them when it is full: no append would show that.
            Err(evicts @ ServerProblem::EvictsEntries { .. }) => {
                return Ok(Some(evicts.to_string()));
            }
            Err(problem) => return Err(failure::with_causes(&problem)),
        };
        match Confirmations::of(&self.ingress, &server) {
            Err(not_given) => return Ok(Some(not_given.to_string())),
            Ok(now) if !self.confirmations.suffice_for(&now) => {
                return Ok(Some(
                    "the answers of Redis confirm less than they did at the start; restart the ingress"
                        .to_owned(),
                ));
            }
            Ok(_) => {}
        }
        if let Some(percent) = server.memory_percent()
            && percent >= self.ingress.redis_memory_percent_max
        {
            return Ok(Some(format!(
                "{percent} % of the memory of Redis is in use (ingress.redis_memory_percent_max)"
            )));
        }
        let entries = self.n_entries().await?;
        if entries >= self.ingress.entries_max {
            return Ok(Some(format!(
                "{entries} entries are in the lanes (ingress.entries_max)"
            )));
        }
        takes_appends(&self.pool, self.redis.partition).await?;
        Ok(None)
    }

    async fn n_entries(&self) -> Result<u64, String> {
        let mut connection = self.pool.get().await.map_err(|e| e.to_string())?;
        let mut lengths = redis::pipe();
        for lane in Lane::ALL {
            lengths
                .cmd("XLEN")
                .arg(lane.stream_key(self.redis.partition));
        }
        let lengths: Vec<u64> = lengths
            .query_async(&mut connection)
            .await
            .map_err(|e| e.to_string())?;
        Ok(lengths.into_iter().sum())
    }
}
