//! The request to stop: from a signal, or by hand in tests.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that was signalled a second time before it had stopped: 128 + SIGINT.
const EXIT_CODE_IMPATIENT: i32 = 130;

/// Whether the process was asked to stop. Cheap to clone; all clones see the same request.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Requested only by [`Shutdown::request`].
    #[must_use]
    pub fn manual() -> Self {
        Self::default()
    }

    /// Requested by SIGTERM or SIGINT. A second signal ends the process immediately with exit code 130. Must be
    /// called within a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::manual();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(listen(stop.clone(), terminate, interrupt));
        Ok(stop)
    }

    /// Asks the process to stop. Asking again changes nothing.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether it was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Sleeps, or returns early on a request.
    pub async fn sleep(&self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.requested() => {}
        }
    }

    /// Waits for the request. Safe to drop and call again.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }
}

async fn listen(stop: Shutdown, mut terminate: Signal, mut interrupt: Signal) {
    let name = next(&mut terminate, &mut interrupt).await;
    tracing::info!(signal = name, "Stopping: finishing what is in flight.");
    stop.request();
    let name = next(&mut terminate, &mut interrupt).await;
    tracing::warn!(
        signal = name,
        "Stopped immediately by a second signal; work in flight was dropped."
    );
    std::process::exit(EXIT_CODE_IMPATIENT);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
