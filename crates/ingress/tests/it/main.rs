//! The ingress as a whole, over HTTP and with a real Redis.
//!
//! `HARKARA_TEST_REDIS_URL` names a test server with many logical databases; `cargo dev test` gives
//! one. Tests that harm Redis start a server of their own.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod http;
mod ingress;
mod redis_server;

mod accepted;
mod admission;
mod backlog;
mod breaker;
#[cfg(target_os = "linux")]
mod connection_states;
mod deployments;
mod durability;
mod grouped_appends;
mod hostile_clients;
mod inbox;
mod limits;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod open_files;
#[cfg(target_os = "linux")]
mod pipelining;
mod process;
mod readiness;
mod redis_faults;
mod refusal_causes;
mod refused;
mod secrets;
mod sentinels;
mod shutdown;
mod startup;
#[cfg(target_os = "linux")]
mod strangers;
#[cfg(target_os = "linux")]
mod strangers_tls;
mod tls;

/// No condition that a test waits for takes this long.
const BOUND: std::time::Duration = std::time::Duration::from_secs(30);
