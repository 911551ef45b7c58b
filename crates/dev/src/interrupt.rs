//! Ctrl-C, a closed terminal and `kill` set a flag that every wait checks, so that the command always stops
//! what it started.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Time between two checks of a condition.
const CHECK_EVERY: Duration = Duration::from_millis(20);

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The developer asked to stop: everything is stopped, and there is nothing to report.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

/// Handles SIGINT, SIGTERM and SIGHUP for the rest of the process.
pub(crate) fn listen() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&REQUESTED))
            .context("cannot install signal handlers")?;
    }
    Ok(())
}

/// Fails if the developer asked to stop.
pub(crate) fn check() -> Result<()> {
    if REQUESTED.load(Ordering::Relaxed) {
        return Err(Error::msg(Interrupted));
    }
    Ok(())
}

/// Sleeps until the next check, or fails if the developer asked to stop.
pub(crate) fn pause() -> Result<()> {
    check()?;
    thread::sleep(CHECK_EVERY);
    Ok(())
}
