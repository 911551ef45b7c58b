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
use crate::services::{Kind, Recorded};

/// How long an `up` in the foreground may take to stop its processes: longer than each of them is given.
const FOREGROUND_PATIENCE: Duration = Duration::from_secs(90);

/// The file that a running `up` holds locked; it contains its process id.
const LOCK: &str = "up.lock";
/// The mark that an `up` has left its processes running on purpose.
const DETACHED: &str = "detached";

/// The right to start and stop the processes of this checkout.
pub(crate) enum Claim {
    /// Ours for as long as this exists.
    Taken(#[expect(dead_code, reason = "the open file is the lock")] File),
    /// The process with this id has it.
    Held(u32),
}

impl Claim {
    /// Tries to take it; `run` is the folder of pid files.
    pub(crate) fn take(run: &Path) -> Result<Self> {
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
            return Ok(Self::Held(owner.trim().parse().unwrap_or(0)));
        }
        file.set_len(0).with_context(using)?;
        write!(file, "{}", std::process::id()).with_context(using)?;
        Ok(Self::Taken(file))
    }
}

/// Stops what is running, if anything is.
pub(crate) fn run() -> Result<()> {
    let run = Checkout::find()?.run()?;
    let (_claim, had_foreground) = match Claim::take(&run)? {
        Claim::Held(owner) => (stop_foreground(owner, &run)?, true),
        taken @ Claim::Taken(_) => (taken, false),
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
    match Claim::take(&run)? {
        Claim::Held(owner) => report::say(format!("`cargo dev up` is running (process {owner})")),
        Claim::Taken(_) if recorded.is_empty() => {
            report::say("nothing is running; `cargo dev up` starts everything");
        }
        Claim::Taken(_) if is_detached_and_well(&run) => {
            report::say("`cargo dev up --detach` is running; `cargo dev down` stops it");
        }
        Claim::Taken(_) => report::say(
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
fn stop_foreground(owner: u32, run: &Path) -> Result<Claim> {
    // A process that has only just taken the lock has not written its id yet.
    if owner != 0 {
        report::say(format!(
            "asking the `cargo dev up` of process {owner} to stop"
        ));
        let has_ended = || !matches!(Claim::take(run), Ok(Claim::Held(_)));
        harkara_launcher::stop(owner, &[(Signal::TERM, FOREGROUND_PATIENCE)], has_ended);
    }
    match Claim::take(run)? {
        taken @ Claim::Taken(_) => Ok(taken),
        Claim::Held(owner) => {
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
        && processes.len() == Kind::IN_STOP_ORDER.len()
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
