//! What operators do, as a library: typed functions and results for the command line and the console.
//!
//! Nothing here prints, parses arguments or reads the environment. JSON is serialised from the result types.

pub mod database;

pub mod events;

pub mod replay;

pub mod adoption;

pub mod backlog;

pub mod secrets;

pub mod doctor;

pub mod verification;

pub mod wording;

mod actor;
mod error;
mod looked;

pub use actor::{Actor, ActorOrigin, InvalidName};
pub use error::OperationError;
pub use looked::Looked;
