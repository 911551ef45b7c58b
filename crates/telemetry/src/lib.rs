//! Traces and metrics: which traces are kept, the catalogue of metrics, and the export of both over OTLP.
//!
//! A span is written when its work is over, from instants noted on the way. So a delivery whose trace is not
//! kept costs only those, and one that turned out slow or failed can still be kept.

pub mod catalogue;

mod environment;

mod sampling;

mod span;
mod span_ids;

mod tracer;

mod background;
mod connect;
mod counters;
mod traces;

mod metrics;

pub use background::{StartError, finish};
pub use connect::ConnectError;
pub use environment::{InvalidVariable, Variables};
pub use metrics::{Metrics, MetricsExporter};
pub use opentelemetry::trace::SpanKind;
pub use span::{Span, Timeline};
pub use span_ids::SpanIds;
pub use tracer::{Limits, Tracer};
pub use traces::TraceExporter;
