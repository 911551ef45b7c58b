//! Makes a verified delivery durable: one `XADD` to the stream of its lane.

mod group;
mod health;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::delivery::VerifiedDelivery;
use harkara_core::entry;
use harkara_core::lane::{LANES, Lane};
use harkara_runtime::redis::{SharedConnection, connect_shared};
use harkara_runtime::settings::RedisSettings;
use redis::{Cmd, RedisError};
use tokio::sync::{mpsc, oneshot};

use group::Append;
pub(crate) use health::AppendHealth;

/// Appends the deliveries of one server thread, over a connection of its own.
pub(crate) struct Appender {
    connection: Rc<SharedConnection>,
    /// Where appends are gathered, if they are.
    groups: Option<mpsc::Sender<Append>>,
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
    ///
    /// `grouped` appends go in transactions of what has gathered, two on their way at once; others each
    /// as it comes, none waiting for another's answer, which is faster where the server answers from
    /// memory.
    pub(crate) fn new(settings: &RedisSettings, grouped: bool, health: Arc<AppendHealth>) -> Self {
        let connection = Rc::new(connect_shared(settings));
        Self {
            groups: grouped.then(|| group::gather(connection.clone(), settings.response_timeout)),
            connection,
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
        let appended =
            tokio::time::timeout(self.timeout, self.send(command, delivery.body().len())).await;
        appended.unwrap_or(Err(NotAppended::Timeout))
    }

    async fn send(&self, command: Cmd, n_bytes: usize) -> Result<(), NotAppended> {
        let Some(groups) = &self.groups else {
            let mut connection = self.connection.handle();
            let appended = command.exec_async(&mut connection).await;
            return appended.map_err(NotAppended::Redis);
        };
        let (confirm, confirmed) = oneshot::channel();
        // The gathering task lives as long as this sender, unless the thread is ending.
        groups
            .send(Append {
                n_bytes,
                command,
                confirm,
            })
            .await
            .map_err(|_| NotAppended::Timeout)?;
        confirmed.await.unwrap_or(Err(NotAppended::Timeout))
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
