//! A deployment: the processes that share one ledger, and the mark by which its streams are known.

use std::fmt;
use std::sync::Arc;

/// Longest name of a deployment in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The name of a deployment. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentName(Arc<str>);

/// A text that is not the name of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {NAME_BYTES_MAX} of a-z, A-Z, 0-9, '-', '_' and '.'")]
pub struct InvalidDeploymentName;

/// The random id of a ledger, written once by a migration. A copy of the database has the same. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerId(Arc<str>);

/// Whose the streams are: a text beside them in Redis, with the name of the deployment and the id of its ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(String);

impl DeploymentName {
    /// The name of a deployment that was given none.
    pub const DEFAULT: &str = "harkara";

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses a name.
    pub fn parse(name: &str) -> Result<Self, InvalidDeploymentName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
            return Err(InvalidDeploymentName);
        }
        Ok(Self(name.into()))
    }
}

impl LedgerId {
    /// An id as the ledger has it.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }
}

impl Mark {
    /// The mark of a deployment.
    #[must_use]
    pub fn new(name: &DeploymentName, ledger: &LedgerId) -> Self {
        Self(format!("{name} {ledger}"))
    }

    /// A mark as it was found, whoever wrote it.
    #[must_use]
    pub fn found(text: String) -> Self {
        Self(text)
    }

    /// The mark as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the mark of a deployment. One that does not know its ledger yet compares the name alone.
    #[must_use]
    pub fn is_of(&self, name: &DeploymentName, ledger: Option<&LedgerId>) -> bool {
        self.0.split_once(' ').is_some_and(|(of_name, of_ledger)| {
            *of_name == *name.0 && ledger.is_none_or(|ledger| *of_ledger == *ledger.0)
        })
    }
}

/// For messages.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once(' ') {
            Some((name, ledger)) => write!(f, "{name} with the ledger {ledger}"),
            None => write!(f, "{:?}", self.0),
        }
    }
}

impl fmt::Display for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_name_and_one_ledger() {
        let [live, staging] = ["live", "staging"].map(|name| DeploymentName::parse(name).unwrap());
        let [first, second] = ["1-a", "2-b"].map(LedgerId::new);
        let mark = Mark::new(&live, &first);
        for (name, ledger, is_own) in [
            (&live, Some(&first), true),
            (&live, None, true),
            (&live, Some(&second), false),
            (&staging, Some(&first), false),
            (&staging, None, false),
        ] {
            assert_eq!(mark.is_of(name, ledger), is_own, "{name} {ledger:?}");
        }
        assert_eq!(mark, Mark::found(mark.as_str().to_owned()));
    }

    #[test]
    fn a_text_of_somebody_else_is_nobodys_mark() {
        let name = DeploymentName::parse("live").unwrap();
        for text in ["", "live", "\u{1b}[2J"] {
            let mark = Mark::found(text.to_owned());
            assert!(!mark.is_of(&name, None), "{text:?}");
            assert!(!mark.to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn a_name_is_one_word() {
        assert!(DeploymentName::parse("Live_1.in-south").is_ok());
        for bad in ["", "a b", "a:b", "é", &"x".repeat(65)] {
            assert!(DeploymentName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
