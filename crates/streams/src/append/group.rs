//! Appends of one server thread, gathered into groups that are confirmed at once.
//!
//! A server that writes to disk before it answers (`appendfsync always`) writes once for each turn of
//! its event loop, which then sees only a few appends. A transaction is seen whole: one write for the
//! group. Where a level is confirmed by further commands (`WAITAOF`, `WAIT`), they too are sent once for
//! the group, and hold up its connection until they are answered.
//!
//! A lone append goes at once. A group is whatever has come while others were on their way, and where
//! each waits for the next of the server's fsyncs, what has come within a short while: so it grows by
//! itself under load.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::{Confirmation, SharedConnection};
use prometheus_client::metrics::histogram::Histogram;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::NotAppended;

/// Most entries of a group that only its answers confirm. At 2 kB each, that is what a connection's
/// buffers hold at once.
const ANSWERED_ENTRIES_MAX: usize = 64;

/// Most entries of a group that is waited for, for up to a second where Redis fsyncs every second.
const WAITED_ENTRIES_MAX: usize = 4096;

/// Bytes of bodies after which a group is full however few its entries are.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most appends that wait for their group on one server thread; beyond that requests wait themselves.
const WAITING_MAX: usize = 4096;

/// Groups of one server thread on their way at once. With more, each would be smaller, and cost a write
/// to disk of its own.
const IN_FLIGHT_MAX: usize = 2;

/// Where every group waits for the next fsync, a group follows another that is still on its way after this
/// time at the soonest. It is what an fsync every second can cost a delivery beyond that second.
const FSYNC_WAIT_GAP: Duration = Duration::from_millis(100);

/// The longest that an append may take where Redis fsyncs every second and its disk is quick: the gap, the
/// second, and what Redis is late by, whose clock ticks ten times a second.
pub const FSYNC_WAIT_MAX: Duration = Duration::from_millis(1200);

/// As many such groups as leave while one waits so long.
const FSYNC_WAITS_IN_FLIGHT_MAX: usize = 12;

/// What Redis answers to `MULTI`.
const OK: &str = "OK";

type Confirm = oneshot::Sender<Result<(), NotAppended>>;

/// An append and who waits for it.
pub(super) struct Append {
    /// Bytes of its body.
    pub(super) n_bytes: usize,
    pub(super) command: Cmd,
    pub(super) confirm: Confirm,
}

/// A group on its way. Its connection and its permit are given back when it ends, however it does.
struct Sending {
    connection: Rc<SharedConnection>,
    confirmation: Confirmation,
    timeout: Duration,
    idle: Idle,
    _permit: OwnedSemaphorePermit,
}

/// Connections that no group is on. The one used last is taken first, so that few are opened where few are
/// needed.
type Idle = Rc<RefCell<Vec<Rc<SharedConnection>>>>;

impl Drop for Sending {
    fn drop(&mut self) {
        self.idle.borrow_mut().push(self.connection.clone());
    }
}

/// Starts the task that gathers this server thread's appends. It ends when the sender is dropped.
///
/// `connect` gives a connection that connects with its first command.
pub(super) fn gather(
    connect: impl Fn() -> SharedConnection,
    confirmation: Confirmation,
    timeout: Duration,
    sizes: Histogram,
) -> mpsc::Sender<Append> {
    let (sender, mut waiting) = mpsc::channel(WAITING_MAX);
    let entries_max = match confirmation {
        Confirmation::ANSWER => ANSWERED_ENTRIES_MAX,
        _ => WAITED_ENTRIES_MAX,
    };
    let (in_flight_max, gap) = if confirmation.fsync {
        (FSYNC_WAITS_IN_FLIGHT_MAX, FSYNC_WAIT_GAP)
    } else {
        (IN_FLIGHT_MAX, Duration::ZERO)
    };
    let connections: Vec<_> = if confirmation == Confirmation::ANSWER {
        let shared = Rc::new(connect());
        vec![shared; in_flight_max]
    } else {
        // What blocks until it is confirmed needs a connection of its own.
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
                    _none_on_its_way = free.acquire_many(others) => {}
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

/// Waits for an append and takes what waits with it, at most a full group. `None` when there will be no
/// more.
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
    /// Sends a group and tells everyone in it what became of their entry.
    async fn append(&self, mut group: Vec<Append>) {
        // Whoever waited too long has been answered that nothing could take the delivery.
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
        let answered = async {
            let mut connection = self.connection.handle().await?;
            pipeline.query_async::<Vec<Value>>(&mut connection).await
        };
        let outcomes = match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(answers)) => self.outcomes(answers, waiting.len(), in_transaction),
            Ok(Err(error)) => Err(NotAppended::Redis(error)),
            Err(_) => Err(NotAppended::Timeout),
        };
        // Whatever the error, the next group may find a sound server over a new connection.
        if !matches!(&outcomes, Ok(outcomes) if outcomes.iter().all(Result::is_ok)) {
            self.connection.suspect();
        }
        match outcomes {
            Ok(outcomes) => {
                for (confirm, outcome) in waiting.into_iter().zip(outcomes) {
                    tell(confirm, outcome);
                }
            }
            Err(error) => {
                for confirm in waiting {
                    tell(confirm, Err(error.clone()));
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

    /// What became of each entry of a group; `Err` where the whole group is not known to be durable.
    fn outcomes(
        &self,
        answers: Vec<Value>,
        n_entries: usize,
        in_transaction: bool,
    ) -> Result<Vec<Result<(), NotAppended>>, NotAppended> {
        let mut answers = answers.into_iter();
        let appended: Vec<Value> = if in_transaction {
            expect_ok(answers.next())?;
            let answers_of_group: Vec<Value> = answers.by_ref().take(n_entries).collect();
            match answers.next() {
                Some(Value::Array(appended)) if appended.len() == n_entries => appended,
                Some(Value::ServerError(error)) => {
                    // The reason stands with the entry that made the transaction fail.
                    let first = answers_of_group.into_iter().find_map(refusal);
                    return Err(first.unwrap_or_else(|| NotAppended::Redis(error.into())));
                }
                _ => return Err(unexpected("no answers of the appends in a transaction")),
            }
        } else {
            answers.by_ref().take(n_entries).collect()
        };
        let Confirmation { fsync, replicas } = self.confirmation;
        if fsync {
            let fsynced = match answers.next() {
                Some(Value::Array(counts)) => integer(counts.into_iter().next())?,
                other => integer(other)?,
            };
            if fsynced < 1 {
                return Err(NotAppended::NotFsynced);
            }
        }
        if replicas > 0 {
            let confirmed = integer(answers.next())?;
            if usize::try_from(confirmed).unwrap_or(0) < replicas {
                return Err(NotAppended::TooFewReplicas { confirmed });
            }
        }
        Ok(appended.into_iter().map(outcome).collect())
    }
}

/// What the answer to an append says.
fn outcome(answer: Value) -> Result<(), NotAppended> {
    match answer {
        // The id of the entry: nothing else confirms it.
        Value::BulkString(_) => Ok(()),
        Value::ServerError(error) => Err(NotAppended::Redis(error.into())),
        _ => Err(unexpected("no entry id in the answer to an append")),
    }
}

fn refusal(answer: Value) -> Option<NotAppended> {
    match answer {
        Value::ServerError(error) => Some(NotAppended::Redis(error.into())),
        _ => None,
    }
}

fn expect_ok(answer: Option<Value>) -> Result<(), NotAppended> {
    match answer {
        Some(Value::Okay) => Ok(()),
        Some(Value::SimpleString(text)) if text == OK => Ok(()),
        Some(Value::ServerError(error)) => Err(NotAppended::Redis(error.into())),
        _ => Err(unexpected("no OK in the answer to MULTI")),
    }
}

fn integer(answer: Option<Value>) -> Result<i64, NotAppended> {
    match answer {
        Some(Value::Int(number)) => Ok(number),
        Some(Value::ServerError(error)) => Err(NotAppended::Redis(error.into())),
        _ => Err(unexpected("no number in the answer to a wait")),
    }
}

fn unexpected(what: &'static str) -> NotAppended {
    NotAppended::Redis(RedisError::from((ErrorKind::UnexpectedReturnType, what)))
}

/// A client that went away needs no answer.
fn tell(confirm: Confirm, outcome: Result<(), NotAppended>) {
    confirm.send(outcome).ok();
}
