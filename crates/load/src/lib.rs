//! A generator of webhook load that is cheap enough not to be what is measured.
//!
//! Deliveries are signed and rendered beforehand ([`Corpus`]); sending one takes a vectored write and
//! a read on a connection that stays open, with no HTTP library between. [`closed()`] finds a receiver's
//! capacity, [`open()`] its latency at a given rate. The modules stand in the order in which a delivery
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

mod positions;
mod report;
mod run;

pub use answer::NotHttp;
pub use closed::{Closed, closed};
pub use connection::Broken;
pub use corpus::{Corpus, DeliveryRef};
pub use mix::Mix;
pub use open::{Open, open};
pub use pace::{TICK_COARSE, TICK_FINE};
pub use positions::Positions;
pub use report::{Histogram, Report};
pub use run::LoadError;
pub use target::{PATH_DEFAULT, Target};
