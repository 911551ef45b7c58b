//! How many instructions the product's operations take, counted by valgrind: a guard against
//! getting slower that is free of noise.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::arguments::Operation;
use crate::figures::number;
use crate::operate::EVENTS;
use crate::report::table::{aligned, figure};

/// How often the shorter of two runs does an operation; their difference is what counts.
const N: usize = 2 * EVENTS;

/// A count may exceed the stored one by this share: system libraries differ by less.
const GROWTH_MAX: f64 = 0.05;

/// The Cargo profile whose counts are stored.
const PROFILE: &str = "instructions";

/// The stored counts, beside the sources, so that a change of the counts is part of the change that caused it.
const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");

/// Instructions of one operation on one event.
#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    #[serde(flatten)]
    built_by: BuiltBy,
    instructions: BTreeMap<Operation, u64>,
}

/// What counts depend on besides the code; only counts that agree in it can be compared.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BuiltBy {
    /// The compiler's version.
    rustc: String,
    target: String,
    /// The name of the Cargo profile.
    profile: String,
}

/// A stored count beside a new one.
struct CountPair {
    operation: Operation,
    /// `None` for an operation without a stored count, which is no growth.
    stored: Option<f64>,
    counted: f64,
}

/// Counts every operation, prints the counts beside the stored ones, and fails if one has grown.
/// With `accept` it stores them instead.
pub(crate) fn run(accept: bool) -> Result<ExitCode> {
    let program = std::env::current_exe()?;
    let counts = Counts {
        built_by: BuiltBy::of_this(&program),
        instructions: count(&program)?,
    };
    if accept {
        let profile = &counts.built_by.profile;
        ensure!(
            profile == PROFILE,
            "this was built with the profile {profile}, and counts of the profile {PROFILE} are stored; \
             `cargo dev bench instructions --accept` builds it"
        );
        let text = serde_json::to_string_pretty(&counts)? + "\n";
        fs::write(STORED, text).with_context(|| format!("cannot write {STORED}"))?;
        eprintln!("{STORED} has the counts of this build now");
        return Ok(ExitCode::SUCCESS);
    }
    let stored = fs::read(STORED).with_context(|| format!("cannot read {STORED}"))?;
    let stored: Counts =
        serde_json::from_slice(&stored).with_context(|| format!("invalid {STORED}"))?;
    let pairs = pairs(&stored, &counts);
    let mut output = std::io::stdout().lock();
    output.write_all(table(&pairs).as_bytes())?;
    output.flush()?;
    Ok(judge(&pairs, &stored.built_by, &counts.built_by))
}

fn judge(pairs: &[CountPair], stored: &BuiltBy, this: &BuiltBy) -> ExitCode {
    if stored != this {
        eprintln!("Not judged: the stored counts are of {stored}, these of {this}.");
        return ExitCode::SUCCESS;
    }
    let grown = grown(pairs);
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

fn count(program: &Path) -> Result<BTreeMap<Operation, u64>> {
    let count = |operation: &Operation| {
        let short = instructions(program, *operation, N)?;
        let long = instructions(program, *operation, 2 * N)?;
        let more = long.checked_sub(short);
        let more = more.context("twice the operations took fewer instructions")?;
        Ok((*operation, more / N as u64))
    };
    Operation::value_variants().iter().map(count).collect()
}

/// The instructions of this program doing an operation `n` times, including preparation.
fn instructions(program: &Path, operation: Operation, n: usize) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["operate", &operation.to_string(), &n.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("cannot start valgrind, which counts the instructions")?;
    let (log, status) = (String::from_utf8_lossy(&output.stderr), output.status);
    ensure!(
        status.success(),
        "counting `{operation}` failed ({status}):\n{log}"
    );
    collected(&log).with_context(|| format!("valgrind reports no count:\n{log}"))
}

/// The count in callgrind's last lines: `==42== Collected : 1234`.
fn collected(log: &str) -> Option<u64> {
    let count = log
        .lines()
        .find_map(|line| Some(line.split_once("== Collected :")?.1))?;
    count.trim().parse().ok()
}

/// Puts the stored count beside each new one.
fn pairs(stored: &Counts, counted: &Counts) -> Vec<CountPair> {
    let pair = |(operation, count): (&Operation, &u64)| CountPair {
        operation: *operation,
        stored: stored.instructions.get(operation).copied().map(number),
        counted: number(*count),
    };
    counted.instructions.iter().map(pair).collect()
}

/// The operations that grew by too much, each with its growth.
fn grown(pairs: &[CountPair]) -> Vec<String> {
    let too_much = |pair: &&CountPair| pair.growth().is_some_and(|growth| growth > GROWTH_MAX);
    let grown = pairs.iter().filter(too_much);
    grown
        .map(|pair| format!("`{}` is {}", pair.operation, pair.change()))
        .collect()
}

/// One line for each operation.
fn table(pairs: &[CountPair]) -> String {
    let header = ["instructions per event", "stored", "now", "change"].map(str::to_owned);
    let row = |pair: &CountPair| {
        [
            pair.operation.to_string(),
            pair.stored.map(figure).unwrap_or_default(),
            figure(pair.counted),
            pair.change(),
        ]
    };
    aligned([header].into_iter().chain(pairs.iter().map(row)))
}

impl CountPair {
    fn growth(&self) -> Option<f64> {
        self.stored.map(|stored| self.counted / stored - 1.0)
    }

    fn change(&self) -> String {
        let percent = |growth| format!("{:+.1} %", growth * 100.0);
        self.growth().map(percent).unwrap_or_default()
    }
}

impl BuiltBy {
    /// Of this program, whose folder Cargo names after the profile.
    fn of_this(program: &Path) -> Self {
        let folder = program.parent().and_then(Path::file_name);
        Self {
            rustc: env!("HARKARA_BENCH_RUSTC").to_owned(),
            target: env!("HARKARA_BENCH_TARGET").to_owned(),
            profile: folder.unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

impl fmt::Display for BuiltBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} for {}, profile {}",
            self.rustc, self.target, self.profile
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BuiltBy, Counts, collected, grown, pairs, table};
    use crate::arguments::Operation;

    fn counts(verify: u64) -> Counts {
        Counts {
            built_by: BuiltBy::of_this(Path::new("/target/instructions/bench")),
            instructions: [(Operation::Verify, verify)].into(),
        }
    }

    #[test]
    fn more_than_a_twentieth_above_the_stored_count_is_growth() {
        let grown_to = |count| grown(&pairs(&counts(1_000), &counts(count)));
        assert!(grown_to(1_049).is_empty());
        assert!(grown_to(500).is_empty());
        assert_eq!(grown_to(1_060), ["`verify` is +6.0 %"]);
    }

    #[test]
    fn an_operation_without_a_stored_count_has_not_grown() {
        let mut counted = counts(1_000);
        counted.instructions.insert(Operation::Fold, 77);
        let pairs = pairs(&counts(1_000), &counted);
        assert!(grown(&pairs).is_empty());
        assert!(table(&pairs).contains("fold"), "{}", table(&pairs));
    }

    #[test]
    fn stored_counts_are_read_back_with_their_profile() {
        let text = serde_json::to_string(&counts(1_000)).unwrap();
        let read: Counts = serde_json::from_str(&text).unwrap();
        assert_eq!(read.built_by, counts(0).built_by);
        assert_eq!(read.built_by.profile, "instructions");
        assert_eq!(read.instructions, counts(1_000).instructions);
    }

    #[test]
    fn the_count_is_read_from_the_log_of_callgrind() {
        let log = "==42== Events    : Ir\n==42== Collected : 123456789\n==42== \n";
        assert_eq!(collected(log), Some(123_456_789));
        assert_eq!(collected("==42== Events    : Ir\n"), None);
    }
}
