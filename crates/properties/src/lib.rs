//! Properties that hold for any delivered bytes and any bytes in a stream: one function for each place
//! that reads them. Each panics where its property does not hold. Fuzzing (`just fuzz`) looks for such bytes;
//! the tests here try the seeds that it starts from.

mod entry;
mod event;
mod event_name;
mod signature;

#[cfg(feature = "seeds")]
mod seeds;

pub use entry::entry;
pub use event::event;
pub use event_name::event_name;
#[cfg(feature = "seeds")]
pub use seeds::{Target, targets};
pub use signature::signature;
