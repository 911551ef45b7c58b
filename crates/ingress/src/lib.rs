//! The ingress: receives Razorpay's webhooks, verifies them, makes them durable and answers 200. They go
//! to Redis, and while Redis cannot take them to the inbox in PostgreSQL. It parses no more than the
//! event's name.

mod app;

mod tls;

mod receive;

mod spans;

mod connections;

mod descriptors;

mod admission;

mod body;

mod secrets;

mod refusals;

mod durable_sink;

mod inbox;

mod breaker;

mod answer;

mod metrics;

mod endpoint_health;

mod backlog;

mod readiness;

mod schema_check;

pub use app::{App, RunError, StartError};
pub use schema_check::UnknownSchema;
