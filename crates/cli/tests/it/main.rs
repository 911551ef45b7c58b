//! The command line as operators meet it: the real binary against a real database and ingress.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod harkara;

mod ledger;

mod processes;
mod receiving;

mod doctor;
mod events;
mod health;
mod lag;
mod load;
mod logs;
mod metrics_export;
mod migrate;
mod reference;
mod replay;
mod scraped;
mod secrets;
mod shows;
mod snapshots;
mod starts;
mod traced;
mod trigger;
mod usage;
