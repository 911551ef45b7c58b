//! Queries of the ledger, its id, walks through it, leases of its rows, and replay.

mod backlog;
mod due;
mod events;
mod id;
mod postponed;
mod replay;
mod secrets;
mod status;
mod stretch;

pub use backlog::{DUE_COUNTED_MAX, due_backlog};
pub use due::{LeaseBounds, Leased, lease_due, release};
pub use events::{
    Change, EventDetail, EventFilter, EventRow, Source, changes, few_are_pending, find, list,
    optional_time,
};
pub use id::{audit_adoption, ledger_id};
pub use postponed::recall;
pub use replay::{ReplayCount, ReplayTarget, count_replayable, replay};
pub use secrets::{SecretUse, secret_uses};
pub use status::EventStatus;
pub use stretch::{BEGINNING, END, Stretch, Walk, stretch};
