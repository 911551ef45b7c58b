//! Makes a verified delivery durable: one `XADD` to the stream of its lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use harkara_core::delivery::VerifiedDelivery;
use harkara_core::entry;
use harkara_core::lane::{LANES, Lane};
use harkara_runtime::redis::{SharedConnection, connect_shared};
use harkara_runtime::settings::RedisSettings;
use harkara_runtime::{clock, failure};
use redis::{Cmd, RedisError};

/// Appends deliveries over a connection that all requests of one server thread share. Commands are
/// pipelined: no request waits for another's answer.
pub(crate) struct Appender {
    connection: SharedConnection,
    stream_keys: [String; LANES],
    timeout: Duration,
    health: Arc<AppendHealth>,
}

/// The proof that a delivery is durable. Only [`Appender::append`] gives one.
#[must_use]
pub(crate) struct AppendedEntry(());

/// Why a delivery is not known to be durable. (It may be all the same, when only the confirmation
/// was lost. Then Razorpay sends it again, and the ledger drops the duplicate.)
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAppended {
    /// Redis did not confirm in time.
    #[error("Redis did not confirm the append in time")]
    Timeout,
    /// Redis is away, or refused: out of memory, read-only, loading, cannot persist.
    #[error("Redis did not take the append")]
    Redis(#[source] RedisError),
}

/// Arguments of the command besides two for each field: its name, the key and the `*`.
const ARGUMENTS_BESIDES_FIELDS: usize = 3;

impl Appender {
    /// Must be called on the server thread that will use it. Connects with the first append.
    pub(crate) fn new(settings: &RedisSettings, health: Arc<AppendHealth>) -> Self {
        Self {
            connection: connect_shared(settings),
            stream_keys: Lane::ALL.map(|lane| lane.stream_key(settings.partition)),
            timeout: settings.response_timeout,
            health,
        }
    }

    /// Makes a delivery durable, or says why it could not.
    ///
    /// A second durable way, for when Redis does not take a delivery (an inbox in PostgreSQL), has
    /// its place in the error arm below: it takes the same `VerifiedDelivery` and gives the same
    /// proof, so that nothing else of the ingress changes.
    pub(crate) async fn append(
        &self,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Result<AppendedEntry, NotAppended> {
        match self.append_to_stream(delivery, lane, event_name).await {
            Ok(()) => {
                self.health.succeeded();
                Ok(AppendedEntry(()))
            }
            Err(error) => {
                self.connection.suspect();
                self.health.failed(&error);
                Err(error)
            }
        }
    }

    async fn append_to_stream(
        &self,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Result<(), NotAppended> {
        let command = command(&self.stream_keys[lane.index()], delivery, event_name);
        let mut connection = self.connection.handle();
        match tokio::time::timeout(self.timeout, command.exec_async(&mut connection)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(NotAppended::Redis(error)),
            Err(_) => Err(NotAppended::Timeout),
        }
    }
}

fn command(stream_key: &str, delivery: &VerifiedDelivery, event_name: &str) -> Cmd {
    let fields = entry::fields_of(delivery, event_name);
    let n_bytes: usize = fields
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let n_bytes = n_bytes + stream_key.len() + "XADD*".len();
    let mut command = Cmd::with_capacity(ARGUMENTS_BESIDES_FIELDS + 2 * fields.len(), n_bytes);
    command.arg("XADD").arg(stream_key).arg("*");
    for (name, value) in &fields {
        command.arg(*name).arg(value.as_ref());
    }
    command
}

/// Failures closer together than this are one trouble, and told of once. There may be thousands a
/// second, with successes among them.
const SAME_TROUBLE: Duration = Duration::from_secs(5);

/// Whether appends went well of late, shared by all server threads.
#[derive(Default)]
pub(crate) struct AppendHealth {
    failing: AtomicBool,
    failed_at_ms: AtomicI64,
    told: AtomicBool,
}

impl AppendHealth {
    /// How long ago an append failed, where none has succeeded since.
    pub(crate) fn failing_since_last_success(&self) -> Option<Duration> {
        let failed_at_ms = || self.failed_at_ms.load(Ordering::Relaxed);
        self.failing
            .load(Ordering::Acquire)
            .then(|| since(failed_at_ms(), clock::now().millis()))
    }

    fn succeeded(&self) {
        // The plain load keeps the common case free of contended writes.
        if self.failing.load(Ordering::Relaxed) {
            self.failing.store(false, Ordering::Release);
            if self.told.swap(false, Ordering::Relaxed) {
                tracing::info!("Redis takes deliveries again.");
            }
        }
    }

    fn failed(&self, error: &NotAppended) {
        let now_ms = clock::now().millis();
        let before_ms = self.failed_at_ms.swap(now_ms, Ordering::Relaxed);
        self.failing.store(true, Ordering::Release);
        if since(before_ms, now_ms) >= SAME_TROUBLE {
            self.told.store(true, Ordering::Relaxed);
            let reason = failure::with_causes(error);
            tracing::error!(
                reason,
                "Redis does not take deliveries; they are answered 503."
            );
        }
    }
}

fn since(earlier_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms - earlier_ms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{AppendHealth, NotAppended};

    #[test]
    fn a_success_ends_the_failing() {
        let health = AppendHealth::default();
        assert_eq!(health.failing_since_last_success(), None);
        health.failed(&NotAppended::Timeout);
        assert!(health.failing_since_last_success().is_some());
        health.succeeded();
        assert_eq!(health.failing_since_last_success(), None);
    }
}
