//! The closed model: what a target can take.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::corpus::Corpus;
use crate::report::{Report, Times};
use crate::run::{LoadError, Run};
use crate::target::Target;

/// Each connection sends the next delivery as soon as its last one was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// How many connections there are, all opened before the time begins.
    pub connections: usize,
    /// How long deliveries are sent. Answers that are under way then are still waited for.
    pub duration: Duration,
}

/// Sends deliveries of `range`, each once, until the time is over or the range is used up.
///
/// A connection that breaks is opened again. Errs only where nothing could begin.
pub async fn closed(
    target: &Target,
    corpus: &Arc<Corpus>,
    range: Range<usize>,
    model: &Closed,
) -> Result<Report, LoadError> {
    let run = Run::new(target, corpus, &range, model.connections)?;
    let mut connections = Vec::with_capacity(model.connections);
    for _ in 0..model.connections {
        connections.push(run.connect().await?);
    }
    let shared = Arc::new(Shared {
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

struct Shared {
    run: Run,
    next: AtomicUsize,
    end: usize,
    until: Instant,
}

impl Shared {
    /// Sends one delivery after another; returns whether the range ended it and not the time.
    async fn drive(self: Arc<Self>, connection: Connection) -> bool {
        let mut connection = Some(connection);
        let mut now = Instant::now();
        while now < self.until {
            let open = match connection.take() {
                Some(open) => open,
                None => match self.run.reconnect(self.until).await {
                    Some(open) => {
                        now = Instant::now();
                        open
                    }
                    None => return false,
                },
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
