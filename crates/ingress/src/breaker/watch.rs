//! Looks at Redis: whether it takes writes, has room, and is as durable as it was at the start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::lane::Lane;
use harkara_runtime::admin::{Liveness, Progress};
use harkara_runtime::failure;
use harkara_runtime::redis::{ServerProblem, address, check_server_over, connect_blocking};
use harkara_runtime::settings::{IngressSettings, RedisSettings};
use redis::aio::MultiplexedConnection;

use super::Breaker;
use crate::append::Confirmations;
use crate::rehearsal::takes_appends_over;

/// Time between two looks while all is well.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The first wait before Redis is asked again, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Redis must have been well for this long before the waits begin anew with the shortest.
const WELL_FOR: Duration = Duration::from_secs(5);

/// Beyond the wait for Redis, a turn of the watch takes a tenth of this. One that takes longer stands still.
const QUIET_MAX: Duration = Duration::from_secs(20);

/// The one task that closes the breaker.
pub(crate) struct Watch {
    breaker: Arc<Breaker>,
    redis: RedisSettings,
    ingress: IngressSettings,
    /// What confirmed the levels at the start, and still has to.
    confirmations: Confirmations,
    progress: Arc<Progress>,
}

/// What a look has shown.
enum Look {
    /// Redis can be given deliveries; the connection may serve the next look.
    Fit(MultiplexedConnection),
    /// It cannot, and this is why.
    Unfit(String),
}

impl Watch {
    pub(crate) fn new(
        breaker: Arc<Breaker>,
        redis: &RedisSettings,
        ingress: &IngressSettings,
        confirmations: Confirmations,
        liveness: &Liveness,
    ) -> Self {
        Self {
            breaker,
            redis: redis.clone(),
            ingress: ingress.clone(),
            confirmations,
            progress: Arc::new(
                liveness.watch("watch of Redis", QUIET_MAX + redis.response_timeout),
            ),
        }
    }

    /// What shows that the watch moves; to be kept for as long as it should.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Runs until it is aborted.
    pub(crate) async fn run(self) {
        let mut retry = RETRY_FIRST;
        let mut well_since = Instant::now();
        // Kept while all is well. Else the next look opens another: behind the same name there may be
        // another server by then.
        let mut connection = None;
        loop {
            self.progress.touch();
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
            let kept = connection.take();
            match tokio::time::timeout(self.redis.response_timeout, self.look(kept)).await {
                Ok(Ok(Look::Fit(used))) => {
                    connection = Some(used);
                    if self.breaker.reason().is_some() {
                        self.breaker.close();
                        well_since = Instant::now();
                    }
                }
                Ok(Ok(Look::Unfit(reason))) => self.breaker.found_unfit(&reason),
                // While it is closed, appends show better than this look whether Redis is there.
                Ok(Err(reason)) => tracing::debug!(reason, "Redis could not be looked at."),
                Err(_) => tracing::debug!("Redis could not be looked at in time."),
            }
        }
    }

    /// Looks over a connection, or over a new one; `Err` where nothing could be found out.
    async fn look(&self, kept: Option<MultiplexedConnection>) -> Result<Look, String> {
        let mut connection = match kept {
            Some(connection) => connection,
            None => connect_blocking(&self.redis, Duration::ZERO)
                .await
                .map_err(|error| {
                    failure::with_causes(&ServerProblem::of(&address(&self.redis), error))
                })?,
        };
        Ok(match self.unfit(&mut connection).await? {
            Some(reason) => Look::Unfit(reason),
            None => Look::Fit(connection),
        })
    }

    /// Why Redis is not fit to take deliveries; `Err` where it could not be found out.
    async fn unfit(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Option<String>, String> {
        let server = match check_server_over(connection, &self.redis).await {
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
        let entries = self.n_entries(connection).await?;
        if entries >= self.ingress.entries_max {
            return Ok(Some(format!(
                "{entries} entries are in the lanes (ingress.entries_max)"
            )));
        }
        takes_appends_over(connection, self.redis.partition).await?;
        Ok(None)
    }

    async fn n_entries(&self, connection: &mut MultiplexedConnection) -> Result<u64, String> {
        let mut lengths = redis::pipe();
        for lane in Lane::ALL {
            lengths
                .cmd("XLEN")
                .arg(lane.stream_key(self.redis.partition));
        }
        let lengths: Vec<u64> = lengths
            .query_async(connection)
            .await
            .map_err(|e| e.to_string())?;
        Ok(lengths.into_iter().sum())
    }
}
