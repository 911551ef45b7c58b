//! The ingress: receives Razorpay's webhooks, verifies them, makes them durable and answers 200. They go
//! to Redis, or to the inbox in PostgreSQL while Redis is unavailable. Nothing but the event's name is
//! parsed.

// Nothing may wait for the reader of standard error: it is logged.
#![warn(clippy::print_stderr)]

mod app;
mod start_error;

mod server;
mod tls;

mod connections;
mod descriptors;
mod log_limit;

mod receive;
mod rules;

mod admission;
mod body;

mod refusals;
mod secrets;

mod breaker;
mod durable_sink;
mod inbox;
mod routed_delivery;

mod outcome;

// Public so that a test outside can show that no 200 is made without a `Durable`.
#[doc(hidden)]
pub mod answer;
#[doc(hidden)]
pub mod durable;

mod endpoint_health;
mod metrics;
mod spans;

mod readiness;
mod schema_check;

/// The name of the ingress in `pg_stat_activity`.
const APPLICATION: &str = "harkara-ingress";

mod program;

pub use app::App;
pub use program::main;
pub use start_error::{RunError, StartError};
