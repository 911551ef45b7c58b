//! The worker: claims deliveries, commits what they change, acknowledges. The modules stand in the
//! order of a delivery's way.

mod app;
mod metrics;

mod claim;
mod due;
mod reclaim;

mod batch_processor;
mod decode;
mod failure_log;
mod spans;

mod acknowledge;

mod active_claims;
mod janitor;

pub use app::{App, RunError, StartError};
