//! What a corpus holds, and what the models report of a server that behaves in a known way.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod server;

mod closed;
mod corpus;
mod deliver;
mod open;
