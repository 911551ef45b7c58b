//! How durable a delivery is when it is answered.

use std::fmt;

/// Where a delivery is safe before its answer. Each level of Redis holds what those before it hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// In the memory of Redis: a crash of Redis may lose it.
    Appended,
    /// On the disk of Redis: a crash or power failure of that machine keeps it.
    Fsynced,
    /// On the disk of Redis and in the memory of as many replicas as the settings ask for.
    Replicated,
    /// Committed to PostgreSQL, because Redis could not take it.
    Stored,
}

impl Durability {
    /// The levels that can be asked of Redis, the least first.
    pub const OF_REDIS: [Self; 3] = [Self::Appended, Self::Fsynced, Self::Replicated];

    /// Every level.
    pub const ALL: [Self; 4] = [
        Self::Appended,
        Self::Fsynced,
        Self::Replicated,
        Self::Stored,
    ];

    /// The level's name, as it stands in settings, entries, rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Appended => "appended",
            Self::Fsynced => "fsynced",
            Self::Replicated => "replicated",
            Self::Stored => "stored",
        }
    }

    /// Reads a level's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
