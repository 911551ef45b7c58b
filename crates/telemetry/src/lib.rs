//! Traces and metrics: which traces are kept, their spans, and their way to a collector.
//!
//! A span is written down when what it tells of is over, from instants that were taken on the way. So a
//! delivery that nobody keeps costs a few of those, and one that turned out to be slow or to fail can be
//! kept all the same.

pub mod catalogue;

mod environment;

mod sampling;

mod span;
mod span_ids;

mod tracer;

mod connect;
mod counters;
mod export;

mod metrics;

pub use connect::ConnectError;
pub use environment::{Environment, InvalidVariable, MetricsEnvironment, Variables};
pub use export::{Exporting, StartError};
pub use metrics::{Metrics, MetricsExporting};
pub use opentelemetry::trace::SpanKind;
pub use span::{Span, Timeline};
pub use span_ids::SpanIds;
pub use tracer::{Limits, Tracer};
