//! Plays Razorpay: builds event bodies as they come over the wire, signs them and sends them.
//!
//! Everything but [`send`] is a pure function of a seed and a time, so a run can be repeated exactly.
//! The modules are in the order in which a simulated event passes them.

mod json;
pub mod random;

pub mod bodies;
pub mod edge_cases;
pub mod lifecycles;

pub mod delivery;
pub mod plan;
pub mod send;

pub use bodies::{Bodies, SimulatedEvent};
