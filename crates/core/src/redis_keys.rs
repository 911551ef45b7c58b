//! The names of a deployment's keys in Redis.

use std::fmt;
use std::sync::Arc;

use crate::lane::{LANES, Lane};

/// Longest prefix in bytes. It is in every command.
const PREFIX_BYTES_MAX: usize = 64;

/// The keys of one partition. Cheap to clone.
///
/// They share a prefix, which tells deployments on one Redis apart, and a hash tag, which keeps them in one
/// slot of a cluster. Displayed as the part that they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisKeys(Arc<str>);

/// A text that cannot be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix is 1 to {PREFIX_BYTES_MAX} of a-z, A-Z, 0-9, '-', '_', '.' and ':'")]
pub struct InvalidPrefix;

impl RedisKeys {
    /// The prefix of a deployment that has a Redis for itself.
    pub const DEFAULT_PREFIX: &str = "harkara";

    /// The keys of a partition under a prefix. Braces would move the hash tag, and `*`, `?`, `[` and a backslash
    /// would make the patterns of access rules ambiguous.
    pub fn new(prefix: &str, partition: u16) -> Result<Self, InvalidPrefix> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if prefix.is_empty() || prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(allowed) {
            return Err(InvalidPrefix);
        }
        Ok(Self(format!("{prefix}:{{{partition}}}").into()))
    }

    /// The stream of a lane.
    #[must_use]
    pub fn stream(&self, lane: Lane) -> String {
        format!("{self}:{lane}")
    }

    /// The streams of all lanes, highest first.
    #[must_use]
    pub fn streams(&self) -> [String; LANES] {
        Lane::ALL.map(|lane| self.stream(lane))
    }

    /// The mark that says whose the streams are ([`crate::deployment::Mark`]).
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{self}:deployment")
    }

    /// A stream that never exists.
    #[must_use]
    pub fn rehearsal(&self) -> String {
        format!("{self}:rehearsal")
    }
}

/// Partition 0 under the default prefix.
impl Default for RedisKeys {
    fn default() -> Self {
        Self(format!("{}:{{0}}", Self::DEFAULT_PREFIX).into())
    }
}

impl fmt::Display for RedisKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::RedisKeys;
    use crate::lane::Lane;

    #[test]
    fn others_rely_on_the_default_names() {
        let keys = RedisKeys::default();
        assert_eq!(keys, RedisKeys::new("harkara", 0).unwrap());
        let streams = ["critical", "medium", "normal", "default"];
        assert_eq!(
            keys.streams(),
            streams.map(|lane| format!("harkara:{{0}}:{lane}"))
        );
        assert_eq!(keys.mark(), "harkara:{0}:deployment");
    }

    #[test]
    fn every_key_has_the_prefix_and_the_hash_tag_of_its_partition() {
        let keys = RedisKeys::new("team-a:harkara", 7).unwrap();
        for key in [keys.stream(Lane::Critical), keys.mark(), keys.rehearsal()] {
            assert!(key.starts_with("team-a:harkara:{7}:"), "{key}");
        }
    }

    #[test]
    fn a_prefix_can_be_neither_a_hash_tag_nor_a_pattern() {
        assert!(RedisKeys::new(&"x".repeat(64), 0).is_ok());
        for bad in [
            "",
            "a{b",
            "a}",
            "a*",
            "a?",
            "[a]",
            "a\\",
            "a b",
            "é",
            &"x".repeat(65),
        ] {
            assert!(RedisKeys::new(bad, 0).is_err(), "{bad:?}");
        }
    }
}
