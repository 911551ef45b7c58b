//! The ingress: receives Razorpay's webhooks, verifies them, appends them to Redis, and answers 200
//! once they are durable. It parses no more than the event's name, and touches no database.

mod app;

mod receive;

mod body;

mod append;

mod answer;

mod metrics;

mod readiness;

pub use app::{App, RunError, StartError};
