//! The contents of a corpus, and the reports of the models about a server of known behaviour.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod server;

mod closed;
mod corpus;
mod deliver;
mod open;

use std::sync::Arc;
use std::time::Duration;

use harkara_core::secret::Secret;
use harkara_load::{Corpus, Mix};

/// Longer than any run takes.
const LONG: Duration = Duration::from_mins(1);

fn secret() -> Secret {
    Secret::new("a secret of ours")
}

fn payments(deliveries: usize) -> Arc<Corpus> {
    let corpus = Corpus::prepare(Mix::Payments, deliveries, &secret(), 1, 1_790_000_000);
    Arc::new(corpus)
}
