//! The registry's metrics as OTLP messages.

use std::fmt;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, Sum,
};
use prometheus_client::encoding::prometheus_protobuf::{encode, prometheus_data_model as scraped};
use prometheus_client::registry::Registry;

use crate::catalogue::{self, Kind};

/// When counting began and when the values were read, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) from: u64,
    pub(super) until: u64,
}

/// The metrics of a registry, with the names, help and units of the catalogue. Uncatalogued ones are skipped; a
/// test of each binary's metrics finds those.
pub(super) fn metrics(registry: &Registry, interval: Interval) -> Result<Vec<Metric>, fmt::Error> {
    let families = encode(registry)?.into_iter().filter_map(|family| {
        let known = catalogue::all().find(|metric| metric.name == family.name)?;
        Some(Metric {
            name: known.name.to_owned(),
            description: known.help.to_owned(),
            unit: known.unit().to_owned(),
            metadata: Vec::new(),
            data: Some(data(known.kind, family.metric, interval)),
        })
    });
    Ok(families.collect())
}

fn data(kind: Kind, samples: Vec<scraped::Metric>, interval: Interval) -> Data {
    let samples = samples.into_iter();
    let cumulative = AggregationTemporality::Cumulative.into();
    match kind {
        Kind::Counter => Data::Sum(Sum {
            data_points: samples
                .filter_map(|sample| {
                    let counter = sample.counter?;
                    let point = number(sample.label, counter.value, interval);
                    Some(NumberDataPoint {
                        exemplars: counter.exemplar.into_iter().map(exemplar).collect(),
                        ..point
                    })
                })
                .collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Gauge => Data::Gauge(Gauge {
            data_points: samples
                .filter_map(|sample| Some(number(sample.label, sample.gauge?.value, interval)))
                .collect(),
        }),
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: samples
                .filter_map(|sample| Some(histogram(sample.label, sample.histogram?, interval)))
                .collect(),
            aggregation_temporality: cumulative,
        }),
    }
}

fn number(labels: Vec<scraped::LabelPair>, value: f64, interval: Interval) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: interval.from,
        time_unix_nano: interval.until,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

/// Prometheus counts each bucket together with those below it, OTLP by itself; the last has no bound in OTLP.
fn histogram(
    labels: Vec<scraped::LabelPair>,
    histogram: scraped::Histogram,
    interval: Interval,
) -> HistogramDataPoint {
    let mut point = HistogramDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: interval.from,
        time_unix_nano: interval.until,
        count: histogram.sample_count,
        sum: Some(histogram.sample_sum),
        ..HistogramDataPoint::default()
    };
    let mut below = 0;
    for bucket in histogram.bucket {
        point.bucket_counts.push(bucket.cumulative_count - below);
        below = bucket.cumulative_count;
        if bucket.upper_bound.is_finite() {
            point.explicit_bounds.push(bucket.upper_bound);
        }
        point.exemplars.extend(bucket.exemplar.map(exemplar));
    }
    point
}

/// OTLP has fields for the ids of an exemplar's trace and span; its other labels are attributes.
fn exemplar(exemplar: scraped::Exemplar) -> Exemplar {
    let mut labels = exemplar.label;
    let mut id = |name| {
        let at = labels.iter().position(|label| label.name == name)?;
        const_hex::decode(labels.swap_remove(at).value).ok()
    };
    let (trace_id, span_id) = (id("trace_id"), id("span_id"));
    let nanos = exemplar.timestamp.map(|at| {
        let (seconds, nanos) = (u64::try_from(at.seconds), u64::try_from(at.nanos));
        seconds.unwrap_or(0) * 1_000_000_000 + nanos.unwrap_or(0)
    });
    Exemplar {
        trace_id: trace_id.unwrap_or_default(),
        span_id: span_id.unwrap_or_default(),
        filtered_attributes: attributes(labels),
        time_unix_nano: nanos.unwrap_or(0),
        value: Some(ExemplarValue::AsDouble(exemplar.value)),
    }
}

fn attributes(labels: Vec<scraped::LabelPair>) -> Vec<KeyValue> {
    let labels = labels.into_iter();
    labels
        .map(|label| KeyValue {
            key: label.name,
            value: Some(AnyValue {
                value: Some(Value::StringValue(label.value)),
            }),
            ..KeyValue::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::exemplar::HistogramWithExemplars;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;
    use crate::catalogue::{BACKLOG_ENTRIES, INGRESS_ACCEPTED_BYTES, INGRESS_ANSWER_SECONDS};

    type Labels = [(&'static str, &'static str); 1];

    fn export(registry: &Registry) -> Vec<Metric> {
        let (from, until) = (1, 2);
        metrics(registry, Interval { from, until }).unwrap()
    }

    #[test]
    fn a_histogram_has_the_count_of_each_bucket_and_its_exemplars() {
        type Answers = HistogramWithExemplars<[(&'static str, &'static str); 2]>;
        let answers = Family::<Labels, Answers, _>::new_with_constructor(|| {
            Answers::new([0.5, 1.0].into_iter())
        });
        let accepted = answers.get_or_create_owned(&[("answer", "accepted")]);
        let at = UNIX_EPOCH + Duration::from_nanos(1_764_000_000_000_000_007);
        let trace = [("trace_id", "0aff"), ("span_id", "01")];
        accepted.observe(0.25, Some(trace), Some(at));
        for seconds in [0.75, 1.0, 5.25] {
            accepted.observe(seconds, None, None);
        }
        let mut registry = Registry::default();
        INGRESS_ANSWER_SECONDS.register(&mut registry, answers);
        let exported = export(&registry);
        assert_eq!((exported.len(), &*exported[0].unit), (1, "s"));
        let Some(Data::Histogram(histogram)) = &exported[0].data else {
            panic!("{exported:?}");
        };
        assert_eq!(histogram.data_points.len(), 1);
        let point = &histogram.data_points[0];
        assert_eq!(point.bucket_counts, [1, 2, 1]);
        assert_eq!(point.explicit_bounds, [0.5, 1.0]);
        assert_eq!((point.count, point.sum), (4, Some(7.25)));
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
        let expected = Exemplar {
            trace_id: vec![10, 255],
            span_id: vec![1],
            value: Some(ExemplarValue::AsDouble(0.25)),
            time_unix_nano: 1_764_000_000_000_000_007,
            filtered_attributes: Vec::new(),
        };
        assert_eq!(point.exemplars, [expected]);
    }

    #[test]
    fn counters_keep_their_names_and_are_monotonic_and_gauges_are_not() {
        let bytes = Counter::<u64>::default();
        let entries = Family::<Labels, Gauge>::default();
        bytes.inc_by(9);
        entries.get_or_create(&[("lane", "a\"b\nc")]).set(5);
        let mut registry = Registry::default();
        INGRESS_ACCEPTED_BYTES.register(&mut registry, bytes);
        BACKLOG_ENTRIES.register(&mut registry, entries);
        registry.register("uncatalogued", "Skipped", Counter::<u64>::default());
        let exported = export(&registry);
        let [bytes, entries] = exported.as_slice() else {
            panic!("{exported:?}");
        };
        assert_eq!(bytes.name, "harkara_ingress_accepted_bytes_total");
        assert_eq!(bytes.description, INGRESS_ACCEPTED_BYTES.help);
        assert_eq!(bytes.unit, "By");
        let (Some(Data::Sum(sum)), Some(Data::Gauge(gauge))) = (&bytes.data, &entries.data) else {
            panic!("{exported:?}");
        };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(Number::AsDouble(9.0)));
        let label = scraped::LabelPair {
            name: "lane".into(),
            value: "a\"b\nc".into(),
        };
        assert_eq!(gauge.data_points[0].attributes, attributes(vec![label]));
    }
}
