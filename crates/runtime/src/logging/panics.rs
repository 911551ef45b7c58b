//! Panics in the log.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tracing::field::display;

use super::queue::LineQueue;

/// How long a thread that panics waits until its line is written: the process may end with it.
const LINE_WAIT: Duration = Duration::from_millis(100);

/// Logs every panic. The standard library would write it to standard error itself, and wait for the reader.
pub(super) fn log_panics(queue: Arc<LineQueue>) {
    let stands_still = AtomicBool::new(false);
    panic::set_hook(Box::new(move |panic| {
        log(panic);
        // A reader that stands still is waited for once, not at every caught panic.
        if !stands_still.load(Relaxed) {
            stands_still.store(!queue.finish(LINE_WAIT), Relaxed);
        }
    }));
}

fn log(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    // Captured only if RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = is_captured.then(|| display(backtrace));
    let location = panic.location().map(display);
    tracing::error!(
        reason = panic.payload_as_str(),
        location,
        thread = thread.name(),
        backtrace,
        "A thread panicked; please report it."
    );
}
