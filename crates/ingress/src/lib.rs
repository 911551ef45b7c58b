//! The ingress: receives Razorpay's webhooks, verifies them, appends them to Redis, and answers 200
//! once they are durable. It parses no more than the event's name, and asks a database for nothing
//! but its schema, once.

mod app;

mod receive;

mod body;

mod append;

mod answer;

mod metrics;

mod readiness;

mod schema;

pub use app::{App, RunError, StartError};
pub use schema::UnknownSchema;
