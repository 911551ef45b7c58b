//! What a collector gets of the metrics of the real binaries.

use std::collections::BTreeSet;

use harkara_telemetry::catalogue::{self, of_ingress, of_worker};
use harkara_testkit::{CollectedMetrics, Collector, free_port, wait_until};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};

use super::{BOUND, Deployment, metrics};

/// The last export of a service.
fn last(collector: &Collector, service: &str) -> Option<CollectedMetrics> {
    let of_service = |export: &CollectedMetrics| export.resource["service.name"] == service;
    collector.metrics().into_iter().rfind(of_service)
}

fn names<'a>(metrics: impl Iterator<Item = &'a catalogue::Metric>) -> BTreeSet<&'a str> {
    metrics.map(|metric| metric.name).collect()
}

fn find<'a>(export: &'a CollectedMetrics, name: &str) -> &'a Metric {
    export.metrics.iter().find(|of| of.name == name).unwrap()
}

/// Whether an export of the ingress counts one accepted delivery.
fn counts_delivery(export: &CollectedMetrics) -> bool {
    let deliveries = find(export, "harkara_ingress_deliveries_total");
    let Some(Data::Sum(sum)) = &deliveries.data else {
        panic!("no counter: {deliveries:?}");
    };
    assert!(sum.is_monotonic);
    let is_accepted = |point: &&NumberDataPoint| {
        let mut outcome = point.attributes.iter().filter(|a| a.key == "outcome");
        outcome.any(|a| format!("{:?}", a.value).contains("accepted"))
    };
    sum.data_points
        .iter()
        .find(is_accepted)
        .is_some_and(|point| {
            assert!(point.start_time_unix_nano < point.time_unix_nano);
            point.value == Some(Value::AsDouble(1.0))
        })
}

#[tokio::test]
async fn a_collector_gets_every_metric_of_both_binaries_as_they_are_scraped() {
    for collector in [Collector::grpc(), Collector::http()] {
        let (endpoint, protocol) = (collector.endpoint(), collector.protocol());
        let deployment = Deployment::start(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=payments"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ])
        .await;
        let harkara = deployment.harkara();
        harkara.stdout("trigger payment.captured --follow").await;

        for (service, metrics) in [
            ("harkara-ingress", names(of_ingress())),
            ("harkara-worker", names(of_worker())),
        ] {
            wait_until("every metric is exported", BOUND, async || {
                let Some(export) = last(&collector, service) else {
                    return false;
                };
                let exported = export.metrics.iter().map(|of| of.name.as_str());
                let exported: BTreeSet<&str> = exported.collect();
                assert!(exported.is_subset(&metrics), "{exported:?}");
                exported == metrics
            })
            .await;
        }
        wait_until("the delivery is exported", BOUND, async || {
            counts_delivery(&last(&collector, "harkara-ingress").unwrap())
        })
        .await;
        let scraped = metrics(deployment.ingress_admin).await;
        assert!(
            scraped.contains("harkara_ingress_deliveries_total{outcome=\"accepted\"} 1\n"),
            "{scraped}"
        );

        let export = last(&collector, "harkara-ingress").unwrap();
        let answers = find(&export, "harkara_ingress_answer_seconds");
        assert_eq!(answers.unit, "s");
        let Some(Data::Histogram(answers)) = &answers.data else {
            panic!("{answers:?}");
        };
        let points = &answers.data_points;
        assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), 1);
        for point in points {
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        }
        let with_exemplar = points.iter().find(|point| !point.exemplars.is_empty());
        let point = with_exemplar.expect("the delivery is one");
        let exemplar = &point.exemplars[0];
        assert_eq!(exemplar.trace_id.len(), 16);
        let counted = point.start_time_unix_nano..point.time_unix_nano;
        assert!(counted.contains(&exemplar.time_unix_nano), "{point:?}");
        let mut headers = collector.headers().into_iter();
        assert!(headers.all(|headers| headers["x-team"] == "payments"));
    }
}

#[tokio::test]
async fn an_unavailable_collector_is_counted_and_delays_nothing() {
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let deployment = Deployment::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &nowhere),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
    ])
    .await;
    for admin in [deployment.ingress_admin, deployment.worker_admin] {
        wait_until("exports fail", BOUND, async || {
            let scraped = metrics(admin).await;
            let failed = "harkara_telemetry_metric_exports_total{outcome=\"failed\"} ";
            let failed = scraped.lines().find_map(|line| line.strip_prefix(failed));
            failed.is_some_and(|n| n.parse::<u64>().unwrap() > 1)
        })
        .await;
    }
    let harkara = deployment.harkara();
    harkara.stdout("trigger payment.captured --follow").await;
}
