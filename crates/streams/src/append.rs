//! Makes a verified delivery durable: one `XADD` to the stream of its lane, and whatever confirms the
//! lane's level of durability.

mod group;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::confirmation::{Confirmation, Confirmations};
use crate::shared::{SharedConnection, connect_shared};
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

/// Appends the deliveries of one server thread, over connections of its own.
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

/// The proof that a delivery is durable. Only [`Appender::append`] gives one.
#[must_use]
pub struct AppendedEntry(Durability);

/// Why a delivery is not known to be durable. (It may be all the same, when only the confirmation
/// was lost. Then it is stored twice or sent again, and the ledger drops the duplicate.)
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotAppended {
    /// Redis did not confirm in time.
    #[error("Redis did not confirm the append in time")]
    Timeout,
    /// Redis is away, or refused: out of memory, read-only, loading, cannot persist.
    #[error("Redis did not take the append")]
    Redis(#[source] RedisError),
    /// Redis has it in memory and did not have it on its disk in time.
    #[error("Redis did not confirm in time that the append is on its disk")]
    NotFsynced,
    /// Redis has it and too few replicas had it in time.
    #[error("only {confirmed} replicas confirmed the append in time")]
    TooFewReplicas {
        /// Replicas that did.
        confirmed: i64,
    },
}

/// Arguments of the command besides two for each field: its name, the key and the `*`.
const ARGUMENTS_BESIDES_FIELDS: usize = 3;

impl Appender {
    /// Must be called on the server thread that will use it. Connects with the first append.
    ///
    /// Where Redis answers from memory and its answer is all that is asked, appends go each as it comes,
    /// which is faster. Where it fsyncs before it answers, or is asked whether it has, they go in groups.
    #[must_use]
    pub fn new(
        redis: &RedisSettings,
        levels: &Confirmations,
        timeout: Duration,
        group_sizes: &Histogram,
    ) -> Self {
        let mut modes: HashMap<Confirmation, Rc<AppendMode>> = HashMap::new();
        let modes = Lane::ALL.map(|lane| {
            let confirmation = levels.confirmation(lane);
            let mode = modes.entry(confirmation).or_insert_with(|| {
                let grouped = levels.fsyncs_before_answer || confirmation != Confirmation::ANSWER;
                Rc::new(AppendMode::connect(
                    redis,
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
            stream_keys: Lane::ALL.map(|lane| lane.stream_key(redis.partition)),
            timeout,
        }
    }

    /// Makes a delivery as durable as its lane is to be, or says why it is not known to be.
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
        redis: &RedisSettings,
        grouped: bool,
        confirmation: Confirmation,
        timeout: Duration,
        group_sizes: &Histogram,
    ) -> Self {
        if !grouped {
            return Self::Pipelined(connect_shared(redis));
        }
        Self::Grouped(group::gather(
            || connect_shared(redis),
            confirmation,
            timeout,
            group_sizes.clone(),
        ))
    }

    async fn send(&self, command: Cmd, n_bytes: usize) -> Result<(), NotAppended> {
        let groups = match self {
            Self::Pipelined(connection) => {
                let appended = async { command.exec_async(&mut connection.handle().await?).await };
                return appended.await.map_err(NotAppended::Redis);
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
    /// How durable it is.
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
