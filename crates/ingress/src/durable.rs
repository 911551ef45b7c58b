//! The proof that a delivery is durable.

use harkara_core::durability::Durability;
use harkara_streams::append::AppendedEntry;

use crate::inbox::StoredDelivery;

/// The proof that a delivery is durable, which [`crate::answer::accepted`] takes. It is made only from what
/// Redis or PostgreSQL confirmed.
#[must_use]
pub struct Durable(Durability);

impl Durable {
    /// The level that was reached.
    pub(crate) fn level(&self) -> Durability {
        self.0
    }
}

impl From<AppendedEntry> for Durable {
    fn from(appended: AppendedEntry) -> Self {
        Self(appended.level())
    }
}

impl From<StoredDelivery> for Durable {
    fn from(_: StoredDelivery) -> Self {
        Self(Durability::Stored)
    }
}
