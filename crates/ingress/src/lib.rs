//! The ingress: receives Razorpay's webhooks, verifies them, makes them durable and answers 200. They go
//! to Redis, and while Redis cannot take them to the inbox in PostgreSQL. It parses no more than the
//! event's name.

mod app;

mod tls;

mod receive;

mod trail;

mod admission;

mod body;

mod secrets;

mod refusals;

mod durable;

mod inbox;

mod breaker;

mod answer;

mod metrics;

mod streak;

mod backlog;

mod readiness;

mod schema;

pub use app::{App, RunError, StartError};
pub use schema::UnknownSchema;
