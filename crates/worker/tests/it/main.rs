//! The whole way: a signed request to the real ingress, real Redis, the real worker, real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod lanes;
mod pipeline;

mod backlog;
mod delivers;
mod deployments;
mod disorder;
mod duplicates;
mod edited;
mod fails;
mod fails_over;
mod gathers;
mod inbox;
mod memory;
mod partitions;
mod pooler;
mod reclaims;
mod retries;
mod starts;
mod stops;
mod tables;
mod tls;
mod traces;
mod waits;
