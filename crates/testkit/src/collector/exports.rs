//! The exports that a collector receives.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;

use super::{Kept, Reaction};

/// A span as it was received.
#[derive(Clone, Debug)]
pub struct CollectedSpan {
    /// Its trace, in hex.
    pub trace_id: String,
    /// Its id, in hex.
    pub span_id: String,
    /// The span above, in hex; empty for the first of a trace.
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// Internal 1, server 2, client 3, producer 4, consumer 5.
    pub kind: i32,
    /// When it began and ended, in nanoseconds since 1970.
    pub times: (u64, u64),
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Trace and span of each link, in hex.
    pub links: Vec<(String, String)>,
    /// Whether its status is an error.
    pub failed: bool,
    /// The attributes of the process.
    pub resource: BTreeMap<String, String>,
}

/// The metrics of one export.
#[derive(Clone, Debug)]
pub struct CollectedMetrics {
    /// The attributes of the process.
    pub resource: BTreeMap<String, String>,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

/// A request to export a signal.
pub(super) trait Export: Message + Default + 'static {
    type Answer: Message;

    /// Keeps what it holds, and returns the answer.
    fn keep(self, kept: &mut Kept) -> Self::Answer;
}

impl Export for ExportTraceServiceRequest {
    type Answer = ExportTraceServiceResponse;

    fn keep(self, kept: &mut Kept) -> Self::Answer {
        for of_resource in self.resource_spans {
            let resource = attributes(of_resource.resource);
            let spans = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
            kept.spans
                .extend(spans.map(|span| collected(span, &resource)));
        }
        Self::Answer::default()
    }
}

impl Export for ExportMetricsServiceRequest {
    type Answer = ExportMetricsServiceResponse;

    fn keep(self, kept: &mut Kept) -> Self::Answer {
        let received = self.resource_metrics.into_iter().map(|of_resource| {
            let scopes = of_resource.scope_metrics.into_iter();
            CollectedMetrics {
                resource: attributes(of_resource.resource),
                metrics: scopes.flat_map(|of_scope| of_scope.metrics).collect(),
            }
        });
        kept.metrics.extend(received);
        let rejects = kept.reaction == Reaction::RejectPart;
        let partial_success = rejects.then(|| ExportMetricsPartialSuccess {
            rejected_data_points: 1,
            error_message: "too old".to_owned(),
        });
        Self::Answer { partial_success }
    }
}

fn collected(span: Span, resource: &BTreeMap<String, String>) -> CollectedSpan {
    let hex = const_hex::encode::<&[u8]>;
    let links = span.links.iter();
    CollectedSpan {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: texts(span.attributes),
        links: links
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        failed: span
            .status
            .is_some_and(|status| status.code() == StatusCode::Error),
        resource: resource.clone(),
    }
}

fn attributes(resource: Option<Resource>) -> BTreeMap<String, String> {
    texts(resource.unwrap_or_default().attributes)
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let attributes = attributes.into_iter();
    attributes
        .map(|attribute| {
            let text = match attribute.value.and_then(|value| value.value) {
                Some(Value::StringValue(text)) => text,
                Some(Value::IntValue(number)) => number.to_string(),
                Some(Value::BoolValue(value)) => value.to_string(),
                other => format!("{other:?}"),
            };
            (attribute.key, text)
        })
        .collect()
}
