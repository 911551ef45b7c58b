//! The worker: claims deliveries, commits their effects, acknowledges them. The modules are in the order in
//! which a delivery passes them.

// Nothing may wait for the reader of standard error: it is logged.
#![warn(clippy::print_stderr)]

mod app;

mod claim;
mod due;
mod reclaim;

mod batch_processor;
mod decode;
mod unknown_endpoints;

mod committer;
mod unavailable_tables;

mod acknowledge;

mod failure_log;
mod metrics;
mod outcome;
mod spans;

mod active_claims;
mod janitor;
mod membership;
mod partitions;

mod program;

pub use app::{App, RunError, StartError};
pub use program::main;
