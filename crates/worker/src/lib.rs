//! The worker: claims deliveries, commits what they change, acknowledges. The modules stand in the
//! order of a delivery's way.

mod app;
mod metrics;

mod claim;
mod due;
mod take_over;

mod decode;
mod failures;
mod permits;
mod road;
mod trail;

mod acknowledge;

mod held;
mod janitor;

pub use app::{App, RunError, StartError};
