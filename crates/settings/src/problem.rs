//! Everything that is wrong with the settings, reported together.

use std::fmt;
use std::path::PathBuf;

/// All problems with the settings of a process, in the order in which they were found. It does not start.
#[derive(Debug)]
pub struct SettingsError(pub(crate) Vec<SettingsProblem>);

/// One problem: which setting, where it came from, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// The key as in the TOML file; empty if the problem is not about one key.
    pub key: String,
    /// Where the value came from.
    pub origin: ValueOrigin,
    /// What is wrong and what is expected instead. Never contains a secret.
    pub problem: String,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// The built-in default.
    Default,
    /// The settings file.
    File(PathBuf),
    /// An environment variable, by its name.
    Environment(String),
    /// Set by the program itself.
    Program,
    /// A file that holds only this value, and the origin that named the file.
    SecretFile(PathBuf, Box<ValueOrigin>),
}

impl SettingsProblem {
    pub(crate) fn new(key: &str, origin: ValueOrigin, problem: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            origin,
            problem: problem.into(),
        }
    }
}

impl SettingsError {
    /// The problems in the order in which they were found.
    #[must_use]
    pub fn problems(&self) -> &[SettingsProblem] {
        &self.0
    }
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.len();
        let plural = if n == 1 { "" } else { "s" };
        write!(f, "{n} problem{plural} in the settings:")?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.origin, self.problem)
        } else {
            write!(f, "{} ({}): {}", self.key, self.origin, self.problem)
        }
    }
}

impl fmt::Display for ValueOrigin {
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
