//! The command line as operators use it: the real binary against real servers and services.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod harkara;

mod ledger;

mod adopt;
mod deployment;
mod doctor;
mod events;
mod lag;
mod migrate;
mod passwords;
mod pooler;
mod reference;
mod replay;
mod secrets;
mod shows;
mod snapshots;
mod usage;
