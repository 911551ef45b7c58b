//! The ingress as a whole, over HTTP and with a real Redis.
//!
//! `HARKARA_TEST_REDIS_URL` names a test server with many logical databases; `cargo dev test` gives
//! one. Tests that harm Redis start a server of their own.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod groups;
mod http;
mod ingress;

mod abuse;
mod accepts;
mod backlog;
mod breaker;
mod diagnoses;
mod door;
mod durability;
mod faults;
mod inbox;
mod limits;
#[cfg(target_os = "linux")]
mod memory;
mod process;
mod readiness;
mod refuses;
mod secrets;
mod sentinels;
mod starts;
mod stops;
mod tls;
