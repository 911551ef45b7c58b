//! The threads that export: no delivery waits for the collector.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::connect::ConnectError;
use crate::environment::InvalidVariable;
use crate::{MetricsExporter, TraceExporter};

/// How long shutdown waits for the last export.
pub(crate) const LAST_EXPORT_MAX: Duration = Duration::from_secs(3);

/// Interval between warnings about a collector that takes nothing.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// Why an export could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable has an invalid value.
    #[error(transparent)]
    Variable(#[from] InvalidVariable),
    /// The endpoint, a header or a file cannot be used.
    #[error("cannot export telemetry")]
    Connect(#[from] ConnectError),
    /// The system provided no thread or no runtime.
    #[error("cannot start the thread that exports telemetry")]
    Thread(#[from] io::Error),
}

/// Exports what is left of both, in parallel, for up to three seconds. Blocks that long.
pub fn finish(traces: TraceExporter, metrics: MetricsExporter) {
    thread::scope(|scope| {
        scope.spawn(|| traces.finish());
        metrics.finish();
    });
}

/// A thread that exports until it is finished.
#[derive(Debug)]
pub(crate) struct Background {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Background {
    /// A runtime for the thread: clients must be built within it.
    pub(crate) fn runtime() -> io::Result<Runtime> {
        Builder::new_current_thread().enable_all().build()
    }

    /// Starts a thread that runs `export` until it ends. The token asks it to end.
    pub(crate) fn start<F: Future<Output = ()>>(
        name: &str,
        runtime: Runtime,
        export: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || runtime.block_on(export(stopped)))?;
        Ok(Self { stop, thread })
    }

    /// Asks the thread to end and waits for it.
    pub(crate) fn finish(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::warn!("A thread that exports telemetry panicked.");
        }
    }
}

/// Limits how often a failing collector is logged.
#[derive(Debug, Default)]
pub(crate) struct WarningLimit(Option<Instant>);

impl WarningLimit {
    /// Whether to log a failure now.
    pub(crate) fn admits(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= WARN_EVERY);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }

    /// Admits the next failure immediately: the collector answered.
    pub(crate) fn reset(&mut self) {
        self.0 = None;
    }
}
