//! The only crate that talks to Redis: connections, the append, the consumer group, and what operators ask
//! of the server and its streams.

mod connect;
mod limited_connection;
mod pool;
mod pooled;
mod sentinel;
mod shared;
mod unknown_command;

mod confirmation;
pub mod fitness;
mod rehearsal;
mod server_check;
mod server_problem;

mod deployment;

pub mod append;

pub mod consumer_group;
mod group_error;

pub mod backlog;
pub mod inspection;

#[cfg(test)]
mod test_redis;

pub use confirmation::{Confirmation, Confirmations, LevelUnavailable};
pub use connect::address;
pub use deployment::{Deployment, ForeignStreams};
pub use group_error::GroupError;
pub use pool::{Pool, PoolError, pool};
pub use pooled::{PooledError, ask_over, ping};
pub use rehearsal::rehearse;
pub use sentinel::{SentinelState, inspect_sentinels};
pub use server_check::{
    Fsync, ServerReport, Warning, check_server, check_server_over, connect_to_check,
};
pub use server_problem::ServerProblem;
