//! The request to stop: from a signal, or by hand in tests.

mod signals;

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Whether the process was asked to stop. Cheap to clone; all clones see the same request.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Requested only by [`Shutdown::request`].
    #[must_use]
    pub fn manual() -> Self {
        Self::default()
    }

    /// Requested by SIGTERM, SIGINT, SIGQUIT or SIGHUP. A second signal other than SIGHUP ends the process
    /// immediately with exit code 130. SIGUSR1, SIGUSR2 and SIGXFSZ, which would end it by default, do nothing. Must
    /// be called within a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::manual();
        signals::listen(&stop)?;
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
