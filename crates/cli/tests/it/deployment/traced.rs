//! One trace through the three real binaries: the command, the ingress, the worker.

use harkara_testkit::{CollectedSpan, Collector};

use super::Deployment;
use crate::harkara::{Harkara, POSTGRES_URL};

#[tokio::test]
async fn a_delivery_through_the_real_binaries_is_one_connected_trace() {
    for collector in [Collector::grpc(), Collector::http()] {
        let (endpoint, protocol) = (collector.endpoint(), collector.protocol());
        let deployment = Deployment::start(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.namespace=payments,deployment.environment.name=staging",
            ),
        ])
        .await;
        let harkara = deployment.harkara();
        let sent = harkara.json("trigger payment.captured --json").await;
        let event_id = sent[0]["event_id"].as_str().unwrap();

        let path = [
            ("harkara trigger", "harkara"),
            ("POST", "harkara"),
            ("POST /webhooks/razorpay", "harkara-ingress"),
            ("append default", "harkara-ingress"),
            ("process default", "harkara-worker"),
            ("acknowledge", "harkara-worker"),
        ];
        let of_trace = |spans: &[CollectedSpan]| -> Vec<CollectedSpan> {
            let command = spans.iter().find(|span| span.name == path[0].0);
            let in_trace = |span: &&CollectedSpan| {
                command.is_some_and(|command| span.trace_id == command.trace_id)
            };
            spans.iter().filter(in_trace).cloned().collect()
        };
        let spans = collector
            .wait("its trace is whole", |spans| {
                let trace = of_trace(spans);
                let is_there = |name: &str| trace.iter().any(|span| span.name == name);
                path.iter().all(|(name, _)| is_there(name))
            })
            .await;
        let trace = of_trace(&spans);
        let mut above = String::new();
        for (name, service) in path {
            let span = trace.iter().find(|span| span.name == name).unwrap();
            assert_eq!(span.parent_span_id, above, "{name} in {trace:#?}");
            for (attribute, value) in [
                ("service.name", service),
                ("service.namespace", "payments"),
                ("deployment.environment.name", "staging"),
            ] {
                assert_eq!(span.resource[attribute], value, "{attribute} of {name}");
            }
            above = span.span_id.clone();
        }
        for (name, _) in &path[1..5] {
            let span = trace.iter().find(|span| span.name == *name).unwrap();
            assert_eq!(span.attributes["harkara.event.id"], event_id, "{name}");
        }
        let commits = trace.iter().filter(|span| span.name == "commit");
        assert_eq!(commits.count(), 1, "{trace:#?}");
    }
}

#[tokio::test]
async fn a_command_that_fails_says_so_in_its_trace() {
    let collector = Collector::http();
    let ran = Harkara::default()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())
        .with(POSTGRES_URL, "postgres://127.0.0.1:1/none")
        .run("events")
        .await
        .ended_with(1);
    assert!(ran.stderr.starts_with("harkara: "), "{ran:?}");
    let is_there = |spans: &[CollectedSpan]| spans.iter().any(|span| span.name == "harkara events");
    let spans = collector.wait("it is exported", is_there).await;
    assert!(spans[0].failed, "{spans:?}");
}
