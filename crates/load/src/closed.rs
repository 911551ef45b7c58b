//! The closed model: the capacity of a target.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::connection::TargetConnection;
use crate::corpus::Corpus;
use crate::report::{LoadReport, Times};
use crate::run::{LoadError, ModelRun};
use crate::target::LoadTarget;

/// Each connection sends the next delivery as soon as its previous one was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The number of connections, all opened before the time begins.
    pub connections: usize,
    /// How long deliveries are sent. Answers in flight then are still awaited.
    pub duration: Duration,
}

/// Sends deliveries of `range`, each once, until the time is over or the range is used up.
///
/// A broken connection is reopened. Errs only if the run could not begin.
pub async fn closed(
    target: &LoadTarget,
    corpus: &Arc<Corpus>,
    range: Range<usize>,
    model: &Closed,
) -> Result<LoadReport, LoadError> {
    let run = ModelRun::new(target, corpus, &range, model.connections)?;
    let connections = run.connect_all(model.connections).await?;
    let shared = Arc::new(ClosedRun {
        run,
        next: AtomicUsize::new(range.start),
        end: range.end,
        until: Instant::now() + model.duration,
    });
    let mut tasks: JoinSet<bool> = connections
        .into_iter()
        .map(|connection| Arc::clone(&shared).drive(connection))
        .collect();
    let mut exhausted = false;
    while let Some(ended) = tasks.join_next().await {
        exhausted |= ended.map_err(LoadError::Task)?;
    }
    let shared = Arc::into_inner(shared).expect("every task that shared it has ended");
    Ok(shared.run.into_tally().finish(0, exhausted))
}

struct ClosedRun {
    run: ModelRun,
    next: AtomicUsize,
    end: usize,
    until: Instant,
}

impl ClosedRun {
    /// Sends one delivery after another; returns whether the range ended, not the time.
    async fn drive(self: Arc<Self>, connection: TargetConnection) -> bool {
        let mut connection = Some(connection);
        let mut now = Instant::now();
        while now < self.until {
            if connection.is_none() {
                connection = self.run.reconnect(self.until).await;
                now = Instant::now();
            }
            let Some(open) = connection.take() else {
                return false;
            };
            let position = self.next.fetch_add(1, Ordering::Relaxed);
            if position >= self.end {
                return true;
            }
            let times = Times {
                intended: now,
                sent: now,
            };
            (now, connection) = self.run.send(open, position, times).await;
        }
        false
    }
}
