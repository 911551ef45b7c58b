//! Looks at Redis: whether it takes writes, has room, and is as durable as it is to be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::causes::with_causes;
use harkara_core::lane::Lane;
use harkara_runtime::admin::{Liveness, Progress};
use harkara_settings::{IngressSettings, RedisSettings};
use harkara_streams::{ServerProblem, address, check_server_over, connect_to_check, rehearse};
use redis::RedisError;
use redis::aio::MultiplexedConnection;

use super::Breaker;
use harkara_streams::Confirmations;

/// Time between two checks while all is well.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The first wait before Redis is asked again, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Redis must have been well for this long before the waits begin anew with the shortest.
const WELL_FOR: Duration = Duration::from_secs(5);

/// Looks in a row that may fail while appends succeed. After these, nobody knows any more whether Redis is
/// as durable as it is to be, nor how full it is.
const FAILED_CHECKS_MAX: u32 = 5;

/// The part of a bound by which Redis must be below it before deliveries go there again.
const ROOM_DIVISOR: u64 = 20;

/// Beyond the wait for Redis, a turn of the watch takes a tenth of this. One that takes longer stands still.
const QUIET_MAX: Duration = Duration::from_secs(20);

/// The one task that closes the breaker.
pub(crate) struct HealthCheck {
    breaker: Arc<Breaker>,
    redis: RedisSettings,
    ingress: IngressSettings,
    /// The longest that a look may take.
    check_max: Duration,
    progress: Arc<Progress>,
}

/// What a look has shown.
enum Fitness {
    /// Redis can be given deliveries, and this confirms them; the connection may serve the next look.
    Fit(Confirmations, MultiplexedConnection),
    /// It cannot, and this is why.
    Unfit(String),
}

impl HealthCheck {
    pub(crate) fn new(
        breaker: Arc<Breaker>,
        redis: &RedisSettings,
        ingress: &IngressSettings,
        liveness: &Liveness,
    ) -> Self {
        let check_max = redis.connect_timeout + redis.response_timeout;
        Self {
            breaker,
            redis: redis.clone(),
            ingress: ingress.clone(),
            check_max,
            progress: Arc::new(liveness.watch("watch of Redis", QUIET_MAX + check_max)),
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
        let mut n_failed = 0;
        // Kept while all is well. Else the next look opens another: behind the same name there may be
        // another server by then.
        let mut connection = None;
        loop {
            self.progress.touch();
            let was_closed = self.breaker.snapshot().is_closed();
            if was_closed {
                if well_since.elapsed() >= WELL_FOR {
                    retry = RETRY_FIRST;
                }
                tokio::select! {
                    () = tokio::time::sleep(CHECK_EVERY) => {}
                    () = self.breaker.opened.notified() => continue,
                }
            } else {
                let check_now = self.breaker.check_now.notified();
                if tokio::time::timeout(retry, check_now).await.is_ok() {
                    // Many requests may ask for a look, one after another.
                    tokio::time::sleep(RETRY_FIRST).await;
                }
                retry = (retry * 2).min(RETRY_MAX);
            }
            let snapshot = self.breaker.snapshot();
            let look = tokio::time::timeout(self.check_max, self.check(connection.take())).await;
            match look.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
                Ok(Fitness::Fit(confirmations, used)) => {
                    n_failed = 0;
                    connection = Some(used);
                    if !was_closed {
                        well_since = Instant::now();
                    }
                    self.breaker.found_fit(snapshot, confirmations);
                }
                Ok(Fitness::Unfit(reason)) => {
                    n_failed = 0;
                    self.breaker.found_unfit(reason);
                }
                Err(reason) => {
                    tracing::debug!(reason, "Redis could not be looked at.");
                    n_failed += 1;
                    if n_failed >= FAILED_CHECKS_MAX {
                        self.breaker.found_failing(reason);
                    }
                }
            }
            self.breaker.checks.send_modify(|n| *n += 1);
        }
    }

    /// Looks over a connection, or over a new one; `Err` where nothing could be found out.
    async fn check(&self, kept: Option<MultiplexedConnection>) -> Result<Fitness, String> {
        let told =
            |error: RedisError| with_causes(&ServerProblem::of(&address(&self.redis), error));
        let mut connection = match kept {
            Some(connection) => connection,
            None => connect_to_check(&self.redis)
                .await
                .map_err(|problem| with_causes(&problem))?,
        };
        let server = match check_server_over(&mut connection, &self.redis).await {
            Ok(server) => server,
            // It takes appends, and drops them when it is full: no append would show that.
            Err(evicts @ ServerProblem::EvictsEntries { .. }) => {
                return Ok(Fitness::Unfit(evicts.to_string()));
            }
            Err(problem) => return Err(with_causes(&problem)),
        };
        let confirmations = match Confirmations::of(&self.ingress, &server) {
            Ok(confirmations) => confirmations,
            Err(not_given) => return Ok(Fitness::Unfit(not_given.to_string())),
        };
        let percent_max = self.bound(self.ingress.redis_memory_percent_max);
        if let Some(percent) = server.memory_percent()
            && percent >= percent_max
        {
            return Ok(Fitness::Unfit(format!(
                "{percent} % of the memory of Redis is in use, and {percent_max} % is the bound (ingress.redis_memory_percent_max)"
            )));
        }
        let entries = self.n_entries(&mut connection).await.map_err(told)?;
        let entries_max = self.bound(self.ingress.entries_max);
        if entries >= entries_max {
            return Ok(Fitness::Unfit(format!(
                "{entries} entries are in the lanes, and {entries_max} is the bound (ingress.entries_max)"
            )));
        }
        rehearse(&mut connection, self.redis.partition, &confirmations)
            .await
            .map_err(told)?;
        Ok(Fitness::Fit(confirmations, connection))
    }

    /// A bound as it stands while deliveries go to Redis; once one was reached, it is a little lower, so that
    /// they do not go back and forth.
    fn bound(&self, most: u64) -> u64 {
        if self.breaker.snapshot().may_be_tried() {
            most
        } else {
            most - most / ROOM_DIVISOR
        }
    }

    async fn n_entries(&self, connection: &mut MultiplexedConnection) -> Result<u64, RedisError> {
        let mut lengths = redis::pipe();
        for lane in Lane::ALL {
            lengths
                .cmd("XLEN")
                .arg(lane.stream_key(self.redis.partition));
        }
        let lengths: Vec<u64> = lengths.query_async(connection).await?;
        Ok(lengths.into_iter().sum())
    }
}
