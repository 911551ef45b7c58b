//! A generator of webhook load that is cheap enough not to distort what it measures.
//!
//! Deliveries are signed and rendered beforehand ([`Corpus`]); sending one takes a vectored write and
//! a read on a connection that stays open, with no HTTP client between. [`closed()`] finds a receiver's
//! capacity, [`open()`] its latency at a given rate; [`deliver()`] sends a [`LoadPlan`] with everything a
//! receiver must handle, and reports the outcome of each delivery, for an audit. The modules are in the order
//! in which a delivery passes them.

mod ids;

mod mix;
mod template;

mod corpus;
mod target;

mod connection;
mod pace;
mod response;

mod closed;
mod open;

mod plan;

mod deliver;
mod outcomes;

mod report;
mod run;

pub use closed::{Closed, closed};
pub use connection::Broken;
pub use corpus::{Corpus, DeliveryRef};
pub use deliver::{DeliverOptions, TIMEOUT_MAX, deliver};
pub use fixedbitset::FixedBitSet;
pub use mix::{Contents, Mix};
pub use open::{Open, open};
pub use outcomes::{Delivered, LoadProgress, Outcome};
pub use pace::{TICK_COARSE, TICK_FINE};
pub use plan::{
    BURST_LASTS, Bursts, Injected, LoadPlan, Pace, PlanError, PlannedRequest, REORDER_WITHIN,
    REQUESTS_MAX, Signing,
};
pub use report::{Histogram, LoadReport};
pub use response::NotHttp;
pub use run::LoadError;
pub use target::{InvalidTarget, LoadTarget, PATH_DEFAULT};
