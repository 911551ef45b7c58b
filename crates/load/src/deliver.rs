//! Sends a plan as Razorpay would: at its own pace, whatever the receiver does, with retries.

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

use crate::connection::TargetConnection;
use crate::corpus::Corpus;
use crate::outcomes::{Attempt, Delivered, LoadProgress, OutcomeCounts};
use crate::pace::{TICK_COARSE, Ticker};
use crate::plan::{LoadPlan, PlannedRequest, Signing};
use crate::run::LoadError;
use crate::target::LoadTarget;

/// How a plan is sent.
#[derive(Clone, Debug)]
pub struct DeliverOptions {
    /// Maximum connections. Deliveries due when none is free wait, which counts as latency.
    pub connections_max: usize,
    /// How long to wait for an answer, from the start of the request: at most [`TIMEOUT_MAX`].
    pub timeout: Duration,
    /// How often a valid delivery without a 2xx is sent again.
    pub retries: u32,
    /// The pause before a retry.
    pub retry_after: Duration,
    /// The secret before the last rotation; needed if the plan has requests signed by it.
    pub old_secret: Option<Secret>,
}

/// The longest allowed wait for an answer.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(15);

/// Signs deliveries that must be refused.
const WRONG_SECRET: &str = "not the secret of this endpoint";

/// A header that is not a signature.
const MALFORMED: &str = "not a signature";

/// The number of pieces of a slow sender's request.
const SLOW_PIECES: u32 = 8;

/// The pause of a slow sender between two pieces.
const SLOW_PAUSE: Duration = Duration::from_millis(50);

/// Time between two reports of a run's progress.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Sends a plan to some targets in turn, which may be unavailable at first and in the middle.
///
/// Ends when every request and its retries are done, or soon after `stop`. Calls `report` every second.
pub async fn deliver(
    targets: Vec<LoadTarget>,
    corpus: &Arc<Corpus>,
    plan: &LoadPlan,
    options: DeliverOptions,
    stop: impl Future<Output = ()>,
    mut report: impl FnMut(LoadProgress),
) -> Result<Delivered, LoadError> {
    check(&targets, corpus, plan, options.connections_max)?;
    let mut ticker = Ticker::new(TICK_COARSE).map_err(LoadError::Timer)?;
    let mut report_at = interval(REPORT_EVERY);
    let run = Arc::new(DeliverRun::new(targets, corpus, plan, options));
    let mut stop = pin!(stop);
    let mut tasks = JoinSet::new();
    let mut begun = 0;
    let mut ending = false;
    loop {
        while !ending && begun < plan.requests.len() {
            let request = plan.requests[begun];
            if run.started + request.due > Instant::now() {
                break;
            }
            tasks.spawn(Arc::clone(&run).see_through(request));
            begun += 1;
        }
        ending |= begun == plan.requests.len();
        while let Some(ended) = tasks.try_join_next() {
            ended.map_err(LoadError::Task)?;
        }
        if ending && tasks.is_empty() {
            break;
        }
        let next = plan.requests.get(begun).map(|next| run.started + next.due);
        tokio::select! {
            waited = ticker.wait_until(next.unwrap_or(run.give_up)), if !ending => {
                waited.map_err(LoadError::Timer)?;
            }
            Some(ended) = tasks.join_next(), if ending => ended.map_err(LoadError::Task)?,
            () = &mut stop, if !*run.stopped.borrow() => {
                run.stopped.send_replace(true);
                ending = true;
            }
            _ = report_at.tick() => report(run.counts().progress()),
        }
    }
    let run = Arc::into_inner(run).expect("every task that shared it has ended");
    let mut counts = run
        .counts
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    counts.count_unsent(plan.requests.len() - begun);
    Ok(counts.finish())
}

fn check(
    targets: &[LoadTarget],
    corpus: &Corpus,
    plan: &LoadPlan,
    connections_max: usize,
) -> Result<(), LoadError> {
    if plan.deliveries > corpus.len() {
        return Err(LoadError::Range {
            end: plan.deliveries,
            len: corpus.len(),
        });
    }
    if targets.is_empty() || connections_max == 0 {
        return Err(LoadError::NoConnections);
    }
    Ok(())
}

/// The state that the tasks of a run share.
struct DeliverRun {
    receivers: Vec<ConnectionPool>,
    /// Whose turn it is.
    turn: AtomicUsize,
    corpus: Arc<Corpus>,
    options: DeliverOptions,
    wrong_secret: Secret,
    connections: Semaphore,
    counts: Mutex<OutcomeCounts>,
    started: Instant,
    /// Requests still waiting for a connection at this time are not sent any more.
    give_up: Instant,
    stopped: watch::Sender<bool>,
}

struct ConnectionPool {
    address: SocketAddr,
    head: Vec<u8>,
    idle: Mutex<Vec<TargetConnection>>,
}

impl DeliverRun {
    fn new(
        targets: Vec<LoadTarget>,
        corpus: &Arc<Corpus>,
        plan: &LoadPlan,
        options: DeliverOptions,
    ) -> Self {
        let receivers = targets.into_iter().map(|target| ConnectionPool {
            address: target.address,
            head: target.request_head(),
            idle: Mutex::new(Vec::new()),
        });
        let started = Instant::now();
        let lasts = plan.requests.last().map_or(Duration::ZERO, |last| last.due);
        Self {
            receivers: receivers.collect(),
            turn: AtomicUsize::new(0),
            corpus: Arc::clone(corpus),
            wrong_secret: Secret::new(WRONG_SECRET),
            connections: Semaphore::new(options.connections_max),
            counts: Mutex::new(OutcomeCounts::new(plan.deliveries, started)),
            started,
            give_up: started + lasts + options.timeout,
            options,
            stopped: watch::Sender::new(false),
        }
    }

    /// Sends a request until it is accepted or its retries are used up.
    async fn see_through(self: Arc<Self>, request: PlannedRequest) {
        let mut stopped = self.stopped.subscribe();
        let mut intended = self.started + request.due;
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
            let status = self.exchange(&request).await;
            drop(connection);
            let attempt = Attempt {
                request,
                is_retry,
                intended,
                status,
            };
            let now = Instant::now();
            self.counts().count(&attempt, now);
            let is_accepted = status.is_some_and(|status| (200..300).contains(&status));
            if is_accepted || !request.signing.is_valid() || retries == self.options.retries {
                return;
            }
            retries += 1;
            intended = now + self.options.retry_after;
            tokio::select! {
                () = sleep_until(intended.into()) => {}
                _ = stopped.wait_for(|is_stopped| *is_stopped) => return,
            }
        }
    }

    /// Sends once; returns the status of the answer, or `None` without one in time.
    async fn exchange(&self, request: &PlannedRequest) -> Option<u16> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let receiver = &self.receivers[turn % self.receivers.len()];
        let mut wait = self.options.timeout;
        if request.slow {
            wait += SLOW_PAUSE * SLOW_PIECES;
        }
        let rest = self.rest(request);
        let answered = timeout(wait, receiver.exchange(&rest, request.slow)).await;
        answered.ok().flatten()
    }

    /// The part of a request after the receiver's own head.
    fn rest(&self, request: &PlannedRequest) -> Cow<'_, [u8]> {
        let delivery = self.corpus.delivery(request.delivery);
        let signature = match (request.signing, &self.options.old_secret) {
            (Signing::Right, _) | (Signing::Old, None) => {
                return Cow::Borrowed(self.corpus.rendered(request.delivery));
            }
            (Signing::Old, Some(secret)) => Some(sign(secret, delivery.body)),
            (Signing::WrongSecret, _) => Some(sign(&self.wrong_secret, delivery.body)),
            (Signing::Malformed, _) => Some(MALFORMED.to_owned()),
            (Signing::Missing, _) => None,
        };
        Cow::Owned(delivery.rendered_with(signature.as_deref()))
    }

    fn counts(&self) -> MutexGuard<'_, OutcomeCounts> {
        // Nobody panics while holding the counts, and incomplete ones are better than none.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPool {
    /// Sends a request's part after the head; returns the status of the answer, if there is one.
    async fn exchange(&self, rest: &[u8], is_slow: bool) -> Option<u16> {
        let mut connection = self.connection().await?;
        let answer = if is_slow {
            let exchange = connection.exchange_slowly(&self.head, rest, SLOW_PIECES, SLOW_PAUSE);
            exchange.await.ok()?
        } else {
            let exchange = connection.exchange(Instant::now(), &self.head, rest);
            exchange.await.ok()?
        };
        if answer.stays_open {
            self.idle().push(connection);
        }
        Some(answer.status)
    }

    /// A free connection that is still good, or a new one.
    async fn connection(&self) -> Option<TargetConnection> {
        loop {
            let Some(mut free) = self.idle().pop() else {
                return TargetConnection::open(self.address).await.ok();
            };
            if !free.is_spoiled().await {
                return Some(free);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<TargetConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
