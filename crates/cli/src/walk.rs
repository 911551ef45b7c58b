//! Walks through the ledger: their progress on standard error, and Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harkara_operations::Looked;
use harkara_operations::wording::counted;
use tokio::signal::ctrl_c;

use crate::output::{self, rfc3339_seconds};

/// Time between two lines of progress. A walk that ends sooner prints none.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Tells from time to time how far a walk has come.
#[derive(Debug)]
pub(crate) struct Progress {
    told: Instant,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        Self {
            told: Instant::now(),
        }
    }

    /// Prints how far it has come and `result`, unless it did so a moment ago.
    pub(crate) fn tell(&mut self, looked: &Looked, result: impl FnOnce() -> String) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            output::note(format!("{}; {}", far(looked), result()));
        }
    }
}

/// How far a walk has come: "looked at 20000 rows, back to 2026-11-23T10:00:00Z".
pub(crate) fn far(looked: &Looked) -> String {
    let rows = counted(looked.rows, "row");
    match looked.back_to {
        Some(time) => format!("looked at {rows}, back to {}", rfc3339_seconds(time)),
        None => format!("looked at {rows}"),
    }
}

/// Notices Ctrl-C, which from then on ends no process by itself: the walk ends after the step it is in.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(crate) fn listen() -> Self {
        let interrupted = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&interrupted);
        tokio::spawn(async move {
            // Without a handler Ctrl-C ends the process.
            if ctrl_c().await.is_ok() {
                seen.store(true, Ordering::Relaxed);
            }
        });
        Self(interrupted)
    }

    pub(crate) fn is_seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
