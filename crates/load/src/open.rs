//! The open model: the latency of a target at a given rate.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::connection::TargetConnection;
use crate::corpus::Corpus;
use crate::pace::Ticker;
use crate::report::{LoadReport, Times};
use crate::run::{LoadError, ModelRun, RATE_PER_S_MAX};
use crate::target::LoadTarget;

/// Deliveries are due at even intervals, whatever the target does.
///
/// Latency counts from the instant at which a delivery was due, so every delivery due during a stall of
/// the target sees it, as Razorpay's would.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Open {
    /// Deliveries per second.
    pub rate_per_s: f64,
    /// Maximum connections. A delivery that is due takes one that is free, opens one, or waits its turn.
    pub connections_max: usize,
    /// Shortest time between two batches: deliveries due within it are sent together, late by less than
    /// this. [`crate::TICK_FINE`] for latencies; [`crate::TICK_COARSE`] to spare the machine.
    pub tick: Duration,
    /// How long deliveries become due and are sent. Answers in flight then are still
    /// awaited.
    pub duration: Duration,
}

/// Sends deliveries of `range`, each once, at a fixed rate until the time is over or the range is
/// used up. Errs only if the run could not begin.
pub async fn open(
    target: &LoadTarget,
    corpus: &Arc<Corpus>,
    range: Range<usize>,
    model: &Open,
) -> Result<LoadReport, LoadError> {
    let rate = model.rate_per_s;
    if !(rate > 0.0 && rate <= RATE_PER_S_MAX) {
        return Err(LoadError::Rate(rate));
    }
    let run = ModelRun::new(target, corpus, &range, model.connections_max)?;
    let mut ticker = Ticker::new(model.tick).map_err(LoadError::Timer)?;
    let mut tasks = JoinSet::new();
    let at_start = model.connections_max.min(CONNECTIONS_AT_START);
    let first_connections = run.connect_all(at_start).await?;

    let arrivals = Arrivals::new(&range, model);
    let shared = Arc::new(OpenRun {
        run,
        first: range.start,
        dispatch: Mutex::new(Dispatch {
            taken: 0,
            queued_to: 0,
            idle: VecDeque::new(),
            connections: at_start,
            all_were_due: false,
        }),
        arrivals,
    });
    for connection in first_connections {
        tasks.spawn(Arc::clone(&shared).drive(Some(connection), None));
    }
    loop {
        let (to_open, next) = shared.dispatch_due(model.connections_max);
        for job in to_open {
            tasks.spawn(Arc::clone(&shared).drive(None, Some(job)));
        }
        let Some(next) = next else { break };
        ticker.wait_until(next).await.map_err(LoadError::Timer)?;
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(LoadError::Task)?;
    }
    let shared = Arc::into_inner(shared).expect("every task that shared it has ended");
    let sent_or_given_up = shared.dispatch().taken;
    let exhausted = shared.arrivals.exhausted;
    let unsent = shared.arrivals.count - sent_or_given_up;
    Ok(shared.run.into_tally().finish(unsent, exhausted))
}

/// Connections opened before the first delivery is due, so that the first deliveries need not wait.
const CONNECTIONS_AT_START: usize = 8;

/// When deliveries are due.
struct Arrivals {
    count: usize,
    started: Instant,
    until: Instant,
    interval_ps: u64,
    /// The range has fewer than would be due in the time.
    exhausted: bool,
}

/// A delivery to send.
struct Job {
    /// Position in the range.
    arrival: usize,
    /// No connection was free when it was due.
    waited: bool,
}

/// Assigns deliveries to connections.
struct Dispatch {
    /// Arrivals assigned to a connection.
    taken: usize,
    /// Unassigned arrivals below this were due when no connection was free.
    queued_to: usize,
    /// Free connections, the longest free first, so that all stay in use.
    idle: VecDeque<oneshot::Sender<Job>>,
    /// Connections in use or free.
    connections: usize,
    /// No more arrivals become due.
    all_were_due: bool,
}

struct OpenRun {
    run: ModelRun,
    first: usize,
    arrivals: Arrivals,
    dispatch: Mutex<Dispatch>,
}

impl Arrivals {
    fn new(range: &Range<usize>, model: &Open) -> Self {
        // A thousandth of the rate has an interval in picoseconds, as the rate has in nanoseconds.
        let interval_ps = Duration::from_secs_f64(1_000.0 / model.rate_per_s).as_nanos();
        let interval_ps = u64::try_from(interval_ps).unwrap_or(u64::MAX);
        let duration_ps = model.duration.as_nanos() * 1_000;
        let planned = duration_ps.div_ceil(u128::from(interval_ps));
        let planned = usize::try_from(planned).unwrap_or(usize::MAX);
        let started = Instant::now();
        Self {
            count: planned.min(range.len()),
            started,
            until: started + model.duration,
            interval_ps,
            exhausted: range.len() < planned,
        }
    }

    fn due(&self, arrival: usize) -> Instant {
        let after_ns = arrival as u128 * u128::from(self.interval_ps) / 1_000;
        self.started + Duration::from_nanos(u64::try_from(after_ns).unwrap_or(u64::MAX))
    }

    /// How many arrivals were due by `now`.
    fn count_due(&self, now: Instant) -> usize {
        let elapsed_ps = now.saturating_duration_since(self.started).as_nanos() * 1_000;
        let due = elapsed_ps / u128::from(self.interval_ps) + 1;
        usize::try_from(due).unwrap_or(usize::MAX).min(self.count)
    }
}

impl Dispatch {
    fn take(&mut self) -> Job {
        let arrival = self.taken;
        self.taken += 1;
        Job {
            arrival,
            waited: arrival < self.queued_to,
        }
    }
}

impl OpenRun {
    /// Assigns due deliveries to free connections. Returns the deliveries to open connections for, and
    /// when the next one is due: `None` if all were.
    fn dispatch_due(&self, connections_max: usize) -> (Vec<Job>, Option<Instant>) {
        let due = self.arrivals.count_due(Instant::now());
        let mut to_open = Vec::new();
        let mut dispatch = self.dispatch();
        while dispatch.taken < due {
            if let Some(free) = dispatch.idle.pop_front() {
                let job = dispatch.take();
                // Only a task that panicked waits no longer, and its panic ends the run.
                drop(free.send(job));
                continue;
            }
            dispatch.queued_to = due;
            if dispatch.connections >= connections_max {
                break;
            }
            dispatch.connections += 1;
            to_open.push(dispatch.take());
        }
        if due < self.arrivals.count {
            return (to_open, Some(self.arrivals.due(due)));
        }
        // Busy connections still send the waiting deliveries; free ones have nothing to wait for.
        dispatch.all_were_due = true;
        dispatch.idle.clear();
        (to_open, None)
    }

    /// Sends due deliveries over one connection, one after another.
    async fn drive(
        self: Arc<Self>,
        mut connection: Option<TargetConnection>,
        mut job: Option<Job>,
    ) {
        loop {
            if job.is_none() {
                job = self.next_job(&mut connection).await;
            }
            let Some(next) = job.take() else { return };
            if connection.is_none() {
                connection = self.run.reconnect(self.arrivals.until).await;
            }
            let Some(open) = connection.take() else {
                self.run.tally().count_unsent();
                continue;
            };
            let times = Times {
                intended: self.arrivals.due(next.arrival),
                sent: Instant::now(),
            };
            if next.waited {
                self.run.tally().count_waited();
            } else {
                self.run.tally().count_lateness(times);
            }
            let position = self.first + next.arrival;
            (_, connection) = self.run.send(open, position, times).await;
        }
    }

    /// The next due delivery, or else the one that the connection is assigned; `None` if it is none.
    async fn next_job(&self, connection: &mut Option<TargetConnection>) -> Option<Job> {
        let mut assigned = {
            let now = Instant::now();
            let mut dispatch = self.dispatch();
            if now < self.arrivals.until && dispatch.taken < self.arrivals.count_due(now) {
                return Some(dispatch.take());
            }
            if dispatch.all_were_due {
                return None;
            }
            let (free, assigned) = oneshot::channel();
            dispatch.idle.push_back(free);
            assigned
        };
        if let Some(open) = connection {
            tokio::select! {
                biased;
                () = poll_fn(|cx| open.poll_spoiled(cx)) => {}
                job = &mut assigned => return job.ok(),
            }
            // A target may close an idle connection.
            *connection = None;
        }
        assigned.await.ok()
    }

    fn dispatch(&self) -> MutexGuard<'_, Dispatch> {
        // A panicking task leaves it consistent, and its panic is reported by its task.
        self.dispatch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
