//! Queries of the ledger, its id, leases of its rows, and replay.

mod backlog;
mod due;
mod events;
mod id;
mod postponed;
mod replay;
mod secrets;
mod status;

pub use backlog::{DUE_COUNTED_MAX, due_backlog};
pub use due::{LeaseBounds, Leased, lease_due, release};
pub use events::{Change, EventDetail, EventFilter, EventRow, changes, find, list, optional_time};
pub use id::{audit_adoption, ledger_id};
pub use postponed::recall;
pub use replay::{ReplayCount, ReplaySelection, count_replayable, replay};
pub use secrets::{SecretUse, secret_uses};
pub use status::EventStatus;
