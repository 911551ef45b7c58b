//! Gathers the appends of one server thread into groups that are confirmed together.
//!
//! A server that fsyncs before it replies (`appendfsync always`) does so once per turn of its event loop,
//! which otherwise sees only a few appends. It sees a transaction as a whole: one fsync for the group. The
//! commands that confirm a level (`WAITAOF`, `WAIT`) are also sent once per group, and block its connection
//! until Redis replies.
//!
//! A lone append is sent immediately. A group is whatever arrived while other groups were in flight or, if
//! each waits for the server's next fsync, within a short gap. So groups grow with the load.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::Confirmation;
use crate::shared::SharedConnection;
use prometheus_client::metrics::histogram::Histogram;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::NotAppended;

/// Maximum entries of a group that the replies alone confirm. At 2 kB each, that fills a connection's buffers.
const UNAWAITED_ENTRIES_MAX: usize = 64;

/// Maximum entries of a group that waits for its confirmation, up to a second with `appendfsync everysec`.
const AWAITED_ENTRIES_MAX: usize = 4096;

/// Bytes of bodies after which a group is full regardless of its entries.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Maximum appends that wait for their group on one server thread; beyond that, requests wait themselves.
const WAITING_MAX: usize = 4096;

/// Groups of one server thread in flight. With more, each would be smaller and cost an fsync of its own.
const IN_FLIGHT_MAX: usize = 2;

/// The gap between two groups in flight that wait for an fsync: what `appendfsync everysec` can cost a
/// delivery beyond its second.
const FSYNC_WAIT_GAP: Duration = Duration::from_millis(100);

/// The longest that an append takes with `appendfsync everysec` and a fast disk: the gap, the second, and the
/// delay of Redis, whose clock ticks ten times a second.
pub const FSYNC_WAIT_MAX: Duration = Duration::from_millis(1200);

/// The number of such groups that start while one waits that long.
const FSYNC_WAITS_IN_FLIGHT_MAX: usize = 12;

/// The reply to `MULTI`.
const OK: &str = "OK";

type Confirm = oneshot::Sender<Result<(), NotAppended>>;

/// An append and the channel that reports its outcome.
pub(super) struct Append {
    /// Bytes of its body.
    pub(super) n_bytes: usize,
    pub(super) command: Cmd,
    pub(super) confirm: Confirm,
}

/// A group in flight. Returns its connection and its permit when dropped.
struct Sending {
    connection: Rc<SharedConnection>,
    confirmation: Confirmation,
    timeout: Duration,
    idle: Idle,
    _permit: OwnedSemaphorePermit,
}

/// Idle connections. The last used is taken first, so that only as many are opened as needed.
type Idle = Rc<RefCell<Vec<Rc<SharedConnection>>>>;

impl Drop for Sending {
    fn drop(&mut self) {
        self.idle.borrow_mut().push(self.connection.clone());
    }
}

/// Starts the task that gathers this server thread's appends. It ends when the sender is dropped.
/// `connect` returns a connection that connects with its first command.
pub(super) fn gather(
    connect: impl Fn() -> SharedConnection,
    confirmation: Confirmation,
    timeout: Duration,
    sizes: Histogram,
) -> mpsc::Sender<Append> {
    let (sender, mut waiting) = mpsc::channel(WAITING_MAX);
    let entries_max = match confirmation {
        Confirmation::REPLY => UNAWAITED_ENTRIES_MAX,
        _ => AWAITED_ENTRIES_MAX,
    };
    let (in_flight_max, gap) = if confirmation.fsync {
        (FSYNC_WAITS_IN_FLIGHT_MAX, FSYNC_WAIT_GAP)
    } else {
        (IN_FLIGHT_MAX, Duration::ZERO)
    };
    let connections: Vec<_> = if confirmation == Confirmation::REPLY {
        let shared = Rc::new(connect());
        vec![shared; in_flight_max]
    } else {
        // Commands that block until the confirmation need a connection of their own.
        (0..in_flight_max).map(|_| Rc::new(connect())).collect()
    };
    tokio::task::spawn_local(async move {
        let free = Arc::new(Semaphore::new(in_flight_max));
        let idle: Idle = Rc::new(RefCell::new(connections));
        let mut next_at = Instant::now();
        loop {
            let permit = free.clone().acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            if !gap.is_zero() {
                let others = u32::try_from(in_flight_max - 1).unwrap_or(u32::MAX);
                tokio::select! {
                    () = tokio::time::sleep_until(next_at) => {}
                    _none_in_flight = free.acquire_many(others) => {}
                }
            }
            let Some(group) = next_group(&mut waiting, entries_max).await else {
                return;
            };
            #[expect(clippy::cast_precision_loss, reason = "a group is bounded")]
            sizes.observe(group.len() as f64);
            next_at = Instant::now() + gap;
            let sending = Sending {
                connection: idle.borrow_mut().pop().expect("as many as permits"),
                confirmation,
                timeout,
                idle: idle.clone(),
                _permit: permit,
            };
            tokio::task::spawn_local(async move { sending.append(group).await });
        }
    });
    sender
}

/// Waits for an append and takes those queued behind it, up to a full group. `None` once the channel closed.
async fn next_group(
    waiting: &mut mpsc::Receiver<Append>,
    entries_max: usize,
) -> Option<Vec<Append>> {
    let first = waiting.recv().await?;
    let mut n_bytes = first.n_bytes;
    let mut group = vec![first];
    while group.len() < entries_max
        && n_bytes < GROUP_BYTES_MAX
        && let Ok(append) = waiting.try_recv()
    {
        n_bytes += append.n_bytes;
        group.push(append);
    }
    Some(group)
}

impl Sending {
    /// Sends a group and reports each entry's outcome.
    async fn append(&self, mut group: Vec<Append>) {
        // Requests that waited too long have already been answered.
        group.retain(|append| !append.confirm.is_closed());
        if group.is_empty() {
            return;
        }
        let in_transaction = group.len() > 1;
        let mut pipeline = Pipeline::with_capacity(group.len());
        pipeline.ignore_errors();
        if in_transaction {
            pipeline.cmd("MULTI");
        }
        let mut waiting = Vec::with_capacity(group.len());
        for append in group {
            pipeline.add_command(append.command);
            waiting.push(append.confirm);
        }
        if in_transaction {
            pipeline.cmd("EXEC");
        }
        self.add_waits(&mut pipeline);
        let reply = async {
            let mut connection = self.connection.handle().await?;
            pipeline.query_async::<Vec<Value>>(&mut connection).await
        };
        let outcomes = match tokio::time::timeout(self.timeout, reply).await {
            Ok(Ok(replies)) => self.outcomes(replies, waiting.len(), in_transaction),
            Ok(Err(error)) => Err(NotAppended::refused(error)),
            Err(_) => Err(NotAppended::Timeout),
        };
        // Whatever the error, a new connection may reach a healthy server.
        if !matches!(&outcomes, Ok(outcomes) if outcomes.iter().all(Result::is_ok)) {
            self.connection.suspect();
        }
        match outcomes {
            Ok(outcomes) => {
                for (confirm, outcome) in waiting.into_iter().zip(outcomes) {
                    report(confirm, outcome);
                }
            }
            Err(error) => {
                for confirm in waiting {
                    report(confirm, Err(error.clone()));
                }
            }
        }
    }

    fn add_waits(&self, pipeline: &mut Pipeline) {
        let Confirmation { fsync, replicas } = self.confirmation;
        let millis = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        if fsync {
            pipeline.cmd("WAITAOF").arg(1).arg(0).arg(millis);
        }
        if replicas > 0 {
            pipeline.cmd("WAIT").arg(replicas).arg(millis);
        }
    }

    /// The outcome of each entry of a group; `Err` if the whole group is not known to be durable.
    fn outcomes(
        &self,
        replies: Vec<Value>,
        n_entries: usize,
        in_transaction: bool,
    ) -> Result<Vec<Result<(), NotAppended>>, NotAppended> {
        let mut replies = replies.into_iter();
        let appended: Vec<Value> = if in_transaction {
            expect_ok(replies.next())?;
            let queued: Vec<Value> = replies.by_ref().take(n_entries).collect();
            match replies.next() {
                Some(Value::Array(appended)) if appended.len() == n_entries => appended,
                Some(Value::ServerError(error)) => {
                    // The reason is the reply to the entry that made the transaction fail.
                    let first = queued.into_iter().find_map(refusal);
                    return Err(first.unwrap_or_else(|| NotAppended::refused(error.into())));
                }
                _ => return Err(unexpected("no replies to the appends in a transaction")),
            }
        } else {
            replies.by_ref().take(n_entries).collect()
        };
        let Confirmation { fsync, replicas } = self.confirmation;
        if fsync {
            let fsynced = match replies.next() {
                Some(Value::Array(counts)) => integer(counts.into_iter().next())?,
                other => integer(other)?,
            };
            if fsynced < 1 {
                return Err(NotAppended::NotFsynced);
            }
        }
        if replicas > 0 {
            let confirmed = integer(replies.next())?;
            if usize::try_from(confirmed).unwrap_or(0) < replicas {
                return Err(NotAppended::TooFewReplicas { confirmed });
            }
        }
        Ok(appended.into_iter().map(outcome).collect())
    }
}

/// The outcome that the reply to an append reports.
fn outcome(reply: Value) -> Result<(), NotAppended> {
    match reply {
        // Only the entry's id confirms it.
        Value::BulkString(_) => Ok(()),
        Value::ServerError(error) => Err(NotAppended::refused(error.into())),
        _ => Err(unexpected("no entry id in the reply to an append")),
    }
}

fn refusal(reply: Value) -> Option<NotAppended> {
    match reply {
        Value::ServerError(error) => Some(NotAppended::refused(error.into())),
        _ => None,
    }
}

fn expect_ok(reply: Option<Value>) -> Result<(), NotAppended> {
    match reply {
        Some(Value::Okay) => Ok(()),
        Some(Value::SimpleString(text)) if text == OK => Ok(()),
        Some(Value::ServerError(error)) => Err(NotAppended::refused(error.into())),
        _ => Err(unexpected("no OK in the reply to MULTI")),
    }
}

fn integer(reply: Option<Value>) -> Result<i64, NotAppended> {
    match reply {
        Some(Value::Int(number)) => Ok(number),
        Some(Value::ServerError(error)) => Err(NotAppended::refused(error.into())),
        _ => Err(unexpected("no number in the reply to a wait")),
    }
}

fn unexpected(what: &'static str) -> NotAppended {
    NotAppended::Redis(RedisError::from((ErrorKind::UnexpectedReturnType, what)))
}

/// Reports an outcome. A client that disconnected needs none.
fn report(confirm: Confirm, outcome: Result<(), NotAppended>) {
    confirm.send(outcome).ok();
}
