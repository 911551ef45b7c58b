//! `cargo dev down` and `cargo dev status`.
//!
//! An `up` in the foreground holds a file locked; the lock ends with the process, even a killed one. An `up` that
//! has detached leaves a mark instead. Processes without either are leftovers.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::checkout::Checkout;
use crate::report;
use crate::services::{Recorded, ServiceKind};

/// How long an `up` in the foreground may take to stop its processes: longer than each of them is given.
const FOREGROUND_PATIENCE: Duration = Duration::from_secs(90);

/// The file that a running `up` holds locked; it contains its process id.
const LOCK: &str = "up.lock";
/// The mark that an `up` has left its processes running on purpose.
const DETACHED: &str = "detached";

/// The lock without which no process of this checkout is started or stopped.
pub(crate) enum UpLock {
    /// Ours for as long as this exists.
    Acquired(#[expect(dead_code, reason = "the open file is the lock")] File),
    /// The process with this id has it.
    HeldBy(u32),
}

impl UpLock {
    /// Tries to acquire it; `run` is the folder of pid files.
    pub(crate) fn acquire(run: &Path) -> Result<Self> {
        let path = run.join(LOCK);
        let using = || format!("cannot use {}", path.display());
        // Not truncated on opening: the id in it is another's until the lock is ours.
        let mut file = File::options()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .with_context(using)?;
        if file.try_lock().is_err() {
            let owner = fs::read_to_string(&path).with_context(using)?;
            return Ok(Self::HeldBy(owner.trim().parse().unwrap_or(0)));
        }
        file.set_len(0).with_context(using)?;
        write!(file, "{}", std::process::id()).with_context(using)?;
        Ok(Self::Acquired(file))
    }
}

/// Stops what is running, if anything is.
pub(crate) fn run() -> Result<()> {
    let run = Checkout::find()?.run()?;
    let (_lock, had_foreground) = match UpLock::acquire(&run)? {
        UpLock::HeldBy(owner) => (stop_foreground(owner, &run)?, true),
        acquired @ UpLock::Acquired(_) => (acquired, false),
    };
    let was_running = stop_leftovers(&run)? || had_foreground;
    report::say(if was_running {
        "stopped; `cargo dev up` continues with the same data"
    } else {
        "nothing was running"
    });
    Ok(())
}

/// Prints one line for each process of `cargo dev up`, running or not.
pub(crate) fn status() -> Result<()> {
    let run = Checkout::find()?.run()?;
    let recorded = Recorded::read_all(&run);
    match UpLock::acquire(&run)? {
        UpLock::HeldBy(owner) => {
            report::say(format!("`cargo dev up` is running (process {owner})"));
        }
        UpLock::Acquired(_) if recorded.is_empty() => {
            report::say("nothing is running; `cargo dev up` starts everything");
        }
        UpLock::Acquired(_) if is_detached_and_well(&run) => {
            report::say("`cargo dev up --detach` is running; `cargo dev down` stops it");
        }
        UpLock::Acquired(_) => report::say(
            "an earlier `cargo dev up` left processes behind; `cargo dev down` stops those still running",
        ),
    }
    for process in recorded {
        let running = process.is_running(&run);
        let state = if running { "running" } else { "ended" };
        let (name, id) = (process.kind.name(), process.id);
        report::say(format!("  {name:<9} {state:<8} process {id}"));
    }
    Ok(())
}

/// Asks an `up` in another terminal to stop, waits until it has, and takes its place.
fn stop_foreground(owner: u32, run: &Path) -> Result<UpLock> {
    // A process that has only just taken the lock has not written its id yet.
    if owner != 0 {
        report::say(format!(
            "asking the `cargo dev up` of process {owner} to stop"
        ));
        let has_ended = || !matches!(UpLock::acquire(run), Ok(UpLock::HeldBy(_)));
        harkara_launcher::stop(owner, &[(Signal::TERM, FOREGROUND_PATIENCE)], has_ended);
    }
    match UpLock::acquire(run)? {
        acquired @ UpLock::Acquired(_) => Ok(acquired),
        UpLock::HeldBy(owner) => {
            bail!(
                "another `cargo dev` (process {owner}) is running here; try again when it has finished"
            )
        }
    }
}

/// Records that the processes are left running on purpose.
pub(crate) fn mark_detached(run: &Path) -> Result<()> {
    let mark = run.join(DETACHED);
    fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))
}

/// Whether an `up` has detached and all of its processes are running.
pub(crate) fn is_detached_and_well(run: &Path) -> bool {
    let processes = Recorded::read_all(run);
    run.join(DETACHED).exists()
        && processes.len() == ServiceKind::IN_STOP_ORDER.len()
        && processes.iter().all(|process| process.is_running(run))
}

/// Stops every recorded process that is running. Returns whether there was any.
pub(crate) fn stop_leftovers(run: &Path) -> Result<bool> {
    let mut was_running = false;
    for process in Recorded::read_all(run) {
        was_running |= process.stop(run)?;
    }
    // The mark may not exist.
    fs::remove_file(run.join(DETACHED)).ok();
    Ok(was_running)
}
