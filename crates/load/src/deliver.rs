//! Sends a plan, as Razorpay would: at its own pace, whatever the receiver does, and again what was
//! not taken.

use std::borrow::Cow;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep_until, timeout};

use crate::connection::Connection;
use crate::corpus::Corpus;
use crate::fates::{Attempt, Counts, Delivered, Progress};
use crate::pace::{TICK_COARSE, Ticker};
use crate::plan::{Plan, Sending, Signing};
use crate::run::LoadError;
use crate::target::Target;

/// How a plan is sent.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Most connections. What is due when none is free waits its turn, and its latency counts.
    pub connections_max: usize,
    /// How long an answer is waited for, from when the request is begun: at most [`TIMEOUT_MAX`].
    pub timeout: Duration,
    /// How often a valid delivery without a 2xx is sent again.
    pub retries: u32,
    /// How long after the failure.
    pub retry_after: Duration,
    /// The secret before the last rotation; needed where the plan has sendings signed by it.
    pub old_secret: Option<Secret>,
}

/// The longest wait for an answer that can be asked for.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(15);

/// Signs what is to be refused.
const WRONG_SECRET: &str = "not the secret of this endpoint";

/// What a header holds that is no signature.
const MALFORMED: &str = "not a signature";

/// A slow sender's request comes in so many pieces.
const SLOW_PIECES: u32 = 8;

/// The pause of a slow sender between two pieces.
const SLOW_PAUSE: Duration = Duration::from_millis(50);

/// Time between two reports of a run's progress.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Sends a plan to some targets in turn, which may be away at first and in the middle.
///
/// Ends when everything has its answer and its retries, or soon after `stop`. Calls `tell` every second.
pub async fn deliver(
    targets: Vec<Target>,
    corpus: &Arc<Corpus>,
    plan: &Plan,
    manner: Manner,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Progress),
) -> Result<Delivered, LoadError> {
    if plan.deliveries > corpus.len() {
        return Err(LoadError::Range {
            end: plan.deliveries,
            len: corpus.len(),
        });
    }
    if targets.is_empty() || manner.connections_max == 0 {
        return Err(LoadError::NoConnections);
    }
    let mut ticker = Ticker::new(TICK_COARSE).map_err(LoadError::Timer)?;
    let mut tell_at = interval(TELL_EVERY);
    let run = Arc::new(Run::new(targets, corpus, plan, manner));
    let mut stop = pin!(stop);
    let mut tasks = JoinSet::new();
    let mut begun = 0;
    let mut ending = false;
    loop {
        while !ending && begun < plan.sendings.len() {
            let sending = plan.sendings[begun];
            if run.started + sending.due > Instant::now() {
                break;
            }
            tasks.spawn(Arc::clone(&run).see_through(sending));
            begun += 1;
        }
        ending |= begun == plan.sendings.len();
        while let Some(ended) = tasks.try_join_next() {
            ended.map_err(LoadError::Task)?;
        }
        if ending && tasks.is_empty() {
            break;
        }
        let next = plan.sendings.get(begun).map(|next| run.started + next.due);
        tokio::select! {
            waited = ticker.wait_until(next.unwrap_or(run.give_up)), if !ending => {
                waited.map_err(LoadError::Timer)?;
            }
            Some(ended) = tasks.join_next(), if ending => ended.map_err(LoadError::Task)?,
            () = &mut stop, if !*run.stopped.borrow() => {
                run.stopped.send_replace(true);
                ending = true;
            }
            _ = tell_at.tick() => tell(run.counts().progress()),
        }
    }
    let run = Arc::into_inner(run).expect("every task that shared it has ended");
    let mut counts = run
        .counts
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    counts.count_unsent(plan.sendings.len() - begun);
    Ok(counts.finish())
}

/// What the tasks of a run share.
struct Run {
    receivers: Vec<Receiver>,
    /// Whose turn it is.
    turn: AtomicUsize,
    corpus: Arc<Corpus>,
    manner: Manner,
    wrong_secret: Secret,
    connections: Semaphore,
    counts: Mutex<Counts>,
    started: Instant,
    /// What has waited for a connection until this time is not sent any more.
    give_up: Instant,
    stopped: watch::Sender<bool>,
}

struct Receiver {
    address: SocketAddr,
    head: Vec<u8>,
    idle: Mutex<Vec<Connection>>,
}

impl Run {
    fn new(targets: Vec<Target>, corpus: &Arc<Corpus>, plan: &Plan, manner: Manner) -> Self {
        let receivers = targets.into_iter().map(|target| Receiver {
            address: target.address,
            head: target.request_head(),
            idle: Mutex::new(Vec::new()),
        });
        let started = Instant::now();
        let lasts = plan.sendings.last().map_or(Duration::ZERO, |last| last.due);
        Self {
            receivers: receivers.collect(),
            turn: AtomicUsize::new(0),
            corpus: Arc::clone(corpus),
            wrong_secret: Secret::new(WRONG_SECRET),
            connections: Semaphore::new(manner.connections_max),
            counts: Mutex::new(Counts::new(plan.deliveries, started)),
            started,
            give_up: started + lasts + manner.timeout,
            manner,
            stopped: watch::Sender::new(false),
        }
    }

    /// Sends a delivery until it is taken or its retries are used up.
    async fn see_through(self: Arc<Self>, sending: Sending) {
        let mut stopped = self.stopped.subscribe();
        let mut intended = self.started + sending.due;
        let mut retries = 0;
        loop {
            let is_retry = retries > 0;
            let Ok(connection) = self.connections.acquire().await else {
                return;
            };
            if *stopped.borrow() || (!is_retry && Instant::now() > self.give_up) {
                self.counts().count_unsent(usize::from(!is_retry));
                return;
            }
            let status = self.exchange(&sending).await;
            drop(connection);
            let attempt = Attempt {
                sending,
                is_retry,
                intended,
                status,
            };
            let now = Instant::now();
            self.counts().count(&attempt, now);
            let is_taken = status.is_some_and(|status| (200..300).contains(&status));
            if is_taken || !sending.signing.is_valid() || retries == self.manner.retries {
                return;
            }
            retries += 1;
            intended = now + self.manner.retry_after;
            tokio::select! {
                () = sleep_until(intended.into()) => {}
                _ = stopped.wait_for(|is_stopped| *is_stopped) => return,
            }
        }
    }

    /// One request; gives the status of its answer, or `None` without one in time.
    async fn exchange(&self, sending: &Sending) -> Option<u16> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let receiver = &self.receivers[turn % self.receivers.len()];
        let own_time = if sending.slow {
            SLOW_PAUSE * SLOW_PIECES
        } else {
            Duration::ZERO
        };
        timeout(
            self.manner.timeout + own_time,
            self.exchange_with(receiver, sending),
        )
        .await
        .ok()
        .flatten()
    }

    async fn exchange_with(&self, receiver: &Receiver, sending: &Sending) -> Option<u16> {
        let mut connection = receiver.connection().await?;
        let request = self.request(sending);
        let answer = if sending.slow {
            connection
                .exchange_slowly(&receiver.head, &request, SLOW_PIECES, SLOW_PAUSE)
                .await
        } else {
            connection
                .exchange(Instant::now(), &receiver.head, &request)
                .await
        };
        let answer = answer.ok()?;
        if answer.stays_open {
            receiver.idle().push(connection);
        }
        Some(answer.status)
    }

    /// What follows the receiver's own head.
    fn request(&self, sending: &Sending) -> Cow<'_, [u8]> {
        let delivery = self.corpus.delivery(sending.delivery);
        let signature = match (sending.signing, &self.manner.old_secret) {
            (Signing::Right, _) | (Signing::Old, None) => {
                return Cow::Borrowed(self.corpus.rendered(sending.delivery));
            }
            (Signing::Old, Some(secret)) => Some(sign(secret, delivery.body)),
            (Signing::WrongSecret, _) => Some(sign(&self.wrong_secret, delivery.body)),
            (Signing::Malformed, _) => Some(MALFORMED.to_owned()),
            (Signing::Missing, _) => None,
        };
        Cow::Owned(delivery.rendered_with(signature.as_deref()))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing panics while it holds the counts, and a count too few is better than none.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// A connection that is free and still good, or a new one.
    async fn connection(&self) -> Option<Connection> {
        loop {
            let Some(mut free) = self.idle().pop() else {
                return Connection::open(self.address).await.ok();
            };
            if !free.is_spoiled().await {
                return Some(free);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
