//! `cargo dev status`: what is running.

use std::process::ExitCode;

use crate::checkout::Checkout;
use crate::down::{self, Claim};
use crate::failure::Result;
use crate::{pid_file, report};

/// Prints one line for each process of `cargo dev up`, dead or alive.
pub(crate) fn run() -> Result<ExitCode> {
    let checkout = Checkout::find()?;
    let run = checkout.run()?;
    match Claim::take(&run)? {
        Claim::Held(owner) => report::say(format!("`cargo dev up` is running (process {owner})")),
        Claim::Taken(_) if pid_file::read_all(&run).is_empty() => {
            report::say("nothing is running; `cargo dev up` starts everything");
        }
        Claim::Taken(_) if down::is_detached_and_well(&run) => {
            report::say("`cargo dev up --detach` is running; `cargo dev down` stops it");
        }
        Claim::Taken(_) => report::say(
            "leftovers of an earlier `cargo dev up`; `cargo dev down` stops what still runs",
        ),
    }
    for remembered in pid_file::read_all(&run) {
        let state = if remembered.is_alive() {
            "running"
        } else {
            "ended"
        };
        report::say(format!(
            "  {:<9} {state:<8} process {}",
            remembered.kind.name(),
            remembered.pid
        ));
    }
    Ok(ExitCode::SUCCESS)
}
