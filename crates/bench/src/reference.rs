//! The references of the product: servers that do a part of what the ingress does, and the ceilings
//! of Redis and PostgreSQL.

/// `XADD` of the same entries, pipelined.
pub(crate) mod append;
/// The ledger's columns alone, in large batches.
pub(crate) mod ledger;
mod server;

pub(crate) use server::{serve, start};
