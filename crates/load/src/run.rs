//! The state that both models share while they run.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::TargetConnection;
use crate::corpus::Corpus;
use crate::report::{Tally, Times};
use crate::target::LoadTarget;

/// Why a load cannot be run. The outcome of a single request is part of the report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The target could not be reached at the start.
    #[error("cannot connect to {address}")]
    Connect {
        /// The target's address.
        address: SocketAddr,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The range is not within the corpus.
    #[error("the range ends at {end}, and the corpus has {len} deliveries")]
    Range {
        /// The end of the range.
        end: usize,
        /// The corpus's length.
        len: usize,
    },
    /// No connection is allowed.
    #[error("a load needs at least one connection")]
    NoConnections,
    /// A rate that is not a number above 0, or too high to be paced.
    #[error("a rate is above 0 and at most {RATE_PER_S_MAX} a second, not {0}")]
    Rate(f64),
    /// The system has no timer for the pacing.
    #[error("cannot create a timer to pace requests")]
    Timer(#[source] io::Error),
    /// A task of the generator panicked.
    #[error("a connection's task failed")]
    Task(#[source] tokio::task::JoinError),
}

/// Highest rate of the open model: far above the capacity of one generator, and low enough for whole
/// nanoseconds between two requests.
pub(crate) const RATE_PER_S_MAX: f64 = 10_000_000.0;

/// The pause after a failed attempt to reconnect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(5);

/// The part of a run that its connections share.
pub(crate) struct ModelRun {
    address: SocketAddr,
    head: Vec<u8>,
    corpus: Arc<Corpus>,
    tally: Mutex<Tally>,
}

impl ModelRun {
    pub(crate) fn new(
        target: &LoadTarget,
        corpus: &Arc<Corpus>,
        range: &Range<usize>,
        connections: usize,
    ) -> Result<Self, LoadError> {
        let len = corpus.len();
        if range.end > len {
            return Err(LoadError::Range {
                end: range.end,
                len,
            });
        }
        if connections == 0 {
            return Err(LoadError::NoConnections);
        }
        Ok(Self {
            address: target.address,
            head: target.request_head(),
            corpus: Arc::clone(corpus),
            tally: Mutex::new(Tally::new(range)),
        })
    }

    /// Opens the first connections, without which there is no run.
    pub(crate) async fn connect_all(
        &self,
        count: usize,
    ) -> Result<Vec<TargetConnection>, LoadError> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(self.connect().await?);
        }
        Ok(connections)
    }

    async fn connect(&self) -> Result<TargetConnection, LoadError> {
        let connection = TargetConnection::open(self.address)
            .await
            .map_err(|cause| LoadError::Connect {
                address: self.address,
                cause,
            })?;
        self.tally().count_opened();
        Ok(connection)
    }

    /// Reconnects in the middle of a run, while the target may be unavailable; `None` when the time is
    /// over.
    pub(crate) async fn reconnect(&self, until: Instant) -> Option<TargetConnection> {
        while Instant::now() < until {
            if let Ok(connection) = self.connect().await {
                return Some(connection);
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
        None
    }

    /// Sends a delivery and counts its outcome. Returns when that was, and the connection if it can be
    /// used again.
    pub(crate) async fn send(
        &self,
        mut connection: TargetConnection,
        position: usize,
        times: Times,
    ) -> (Instant, Option<TargetConnection>) {
        let rest = self.corpus.rendered(position);
        let outcome = connection.exchange(times.sent, &self.head, rest).await;
        let stays_open = outcome.as_ref().is_ok_and(|answer| answer.stays_open);
        let now = self.tally().count(position, times, outcome);
        (now, stays_open.then_some(connection))
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        // Nobody panics while holding the tally, and an incomplete one is better than none.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_tally(self) -> Tally {
        self.tally
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
