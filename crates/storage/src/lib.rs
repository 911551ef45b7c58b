//! The one door to PostgreSQL. SQL lives here and nowhere else; only this crate names diesel.
//!
//! The modules stand in the order in which they are needed: connect, bring the schema up to date,
//! commit a batch, ask the ledger, compare what is stored with what was sent, look for what is wrong.

mod connect;
mod error;
mod pool;
mod statement;
mod statement_times;

pub mod migrations;
pub mod server;

mod projections;
pub mod record;

pub mod commit;
pub mod ledger;

pub mod audit;

pub mod inspection;

pub use error::{Remedy, StorageError};
pub use pool::{Pool, PoolSettings, PoolUse};
pub use statement_times::StatementTime;
