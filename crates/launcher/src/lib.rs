//! Private Redis and PostgreSQL servers for development and tests: data folders, start, readiness, stop.
//!
//! Nothing here blocks on a server's start: callers poll readiness in their own way, synchronous or not.
//! The crate depends on little, so that `cargo dev` builds in seconds.

mod account;
mod error;
mod port;
mod postgres;
mod process;
mod redis;

pub use account::Account;
pub use error::{LaunchError, log_tail};
pub use port::free_port;
pub use postgres::Postgres;
pub use process::{Process, send, stop};
pub use redis::{Redis, ask};
