//! Ctrl-C, a closed terminal and `kill`: noted in a flag that every wait looks at, so that the
//! command always stops what it started.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::{Failure, Result, While as _};

/// How long any wait sleeps between two looks at what it waits for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

static ASKED_TO_END: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Takes over SIGINT, SIGTERM and SIGHUP for the rest of the process.
pub(crate) fn listen() -> Result<()> {
    let flag = ASKED_TO_END.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .or_cannot(|| format!("listen to signal {signal}"))?;
    }
    Ok(())
}

/// Whether one of the signals has come.
pub(crate) fn requested() -> bool {
    ASKED_TO_END
        .get()
        .is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Lets a little time pass between two looks, or fails when the developer asked to end.
pub(crate) fn pause() -> Result<()> {
    if requested() {
        return Err(Failure::Interrupted);
    }
    pause_regardless();
    Ok(())
}

/// The same while ending, when a further Ctrl-C must not leave things half stopped.
pub(crate) fn pause_regardless() {
    thread::sleep(LOOK_EVERY);
}
