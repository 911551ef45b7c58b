//! Support for tests against real servers: each test gets its own PostgreSQL database and logical Redis
//! database on the servers that `cargo dev test` starts. Nothing ships it.

#![expect(
    clippy::missing_panics_doc,
    reason = "a test that cannot get its servers must fail"
)]

mod admin;
mod binaries;
mod certificates;
mod collector;
mod database;
mod folder;
mod full_pipe;
mod pgbouncer;
mod postgres_server;
mod proxy;
mod redis_database;
mod redis_server;
mod sentinels;
mod servers;
mod signal;
mod wait;

pub use admin::{ask_admin, is_ready};
pub use binaries::{Binaries, binaries_beside};
pub use certificates::{Authority, Certificate};
pub use collector::{CollectedMetrics, CollectedSpan, Collector, Reaction};
pub use database::{TestDatabase, pool_settings};
pub use folder::Folder;
pub use full_pipe::full_pipe;
pub use pgbouncer::PgBouncer;
pub use postgres_server::{PostgresPlan, PostgresServer, PostgresStop};
pub use proxy::{Link, Proxy};
pub use redis_database::redis_database;
pub use redis_server::RedisServer;
pub use sentinels::Sentinels;
pub use servers::{manifest_tools, promtool};
pub use signal::{Signal, send_signal};
pub use wait::wait_until;

/// A free port on 127.0.0.1 that nothing else takes while a server restarts.
#[must_use]
pub fn free_port() -> u16 {
    harkara_launcher::free_port().expect("a free port")
}
