//! Questions to the ledger and what operators do with it.

mod due;
mod events;
mod replay;

pub use due::{lease_due, release};
pub use events::{Change, EventDetail, EventFilter, EventRow, changes, find, list};
pub use replay::{ReplayCount, ReplaySelection, count_replayable, replay};
