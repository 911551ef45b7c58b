//! What each signal does. SIGPIPE is not here: the standard library ignores it, so that a write to a closed
//! connection fails instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io, process};

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Shutdown;
use crate::logging;

/// Exit code of a process that was signalled a second time before it had stopped: 128 + SIGINT.
const EXIT_CODE_IMPATIENT: i32 = 130;

/// Ask for a stop; again, for an immediate one. SIGQUIT is how some supervisors ask, and what a terminal sends on
/// Ctrl-\.
const STOPPING: [(&str, SignalKind); 3] = [
    ("SIGTERM", SignalKind::terminate()),
    ("SIGINT", SignalKind::interrupt()),
    ("SIGQUIT", SignalKind::quit()),
];

/// What log rotation and other tools send to servers that reopen files or report on it.
const MEANINGLESS: [(&str, SignalKind); 2] = [
    ("SIGUSR1", SignalKind::user_defined1()),
    ("SIGUSR2", SignalKind::user_defined2()),
];

/// Starts to act on signals.
pub(super) fn listen(stop: &Shutdown) -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    for (name, kind) in STOPPING {
        let signals = signal(kind)?;
        tokio::spawn(stop_or_exit(stop.clone(), asked.clone(), name, signals));
    }
    for (name, kind) in MEANINGLESS {
        tokio::spawn(ignore(name, signal(kind)?));
    }
    // A process under `nohup` is to outlive its terminal.
    if !is_ignored(SignalKind::hangup()) {
        tokio::spawn(hang_up(stop.clone(), signal(SignalKind::hangup())?));
    }
    // With a handler, a log file at its size limit costs lines instead of the process. Nothing is to be done then,
    // and certainly nothing logged.
    drop(signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?);
    Ok(())
}

/// Stops on the first of these signals, and exits on the second. `asked` is common to all of them.
async fn stop_or_exit(
    stop: Shutdown,
    asked: Arc<AtomicBool>,
    name: &'static str,
    mut signals: Signal,
) {
    while signals.recv().await.is_some() {
        if asked.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                signal = name,
                "Stopped immediately by a second signal; work in flight was dropped."
            );
            logging::finish();
            process::exit(EXIT_CODE_IMPATIENT);
        }
        begin(&stop, name);
    }
}

/// A closed terminal sends it twice (from the shell, and from the system), and some supervisors send it with SIGTERM:
/// it never counts as the first or the second request.
async fn hang_up(stop: Shutdown, mut signals: Signal) {
    while signals.recv().await.is_some() {
        begin(&stop, "SIGHUP");
    }
}

fn begin(stop: &Shutdown, signal: &'static str) {
    if !stop.is_requested() {
        tracing::info!(signal, "Stopping: finishing what is in flight.");
        stop.request();
    }
}

async fn ignore(name: &'static str, mut signals: Signal) {
    while signals.recv().await.is_some() {
        tracing::info!(
            signal = name,
            "Ignored a signal that means nothing here; SIGTERM stops the process."
        );
    }
}

/// Whether the process was started to ignore a signal. Only Linux tells.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status) >> (kind.as_raw_value() - 1) & 1 == 1
}

/// The set of ignored signals in a `/proc/<pid>/status`: bit 0 is signal 1.
fn ignored_signals(status: &str) -> u64 {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::ignored_signals;

    #[test]
    fn the_ignored_signals_are_read_from_the_status() {
        let status =
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t00000000fffffffe\n";
        assert_eq!(ignored_signals(status), 1 | 1 << 12);
        assert_eq!(ignored_signals(""), 0);
    }
}
