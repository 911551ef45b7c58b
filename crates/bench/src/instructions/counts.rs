//! What is stored and compared: instructions for each operation, and what they depend on.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::arguments::Operation;
use crate::figures::number;
use crate::report::table::{align, figure};

/// A count may be larger than the stored one by this part of it: system libraries differ by less.
const GROWTH_MAX: f64 = 0.05;

/// Cargo's profile whose counts are stored.
const PROFILE: &str = "instructions";

/// Instructions of one operation on one event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Counts {
    #[serde(flatten)]
    pub(super) built_by: BuiltBy,
    pub(super) instructions: BTreeMap<Operation, u64>,
}

/// What counts depend on besides the code; only those that agree in it can be compared.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BuiltBy {
    /// What the compiler calls its version.
    rustc: String,
    target: String,
    /// The name of cargo's profile.
    profile: String,
}

impl BuiltBy {
    /// Of this program, whose folder cargo names after the profile.
    pub(super) fn of_this(program: &Path) -> Self {
        let folder = program.parent().and_then(Path::file_name);
        Self {
            rustc: env!("HARKARA_BENCH_RUSTC").to_owned(),
            target: env!("HARKARA_BENCH_TARGET").to_owned(),
            profile: folder.unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// Errs for a profile whose counts nobody would compare with.
    pub(super) fn ensure_comparable(&self) -> Result<()> {
        let profile = &self.profile;
        ensure!(
            profile == PROFILE,
            "this was built with the profile {profile}, and counts of the profile {PROFILE} are stored; \
             `cargo dev bench instructions --accept` builds it"
        );
        Ok(())
    }
}

impl fmt::Display for BuiltBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rustc,
            target,
            profile,
        } = self;
        write!(f, "{rustc} for {target}, profile {profile}")
    }
}

impl Counts {
    pub(super) fn new(built_by: BuiltBy) -> Self {
        Self {
            built_by,
            instructions: BTreeMap::new(),
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is faulty", path.display()))
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// Stored counts beside new ones.
pub(super) struct Compared(Vec<Pair>);

struct Pair {
    operation: Operation,
    /// `None` for an operation that nothing is stored of, which is no growth.
    stored: Option<f64>,
    counted: f64,
}

/// Puts the stored count beside each new one.
pub(super) fn compare(stored: &Counts, counted: &Counts) -> Compared {
    let pair = |(operation, count): (&Operation, &u64)| Pair {
        operation: *operation,
        stored: stored
            .instructions
            .get(operation)
            .map(|count| number(*count)),
        counted: number(*count),
    };
    Compared(counted.instructions.iter().map(pair).collect())
}

impl Compared {
    /// The operations that grew by too much, each with its growth.
    pub(super) fn grown(&self) -> Vec<String> {
        let too_much = |pair: &&Pair| pair.growth().is_some_and(|growth| growth > GROWTH_MAX);
        let grown = self.0.iter().filter(too_much);
        grown
            .map(|pair| format!("`{}` is {}", pair.operation.name(), pair.change()))
            .collect()
    }

    /// One line for each operation.
    pub(super) fn table(&self) -> String {
        let header = ["instructions per event", "stored", "now", "change"];
        let mut lines = vec![header.map(str::to_owned).to_vec()];
        lines.extend(self.0.iter().map(|pair| {
            vec![
                pair.operation.name().to_owned(),
                pair.stored.map(figure).unwrap_or_default(),
                figure(pair.counted),
                pair.change(),
            ]
        }));
        let mut text = String::new();
        align(&lines, &mut text).expect("writing to a text does not fail");
        text
    }
}

impl Pair {
    fn growth(&self) -> Option<f64> {
        self.stored.map(|stored| self.counted / stored - 1.0)
    }

    fn change(&self) -> String {
        let percent = |growth| format!("{:+.1} %", growth * 100.0);
        self.growth().map(percent).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BuiltBy, Counts, compare};
    use crate::arguments::Operation;

    fn counts(verify: u64) -> Counts {
        let mut counts = Counts::new(BuiltBy::of_this(Path::new("/target/instructions/bench")));
        counts.instructions.insert(Operation::Verify, verify);
        counts
    }

    #[test]
    fn more_than_a_twentieth_above_the_stored_count_is_growth() {
        assert!(compare(&counts(1_000), &counts(1_049)).grown().is_empty());
        assert!(compare(&counts(1_000), &counts(500)).grown().is_empty());
        let grown = compare(&counts(1_000), &counts(1_060)).grown();
        assert_eq!(grown, ["`verify` is +6.0 %"]);
    }

    #[test]
    fn an_operation_that_nothing_is_stored_of_has_not_grown() {
        let mut counted = counts(1_000);
        counted.instructions.insert(Operation::Fold, 77);
        let compared = compare(&counts(1_000), &counted);
        assert!(compared.grown().is_empty());
        assert!(compared.table().contains("fold"), "{}", compared.table());
    }

    #[test]
    fn counts_tell_the_profile_they_were_built_with() {
        assert_eq!(counts(1).built_by.profile, "instructions");
    }

    #[test]
    fn stored_counts_are_read_back() {
        let text = serde_json::to_string(&counts(1_000)).unwrap();
        let read: Counts = serde_json::from_str(&text).unwrap();
        assert_eq!(read.built_by, counts(0).built_by);
        assert_eq!(read.instructions, counts(1_000).instructions);
    }
}
