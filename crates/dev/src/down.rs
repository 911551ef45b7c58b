//! `cargo dev down`, and what an earlier `up` left.
//!
//! A living `up` in a foreground holds a file locked; the lock goes with the process, even a
//! killed one. An `up` that has detached leaves a mark instead. Processes without either are
//! leftovers.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::Signal;

use crate::checkout::Checkout;
use crate::failure::{Result, While as _};
use crate::{ending, pid_file, report};

/// How long a foreground `up` may take to stop its processes: longer than each of those is given.
const FOREGROUND_PATIENCE: Duration = Duration::from_secs(90);

/// The file that a living `up` holds locked; it holds its process number.
const LOCK: &str = "up.lock";
/// The mark that an `up` has left its processes running on purpose.
const DETACHED: &str = "detached";

/// The right to start and stop the processes of this checkout.
pub(crate) enum Claim {
    /// It is ours as long as this lives.
    Taken(#[expect(dead_code, reason = "the open file is the lock")] File),
    /// The process of this number has it.
    Held(u32),
}

impl Claim {
    /// Tries to take it; `run` is the folder of pid files.
    pub(crate) fn take(run: &Path) -> Result<Self> {
        let path = run.join(LOCK);
        let using = || format!("use {}", path.display());
        // Not truncated on opening: the number in it is another's until the lock is ours.
        let mut file = File::options()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .or_cannot(using)?;
        if file.try_lock().is_err() {
            let owner = fs::read_to_string(&path).or_cannot(using)?;
            return Ok(Self::Held(owner.trim().parse().unwrap_or(0)));
        }
        file.set_len(0).or_cannot(using)?;
        write!(file, "{}", std::process::id()).or_cannot(using)?;
        Ok(Self::Taken(file))
    }
}

/// Stops what is running; nothing running is fine too.
pub(crate) fn run() -> Result<ExitCode> {
    let checkout = Checkout::find()?;
    let run = checkout.run()?;
    let (_claim, had_foreground) = match Claim::take(&run)? {
        Claim::Held(owner) => (end_foreground(owner, &run)?, true),
        taken @ Claim::Taken(_) => (taken, false),
    };
    let was_running = end_leftovers(&run)? || had_foreground;
    report::say(if was_running {
        "stopped; `cargo dev up` continues with the same data"
    } else {
        "nothing was running"
    });
    Ok(ExitCode::SUCCESS)
}

/// Asks an `up` in another terminal to end, waits until it has, and takes its place.
fn end_foreground(owner: u32, run: &Path) -> Result<Claim> {
    let is_ours = || pid_file::command_line(owner).is_some_and(|line| line.contains("harkara-dev"));
    // Otherwise it has just ended, or has only just begun: the lock tells.
    if owner != 0 && is_ours() {
        report::say(format!(
            "asking the `cargo dev up` of process {owner} to stop"
        ));
        ending::end(owner, &[(Signal::TERM, FOREGROUND_PATIENCE)], || !is_ours());
    }
    match Claim::take(run)? {
        taken @ Claim::Taken(_) => Ok(taken),
        Claim::Held(owner) => Err(format!(
            "another `cargo dev` (process {owner}) is at work here; try again when it is done"
        )
        .into()),
    }
}

/// Notes that the processes are left running on purpose.
pub(crate) fn mark_detached(run: &Path) -> Result<()> {
    let mark = run.join(DETACHED);
    fs::write(&mark, "").or_cannot(|| format!("write {}", mark.display()))
}

/// Whether an `up` has detached and all of its processes are alive.
pub(crate) fn is_detached_and_well(run: &Path) -> bool {
    let processes = pid_file::read_all(run);
    run.join(DETACHED).exists()
        && processes.len() == crate::service::Kind::IN_ORDER_OF_STOPPING.len()
        && processes.iter().all(pid_file::Remembered::is_alive)
}

/// Ends every process that is remembered and alive. Returns whether there was any.
pub(crate) fn end_leftovers(run: &Path) -> Result<bool> {
    let mut was_running = false;
    for remembered in pid_file::read_all(run) {
        was_running |= remembered.end(run)?;
    }
    // The mark may well not be there.
    fs::remove_file(run.join(DETACHED)).ok();
    Ok(was_running)
}
