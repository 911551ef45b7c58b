//! What is wrong with the settings, all of it at once.

use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with the settings of a process. It does not start.
#[derive(Debug)]
pub struct SettingsFaults(Vec<Fault>);

/// One thing that is wrong: which setting, where it came from, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key as in the TOML file; empty when the fault is not about one key.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong and what is expected instead. Never holds a secret.
    pub problem: String,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The settings file.
    File(PathBuf),
    /// An environment variable, by its name.
    Environment(String),
    /// Handed over by the program itself.
    Program,
    /// A file that holds only this value, and the origin that named the file.
    SecretFile(PathBuf, Box<Origin>),
}

impl SettingsFaults {
    /// The faults as an error, or nothing when there are none.
    pub(super) fn check(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Self(faults))
        }
    }

    /// The faults in the order in which they were found.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }
}

impl std::error::Error for SettingsFaults {}

impl fmt::Display for SettingsFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_faults = self.0.len();
        let plural = if n_faults == 1 { "" } else { "s" };
        write!(f, "{n_faults} fault{plural} in the settings:")?;
        self.0
            .iter()
            .try_for_each(|fault| write!(f, "\n  - {fault}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.origin, self.problem)
        } else {
            write!(f, "{} ({}): {}", self.key, self.origin, self.problem)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::Program => f.write_str("set by the program"),
            Self::SecretFile(path, named_by) => {
                write!(f, "{}, named by {named_by}", path.display())
            }
        }
    }
}
