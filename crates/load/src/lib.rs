//! A generator of webhook load that is cheap enough not to be what is measured.
//!
//! Deliveries are signed and rendered beforehand ([`Corpus`]); sending one takes a vectored write and
//! a read on a connection that stays open, with no HTTP library between. [`closed()`] finds a receiver's
//! capacity, [`open()`] its latency at a given rate; [`deliver()`] sends a [`Plan`] with all that a receiver must
//! bear, and tells what became of each delivery, for an audit. The modules stand in the order in which a delivery
//! meets them.

mod ids;

mod mix;
mod template;

mod corpus;
mod target;

mod answer;
mod connection;
mod pace;

mod closed;
mod open;

mod plan;

mod deliver;
mod fates;

mod positions;
mod report;
mod run;

pub use answer::NotHttp;
pub use closed::{Closed, closed};
pub use connection::Broken;
pub use corpus::{Corpus, DeliveryRef};
pub use deliver::{Manner, TIMEOUT_MAX, deliver};
pub use fates::{Delivered, Fate, Progress};
pub use mix::{Contents, Mix};
pub use open::{Open, open};
pub use pace::{TICK_COARSE, TICK_FINE};
pub use plan::{
    BURST_LASTS, Bursts, Injected, Pace, Plan, PlanError, REORDER_WITHIN, SENDINGS_MAX, Sending,
    Signing,
};
pub use positions::Positions;
pub use report::{Histogram, Report};
pub use run::LoadError;
pub use target::{InvalidTarget, PATH_DEFAULT, Target};
