//! Who performs an operation, for the audit.

use std::fmt;

use serde::{Serialize, Serializer};
use strum::Display;

/// Longest name, which is in every audit row.
const NAME_CHARACTERS_MAX: usize = 64;

/// The person who performs an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    name: String,
    origin: ActorOrigin,
}

/// Where the operation was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display)]
pub enum ActorOrigin {
    /// The command line, by somebody with access to the machine.
    #[strum(serialize = "operator")]
    CommandLine,
}

/// A name that the audit does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {NAME_CHARACTERS_MAX} visible characters")]
pub struct InvalidName;

impl Actor {
    /// An actor of 1 to 64 characters without control characters.
    pub fn new(name: &str, origin: ActorOrigin) -> Result<Self, InvalidName> {
        let is_visible = !name.chars().any(char::is_control);
        if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || !is_visible {
            return Err(InvalidName);
        }
        Ok(Self {
            name: name.to_owned(),
            origin,
        })
    }
}

/// As in `audit_logs.actor`: `operator:asha`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.name)
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Actor, ActorOrigin};

    #[test]
    fn a_name_is_short_and_visible() {
        let actor = |name: &str| Actor::new(name, ActorOrigin::CommandLine);
        assert_eq!(actor("asha").unwrap().to_string(), "operator:asha");
        assert!(actor(&"x".repeat(64)).is_ok());
        for name in ["", "a\nb", &"x".repeat(65)] {
            assert!(actor(name).is_err(), "{name:?}");
        }
    }
}
