//! Metrics as OTLP has them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, Sum,
};

use super::text::{self, Labels, Sample, Scraped};
use crate::catalogue;

/// Since when values count, and at what time they were so: nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) until: u64,
}

/// The metrics of a scrape under their names in the catalogue. One that is not in it is passed over, which a
/// test of all that a process tells would notice.
pub(super) fn metrics(scraped: Vec<Scraped>, span: Span) -> Vec<Metric> {
    let known = scraped.into_iter().filter_map(|scraped| {
        let is_of = |metric: &&catalogue::Metric| {
            metric.name == scraped.name || metric.name.strip_suffix("_total") == Some(&scraped.name)
        };
        let known = catalogue::all().find(is_of)?;
        Some(metric(known, scraped.samples, span))
    });
    known.collect()
}

fn metric(known: &catalogue::Metric, samples: Vec<Sample>, span: Span) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match known.kind {
        catalogue::Kind::Counter => Data::Sum(Sum {
            data_points: samples.into_iter().map(|s| number(s, span)).collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        catalogue::Kind::Gauge => Data::Gauge(Gauge {
            data_points: samples.into_iter().map(|s| number(s, span)).collect(),
        }),
        catalogue::Kind::Histogram => Data::Histogram(Histogram {
            data_points: histograms(known.name, samples, span),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: known.name.to_owned(),
        description: known.help.to_owned(),
        unit: known.unit().to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn number(sample: Sample, span: Span) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(sample.labels),
        start_time_unix_nano: span.from,
        time_unix_nano: span.until,
        exemplars: sample.exemplar.into_iter().map(exemplar).collect(),
        value: Some(Number::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}

/// One for each combination of labels: its buckets count on, each with those before it.
fn histograms(name: &str, samples: Vec<Sample>, span: Span) -> Vec<HistogramDataPoint> {
    let mut points: BTreeMap<Labels, (HistogramDataPoint, u64)> = BTreeMap::new();
    for mut sample in samples {
        let bound = sample.labels.remove("le").and_then(|le| le.parse().ok());
        let (point, so_far) = points.entry(sample.labels).or_default();
        match sample.name.strip_prefix(name) {
            Some("_sum") => point.sum = Some(sample.value),
            Some("_count") => point.count = whole(sample.value),
            _ => {
                let until_here = whole(sample.value);
                point.bucket_counts.push(until_here.saturating_sub(*so_far));
                *so_far = until_here;
                point
                    .explicit_bounds
                    .extend(bound.filter(|bound: &f64| bound.is_finite()));
                point.exemplars.extend(sample.exemplar.map(exemplar));
            }
        }
    }
    let points = points
        .into_iter()
        .map(|(labels, (point, _))| HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: span.from,
            time_unix_nano: span.until,
            ..point
        });
    points.collect()
}

fn exemplar(mut exemplar: text::Exemplar) -> Exemplar {
    let mut id = |name| {
        let hex = exemplar.labels.remove(name);
        hex.and_then(|hex| bytes(&hex)).unwrap_or_default()
    };
    let (trace_id, span_id) = (id("trace_id"), id("span_id"));
    Exemplar {
        trace_id,
        span_id,
        filtered_attributes: attributes(exemplar.labels),
        time_unix_nano: whole(exemplar.at.unwrap_or_default() * 1e9),
        value: Some(ExemplarValue::AsDouble(exemplar.value)),
    }
}

/// The bytes of a number in hex.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}

fn attributes(labels: Labels) -> Vec<KeyValue> {
    let labels = labels.into_iter();
    labels
        .map(|(key, value)| KeyValue {
            key,
            value: Some(AnyValue {
                value: Some(Value::StringValue(value)),
            }),
            ..KeyValue::default()
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and times are neither negative nor near 2^64, and the cast saturates"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { from: 1, until: 2 };

    #[test]
    fn a_histogram_has_what_fell_into_each_bucket_and_its_exemplars() {
        let text = "\
# TYPE harkara_ingress_answer_seconds histogram
harkara_ingress_answer_seconds_sum{answer=\"accepted\"} 7.25
harkara_ingress_answer_seconds_count{answer=\"accepted\"} 4
harkara_ingress_answer_seconds_bucket{le=\"0.5\",answer=\"accepted\"} 1 # {trace_id=\"0aff\",span_id=\"01\"} 0.25
harkara_ingress_answer_seconds_bucket{le=\"1.0\",answer=\"accepted\"} 3
harkara_ingress_answer_seconds_bucket{le=\"+Inf\",answer=\"accepted\"} 4
harkara_ingress_answer_seconds_sum{answer=\"refused\"} 0
harkara_ingress_answer_seconds_count{answer=\"refused\"} 0
harkara_ingress_answer_seconds_bucket{le=\"0.5\",answer=\"refused\"} 0
harkara_ingress_answer_seconds_bucket{le=\"+Inf\",answer=\"refused\"} 0
# EOF
";
        let metrics = metrics(text::read(text).unwrap(), SPAN);
        let [
            Metric {
                unit,
                data: Some(Data::Histogram(histogram)),
                ..
            },
        ] = metrics.as_slice()
        else {
            panic!("{metrics:?}");
        };
        assert_eq!(unit, "s");
        let [accepted, refused] = histogram.data_points.as_slice() else {
            panic!("{histogram:?}");
        };
        assert_eq!(accepted.bucket_counts, [1, 2, 1]);
        assert_eq!(accepted.explicit_bounds, [0.5, 1.0]);
        assert_eq!((accepted.count, accepted.sum), (4, Some(7.25)));
        let exemplar = &accepted.exemplars[0];
        assert_eq!(
            (exemplar.trace_id.as_slice(), exemplar.span_id.as_slice()),
            (&[10, 255][..], &[1][..])
        );
        assert_eq!(exemplar.value, Some(ExemplarValue::AsDouble(0.25)));
        assert_eq!(refused.bucket_counts, [0, 0]);
        assert_eq!(
            (refused.start_time_unix_nano, refused.time_unix_nano),
            (1, 2)
        );
    }

    #[test]
    fn counters_keep_their_names_and_only_grow_and_gauges_do_not() {
        let text = "\
# TYPE harkara_ingress_accepted_bytes counter
harkara_ingress_accepted_bytes_total 9
# TYPE harkara_backlog_entries gauge
harkara_backlog_entries{lane=\"normal\"} 5.0
# TYPE of_somebody_else gauge
of_somebody_else 1
# EOF
";
        let metrics = metrics(text::read(text).unwrap(), SPAN);
        let [bytes, entries] = metrics.as_slice() else {
            panic!("{metrics:?}");
        };
        assert_eq!(
            (bytes.name.as_str(), bytes.unit.as_str()),
            ("harkara_ingress_accepted_bytes_total", "By")
        );
        let Some(Data::Sum(sum)) = &bytes.data else {
            panic!("{bytes:?}");
        };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(Number::AsDouble(9.0)));
        let Some(Data::Gauge(gauge)) = &entries.data else {
            panic!("{entries:?}");
        };
        assert_eq!(
            gauge.data_points[0].attributes,
            attributes([("lane".to_owned(), "normal".to_owned())].into())
        );
    }
}
