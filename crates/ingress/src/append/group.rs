//! Appends of one server thread, gathered into transactions.
//!
//! A server that writes to disk before it answers (`appendfsync always`) writes once for each turn of
//! its event loop, which then sees only a few appends. A transaction is seen whole: one write for the
//! group. A group is whatever has come while two others were on their way, so nothing waits for a
//! clock, a lone append goes at once, and under load the groups grow by themselves.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use harkara_runtime::redis::SharedConnection;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, Value};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::NotAppended;

/// Most entries in one round trip. At 2 kB each, that is what a connection's buffers hold at once.
const GROUP_ENTRIES_MAX: usize = 64;

/// Bytes of bodies after which a group is full however few its entries are.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most appends that wait for their group on one server thread; beyond that requests wait themselves.
const WAITING_MAX: usize = 4096;

/// Groups of one server thread on their way at once. With more, each would be smaller, and cost a write
/// to disk of its own.
const GROUPS_IN_FLIGHT_MAX: usize = 2;

type Confirm = oneshot::Sender<Result<(), NotAppended>>;

/// An append and who waits for it.
pub(super) struct Append {
    /// Bytes of its body.
    pub(super) n_bytes: usize,
    pub(super) command: Cmd,
    pub(super) confirm: Confirm,
}

/// Starts the task that gathers this server thread's appends. It ends when the sender is dropped.
pub(super) fn gather(connection: Rc<SharedConnection>, timeout: Duration) -> mpsc::Sender<Append> {
    let (sender, mut waiting) = mpsc::channel(WAITING_MAX);
    let in_flight = Arc::new(Semaphore::new(GROUPS_IN_FLIGHT_MAX));
    actix_web::rt::spawn(async move {
        loop {
            let permit = in_flight.clone().acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let Some(group) = next_group(&mut waiting).await else {
                return;
            };
            let connection = connection.clone();
            actix_web::rt::spawn(async move {
                append(&connection, timeout, group).await;
                drop(permit);
            });
        }
    });
    sender
}

/// Waits for an append and takes what waits with it, at most a full group. `None` when there will be no
/// more.
async fn next_group(waiting: &mut mpsc::Receiver<Append>) -> Option<Vec<Append>> {
    let first = waiting.recv().await?;
    let mut n_bytes = first.n_bytes;
    let mut group = vec![first];
    while group.len() < GROUP_ENTRIES_MAX
        && n_bytes < GROUP_BYTES_MAX
        && let Ok(append) = waiting.try_recv()
    {
        n_bytes += append.n_bytes;
        group.push(append);
    }
    Some(group)
}

/// Sends a group and tells everyone in it what became of their entry.
async fn append(connection: &SharedConnection, timeout: Duration, mut group: Vec<Append>) {
    // Whoever waited too long has been answered that nothing could take the delivery.
    group.retain(|append| !append.confirm.is_closed());
    let mut pipeline = Pipeline::with_capacity(group.len());
    pipeline.ignore_errors();
    if group.len() > 1 {
        pipeline.atomic();
    }
    let waiting: Vec<_> = group
        .into_iter()
        .map(|append| {
            pipeline.add_command(append.command);
            append.confirm
        })
        .collect();
    if waiting.is_empty() {
        return;
    }
    let mut connection = connection.handle();
    let answered = pipeline.query_async::<Vec<Value>>(&mut connection);
    let answers = match tokio::time::timeout(timeout, answered).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => return tell_all(waiting, || NotAppended::Redis(error.clone())),
        Err(_) => return tell_all(waiting, || NotAppended::Timeout),
    };
    let mut answers = answers.into_iter();
    for confirm in waiting {
        let outcome = match answers.next() {
            // The id of the entry: nothing else confirms it.
            Some(Value::BulkString(_)) => Ok(()),
            Some(Value::ServerError(error)) => Err(NotAppended::Redis(error.into())),
            Some(_) | None => Err(NotAppended::Redis(RedisError::from((
                ErrorKind::UnexpectedReturnType,
                "no entry id in the answer to an append",
            )))),
        };
        tell(confirm, outcome);
    }
}

fn tell_all(waiting: Vec<Confirm>, reason: impl Fn() -> NotAppended) {
    for confirm in waiting {
        tell(confirm, Err(reason()));
    }
}

/// A client that went away needs no answer.
fn tell(confirm: Confirm, outcome: Result<(), NotAppended>) {
    confirm.send(outcome).ok();
}
