//! Appends of one server thread, gathered into groups that are confirmed at once.
//!
//! A server that writes to disk before it answers (`appendfsync always`) writes once for each turn of
//! its event loop, which then sees only a few appends. A transaction is seen whole: one write for the
//! group. Where a level is confirmed by further commands (`WAITAOF`, `WAIT`), they too are sent once for
//! the group, and hold up its connection until they are answered.
//!
//! A group is whatever has come while two others were on their way, so nothing waits for a clock, a lone
//! append goes at once, and under load the groups grow by themselves.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use harkara_runtime::redis::SharedConnection;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, Value};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::NotAppended;
use super::confirmation::Confirmation;

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
pub(super) const GROUPS_IN_FLIGHT_MAX: usize = 2;

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

/// A group on its way, and what confirms it.
struct Sending {
    connection: Rc<SharedConnection>,
    confirmation: Confirmation,
    timeout: Duration,
}

/// Starts the task that gathers this server thread's appends, over one connection for each group on its
/// way. It ends when the sender is dropped.
pub(super) fn gather(
    connections: [Rc<SharedConnection>; GROUPS_IN_FLIGHT_MAX],
    confirmation: Confirmation,
    timeout: Duration,
) -> mpsc::Sender<Append> {
    let (sender, mut waiting) = mpsc::channel(WAITING_MAX);
    let entries_max = match confirmation {
        Confirmation::Answer => ANSWERED_ENTRIES_MAX,
        Confirmation::Wait { .. } => WAITED_ENTRIES_MAX,
    };
    actix_web::rt::spawn(async move {
        let free = Arc::new(Semaphore::new(GROUPS_IN_FLIGHT_MAX));
        let idle = Rc::new(std::cell::RefCell::new(connections.to_vec()));
        loop {
            let permit = free.clone().acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let Some(group) = next_group(&mut waiting, entries_max).await else {
                return;
            };
            let connection = idle.borrow_mut().pop().expect("as many as permits");
            let idle = idle.clone();
            actix_web::rt::spawn(async move {
                let sending = Sending {
                    connection,
                    confirmation,
                    timeout,
                };
                sending.append(group).await;
                idle.borrow_mut().push(sending.connection);
                drop(permit);
            });
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
        let mut connection = self.connection.handle();
        let answered = pipeline.query_async::<Vec<Value>>(&mut connection);
        let outcomes = match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(answers)) => self.outcomes(answers, waiting.len(), in_transaction),
            Ok(Err(error)) => Err(NotAppended::Redis(error)),
            Err(_) => Err(NotAppended::Timeout),
        };
        match outcomes {
            Ok(outcomes) => {
                for (confirm, outcome) in waiting.into_iter().zip(outcomes) {
                    tell(confirm, outcome);
                }
            }
            Err(error) => {
                self.connection.suspect();
                for confirm in waiting {
                    tell(confirm, Err(error.clone()));
                }
            }
        }
    }

    fn add_waits(&self, pipeline: &mut Pipeline) {
        let Confirmation::Wait { fsync, replicas } = self.confirmation else {
            return;
        };
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
        if let Confirmation::Wait { fsync, replicas } = self.confirmation {
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
