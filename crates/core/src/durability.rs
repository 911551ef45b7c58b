//! How durable a delivery is when it is answered.

/// Where a delivery is safe before its answer. Each level of Redis includes those before it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum Durability {
    /// In the memory of Redis; a crash of Redis may lose it.
    Appended,
    /// On the disk of Redis; it survives a crash or power failure of that machine.
    Fsynced,
    /// On the disk of Redis and in the memory of as many replicas as the settings require.
    Replicated,
    /// Committed to PostgreSQL, because Redis could not take it.
    Stored,
}

impl Durability {
    /// The levels of Redis, lowest first.
    pub const OF_REDIS: [Self; 3] = [Self::Appended, Self::Fsynced, Self::Replicated];

    /// Every level.
    pub const ALL: [Self; 4] = [
        Self::Appended,
        Self::Fsynced,
        Self::Replicated,
        Self::Stored,
    ];

    /// The level's name in settings, entries, rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a level's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}
