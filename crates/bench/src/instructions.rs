//! How many instructions the product's operations take, counted by valgrind: the guard against
//! getting slower that no noise touches.

/// What is stored and compared.
mod counts;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::arguments::Operation;
use crate::operate::EVENTS;
use counts::{BuiltBy, Compared, Counts, compare};

/// Times that an operation is done in the shorter of two runs; their difference is what counts.
const N: usize = 2 * EVENTS;

/// Counts every operation, tells the counts beside the stored ones, and fails where one has grown.
/// Where `accept`, stores them instead.
pub(crate) fn run(accept: bool) -> Result<ExitCode> {
    let program = std::env::current_exe()?;
    let mut counts = Counts::new(BuiltBy::of_this(&program));
    for operation in Operation::value_variants() {
        let short = instructions(&program, *operation, N)?;
        let long = instructions(&program, *operation, 2 * N)?;
        let more = long.checked_sub(short);
        let more = more.context("twice the operations took fewer instructions")?;
        counts
            .instructions
            .insert(*operation, more / u64::try_from(N)?);
    }
    let path = stored_path();
    if accept {
        counts.built_by.ensure_comparable()?;
        counts.write(&path)?;
        eprintln!("{} has the counts of this build now", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    let stored = Counts::read(&path)?;
    let compared = compare(&stored, &counts);
    let mut output = std::io::stdout().lock();
    output.write_all(compared.table().as_bytes())?;
    output.flush()?;
    Ok(judge(&compared, &stored.built_by, &counts.built_by))
}

fn judge(compared: &Compared, stored: &BuiltBy, this: &BuiltBy) -> ExitCode {
    if stored != this {
        eprintln!("Not judged: the stored counts are of {stored}, these of {this}.");
        return ExitCode::SUCCESS;
    }
    let grown = compared.grown();
    if grown.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "harkara-bench: {} above the stored count; make it as cheap as before, or where the growth is \
         worth it, store the new counts with `cargo dev bench instructions --accept`",
        grown.join(" and ")
    );
    ExitCode::FAILURE
}

/// Beside the sources, so that a change of the counts is part of the change that caused it.
fn stored_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

/// The instructions of this program doing an operation `n` times, preparation included.
fn instructions(program: &Path, operation: Operation, n: usize) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["operate", operation.name(), &n.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("valgrind, which counts the instructions, cannot be started")?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "counting `{}` failed ({}):\n{told}",
            operation.name(),
            output.status
        );
    }
    collected(&told).with_context(|| format!("valgrind tells no count:\n{told}"))
}

/// The count in callgrind's last words: `==42== Collected : 1234`.
fn collected(told: &str) -> Option<u64> {
    let count = told
        .lines()
        .find_map(|line| Some(line.split_once("== Collected :")?.1))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_count_is_read_from_what_callgrind_tells() {
        let told = "==42== Events    : Ir\n==42== Collected : 123456789\n==42== \n";
        assert_eq!(collected(told), Some(123_456_789));
        assert_eq!(collected("==42== Events    : Ir\n"), None);
    }
}
