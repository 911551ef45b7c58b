//! Appends a verified delivery to the stream of its lane with `XADD`, and waits until the lane's durability
//! level is confirmed.

mod group;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::confirmation::{Confirmation, Confirmations};
use crate::deployment::Deployment;
use crate::shared::{SharedConnection, connect_shared};
use crate::unknown_command::without_arguments;
use harkara_core::delivery::VerifiedDelivery;
use harkara_core::durability::Durability;
use harkara_core::entry;
use harkara_core::lane::{LANES, Lane};
use harkara_settings::RedisSettings;
use prometheus_client::metrics::histogram::Histogram;
use redis::{Cmd, RedisError};
use tokio::sync::{mpsc, oneshot};

use group::Append;
pub use group::FSYNC_WAIT_MAX;

/// Appends the deliveries of one server thread over its own connections.
pub struct Appender {
    modes: [Rc<AppendMode>; LANES],
    levels: Confirmations,
    stream_keys: [String; LANES],
    timeout: Duration,
}

/// Append mode.
enum AppendMode {
    /// Pipelined one by one.
    Pipelined(SharedConnection),
    /// In groups that are confirmed together.
    Grouped(mpsc::Sender<Append>),
}

/// The proof that a delivery is durable. Only [`Appender::append`] returns one.
#[must_use]
pub struct AppendedEntry(Durability);

/// Why a delivery is not known to be durable. (It may still be, if only the confirmation was lost. Then it is
/// stored twice or sent again, and the ledger drops the duplicate.)
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotAppended {
    /// Redis did not confirm in time.
    #[error("Redis did not confirm the append in time")]
    Timeout,
    /// Redis is unavailable, or refused: out of memory, read-only, loading, unable to persist.
    #[error("Redis did not accept the append")]
    Redis(#[source] RedisError),
    /// It is in the memory of Redis, but did not reach its disk in time.
    #[error("Redis did not confirm the fsync in time")]
    NotFsynced,
    /// Redis has it, but too few replicas confirmed it in time.
    #[error("only {confirmed} replicas confirmed the append in time")]
    TooFewReplicas {
        /// Replicas that confirmed.
        confirmed: i64,
    },
}

impl NotAppended {
    fn refused(error: RedisError) -> Self {
        Self::Redis(without_arguments(error))
    }
}

/// Arguments besides the fields: the command's name, the key and the `*`.
const ARGUMENTS_BESIDES_FIELDS: usize = 3;

impl Appender {
    /// Must be called on the server thread that will use it. Connects with the first append.
    ///
    /// If the reply alone confirms a level and Redis replies from memory, appends are pipelined one by one,
    /// which is faster. If Redis fsyncs before it replies, or has to confirm the level, they are grouped.
    #[must_use]
    pub fn new(
        redis: &RedisSettings,
        deployment: &Deployment,
        levels: &Confirmations,
        timeout: Duration,
        group_sizes: &Histogram,
    ) -> Self {
        let mut modes: HashMap<Confirmation, Rc<AppendMode>> = HashMap::new();
        let modes = Lane::ALL.map(|lane| {
            let confirmation = levels.confirmation(lane);
            let mode = modes.entry(confirmation).or_insert_with(|| {
                let grouped = levels.fsyncs_before_reply || confirmation != Confirmation::REPLY;
                Rc::new(AppendMode::connect(
                    || connect_shared(redis, deployment),
                    grouped,
                    confirmation,
                    timeout,
                    group_sizes,
                ))
            });
            mode.clone()
        });
        Self {
            modes,
            levels: levels.clone(),
            stream_keys: redis.keys.streams(),
            timeout,
        }
    }

    /// Appends a delivery and waits until its lane's level is confirmed.
    pub async fn append(
        &self,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Result<AppendedEntry, NotAppended> {
        let level = self.levels.level(lane);
        let command = command(&self.stream_keys[lane.index()], delivery, event_name, level);
        let sent = self.modes[lane.index()].send(command, delivery.body().len());
        let appended = tokio::time::timeout(self.timeout, sent).await;
        match appended.unwrap_or(Err(NotAppended::Timeout)) {
            Ok(()) => Ok(AppendedEntry(level)),
            Err(error) => {
                if let AppendMode::Pipelined(connection) = &*self.modes[lane.index()] {
                    connection.suspect();
                }
                Err(error)
            }
        }
    }
}

impl AppendMode {
    fn connect(
        connect: impl Fn() -> SharedConnection,
        grouped: bool,
        confirmation: Confirmation,
        timeout: Duration,
        group_sizes: &Histogram,
    ) -> Self {
        if !grouped {
            return Self::Pipelined(connect());
        }
        Self::Grouped(group::gather(
            connect,
            confirmation,
            timeout,
            group_sizes.clone(),
        ))
    }

    async fn send(&self, command: Cmd, n_bytes: usize) -> Result<(), NotAppended> {
        let groups = match self {
            Self::Pipelined(connection) => {
                let appended = async { command.exec_async(&mut connection.handle().await?).await };
                return appended.await.map_err(NotAppended::refused);
            }
            Self::Grouped(groups) => groups,
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

impl AppendedEntry {
    /// The level that it has.
    #[must_use]
    pub fn level(&self) -> Durability {
        self.0
    }
}

fn command(
    stream_key: &str,
    delivery: &VerifiedDelivery,
    event_name: &str,
    level: Durability,
) -> Cmd {
    let fields = entry::fields_of(delivery, event_name, level);
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
