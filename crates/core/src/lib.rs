//! Razorpay's webhooks without a network.
//!
//! This crate does no I/O, reads no clock and spawns nothing. It has the stages of a delivery as types, the
//! catalogue of events, the tolerant reading of their bodies, and the law by which two snapshots of an entity
//! merge. The modules are in the order in which a delivery passes them.

pub mod endpoint;
pub mod secret;

pub mod delivery;
pub mod durability;
pub mod signature;
pub mod trace;

pub mod catalogue;
pub mod entry;
pub mod lane;

pub mod deployment;
pub mod redis_keys;

pub mod entity;
pub mod event;
pub mod ids;
pub mod money;
pub mod text;
pub mod time;

pub mod precedence;
pub mod projection;

pub mod retry;

pub mod backlog;

pub mod causes;
pub mod visible;
