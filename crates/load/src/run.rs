//! What both models share while they run.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::corpus::Corpus;
use crate::report::{Tally, Times};
use crate::target::Target;

/// Why a load cannot be run. What happens to single requests is no error but part of the report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The target could not be reached at the start.
    #[error("cannot connect to {address}")]
    Connect {
        /// The target's address.
        address: SocketAddr,
        /// What the system said.
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
    /// A load needs a connection.
    #[error("a load needs at least one connection")]
    NoConnections,
    /// A rate that is no number, not above 0, or too high to be paced.
    #[error("a rate is above 0 and at most {RATE_PER_S_MAX} a second, not {0}")]
    Rate(f64),
    /// The system has no timer for the pacing.
    #[error("the system gives no timer to pace requests by")]
    Timer(#[source] io::Error),
    /// A part of the load stopped by a fault of its own.
    #[error("a connection's task failed")]
    Task(#[source] tokio::task::JoinError),
}

/// Highest rate of the open model: far above what one generator can send, and low enough for whole
/// nanoseconds between two requests.
pub(crate) const RATE_PER_S_MAX: f64 = 10_000_000.0;

/// How long to wait after a connection could not be made in the middle of a run.
const RECONNECT_PAUSE: Duration = Duration::from_millis(5);

/// What the connections of a run have in common.
pub(crate) struct Run {
    address: SocketAddr,
    head: Vec<u8>,
    corpus: Arc<Corpus>,
    tally: Mutex<Tally>,
}

impl Run {
    pub(crate) fn new(
        target: &Target,
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

    /// A connection of the start, without which there is no run.
    pub(crate) async fn connect(&self) -> Result<Connection, LoadError> {
        let connection =
            Connection::open(self.address)
                .await
                .map_err(|cause| LoadError::Connect {
                    address: self.address,
                    cause,
                })?;
        self.tally().count_opened();
        Ok(connection)
    }

    /// A connection in the middle of a run, where the target may be away for a while; `None` when
    /// the time is over.
    pub(crate) async fn reconnect(&self, until: Instant) -> Option<Connection> {
        while Instant::now() < until {
            if let Ok(connection) = self.connect().await {
                return Some(connection);
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
        None
    }

    /// Sends a delivery and counts what became of it. Returns when that was, and the connection
    /// where it can be used again.
    pub(crate) async fn send(
        &self,
        mut connection: Connection,
        position: usize,
        times: Times,
    ) -> (Instant, Option<Connection>) {
        let rest = self.corpus.rendered(position);
        let outcome = connection.exchange(times.sent, &self.head, rest).await;
        let stays_open = outcome.as_ref().is_ok_and(|answer| answer.stays_open);
        let now = self.tally().count(position, times, outcome);
        (now, stays_open.then_some(connection))
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        // Nothing panics while it holds the tally, and a count too few is better than none.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_tally(self) -> Tally {
        self.tally
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
