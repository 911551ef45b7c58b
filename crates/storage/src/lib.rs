//! The only crate that talks to PostgreSQL: SQL and diesel appear nowhere else.
//!
//! The modules are in the order in which they are needed: connect, migrate the schema, keep its partitions ready, commit a batch,
//! query and replay the ledger, verify a load, inspect the server and the schema.

mod connect;
mod error;
mod pool;
mod pooler;
mod session_settings;
mod sqlstate;
mod statement;
mod statement_times;
mod wire;

pub mod durability_risks;
pub mod grants;
pub mod migrations;
pub mod partitions;

mod projections;
pub mod record;

pub mod commit;
pub mod ledger;

pub mod verification;

pub mod inspection;

pub use connect::address;
pub use harkara_settings::Pooler;

pub use error::{ConnectError, Recovery, StorageError};
pub use pool::{Pool, PoolSettings, PoolUse};
pub use statement_times::StatementTime;
