//! What objects of Kubernetes refer to exists, and periods follow from the settings.

use std::time::Duration;

use harkara_settings::Settings;
use serde_json::Value;

use super::objects::{OVERLAYS, PRODUCTION, containers, documents, find, id, kustomized, pods};
use super::{read, root};

/// Beyond what the settings allow a process for its stop: its last traces, metrics and log lines, and a margin.
const END: Duration = Duration::from_secs(10);

/// The settings of the base.
fn settings() -> Settings {
    let file = root().join("deploy/kubernetes/base/harkara.toml");
    Settings::load(Some(&file)).unwrap()
}

fn grace(objects: &[Value], deployment: &str) -> Duration {
    let object = find(objects, &format!("Deployment/{deployment}"));
    let seconds = &object["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
    Duration::from_secs(seconds.as_u64().unwrap())
}

#[test]
fn grace_periods_follow_from_the_settings() {
    let settings = settings();
    let (ingress, worker) = (&settings.ingress, &settings.worker);
    let expected = [
        (
            "harkara-ingress",
            ingress.drain + ingress.stop_deadline + END,
        ),
        ("harkara-worker", worker.stop_deadline + END),
    ];
    for overlay in OVERLAYS {
        let objects = documents(&kustomized(overlay));
        for (deployment, expected) in expected {
            assert_eq!(grace(&objects, deployment), expected, "{overlay}");
        }
    }
    for (unit, expected) in [
        ("harkara-ingress.service", expected[0].1),
        ("harkara-worker@.service", expected[1].1),
    ] {
        let line = format!("TimeoutStopSec={}\n", expected.as_secs());
        let unit = read(&format!("deploy/systemd/{unit}"));
        assert!(unit.contains(&line), "{line}");
    }
    let compose: Value = serde_saphyr::from_str(&read("deploy/compose/compose.yaml")).unwrap();
    let defaults = Settings::from_pairs::<String, String>([]).unwrap();
    for (service, stop_deadline) in [
        (
            "ingress",
            defaults.ingress.drain + defaults.ingress.stop_deadline,
        ),
        ("worker", defaults.worker.stop_deadline),
    ] {
        let seconds = (stop_deadline + END).as_secs();
        let period = &compose["services"][service]["stop_grace_period"];
        assert_eq!(*period, format!("{seconds}s"), "{service}");
    }
}

/// A pod that asked a store before it lives would be restarted for as long as the store is away.
#[test]
fn no_pod_needs_a_store_to_live() {
    for overlay in OVERLAYS {
        let objects = documents(&kustomized(overlay));
        for (deployment, waits_for_postgres) in
            [("harkara-ingress", false), ("harkara-worker", true)]
        {
            let object = find(&objects, &format!("Deployment/{deployment}"));
            let pod = &object["spec"]["template"]["spec"];
            for probe in ["startupProbe", "livenessProbe"] {
                let path = &pod["containers"][0][probe]["httpGet"]["path"];
                assert_eq!(path, "/livez", "{deployment} {probe}");
            }
            let command = pod["initContainers"][0]["command"].as_array().unwrap();
            assert!(command.iter().any(|word| word == "--wait"), "{deployment}");
            let starts_without = command.iter().any(|word| word == "--or-unreachable");
            assert_eq!(starts_without, !waits_for_postgres, "{deployment}");
        }
    }
}

#[test]
fn an_ingress_has_the_memory_that_it_may_take() {
    const MIB: usize = 1024 * 1024;
    let ingress = settings().ingress;
    let most = 30 * MIB + 2 * ingress.buffered_bytes_max + 160 * 1024 * ingress.connections_max;
    let objects = documents(&kustomized(PRODUCTION));
    let pod = &find(&objects, "Deployment/harkara-ingress")["spec"]["template"]["spec"];
    let limit = pod["containers"][0]["resources"]["limits"]["memory"]
        .as_str()
        .unwrap();
    let limit: usize = limit.strip_suffix("Mi").unwrap().parse().unwrap();
    assert!(limit * MIB >= most, "{limit} MiB of {} MiB", most / MIB);
}

/// Ports and paths of probes, ports of services, and labels by which pods are selected.
#[test]
fn what_is_referred_to_exists() {
    for overlay in OVERLAYS {
        let objects = documents(&kustomized(overlay));
        for (name, pod) in pods(&objects) {
            for container in containers(pod) {
                for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                    let Some(get) = container.get(probe).and_then(|probe| probe.get("httpGet"))
                    else {
                        continue;
                    };
                    assert!(["/livez", "/readyz"].contains(&get["path"].as_str().unwrap()));
                    assert!(has_port(container, &get["port"]), "{name} {probe}");
                }
            }
        }
        for service in objects.iter().filter(|object| object["kind"] == "Service") {
            let selected = selected(&objects, &service["spec"]["selector"]);
            assert!(!selected.is_empty(), "{}", id(service));
            for port in service["spec"]["ports"].as_array().unwrap() {
                let target = &port["targetPort"];
                let mut containers = selected.iter().flat_map(|pod| containers(pod));
                assert!(
                    containers.any(|container| has_port(container, target)),
                    "{}",
                    id(service)
                );
            }
        }
        for object in &objects {
            let (spec, kind) = (&object["spec"], object["kind"].as_str().unwrap());
            let labels = match kind {
                "PodDisruptionBudget" | "PodMonitor" => &spec["selector"]["matchLabels"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                "HorizontalPodAutoscaler" | "ScaledObject" => {
                    let name = spec["scaleTargetRef"]["name"].as_str().unwrap();
                    let target = find(&objects, &format!("Deployment/{name}"));
                    assert!(target["spec"]["replicas"].is_null(), "{name} has an owner");
                    continue;
                }
                _ => continue,
            };
            assert!(!selected(&objects, labels).is_empty(), "{}", id(object));
        }
    }
}

fn has_port(container: &Value, port: &Value) -> bool {
    let ports = container["ports"].as_array().into_iter().flatten();
    ports.into_iter().any(|named| named["name"] == *port)
}

/// The pods that have all of these labels.
fn selected<'a>(objects: &'a [Value], labels: &Value) -> Vec<&'a Value> {
    let labels = labels.as_object().unwrap();
    assert!(!labels.is_empty());
    let pods = objects
        .iter()
        .filter_map(|object| object.pointer("/spec/template"));
    let has_all = |pod: &&Value| {
        let of_pod = &pod["metadata"]["labels"];
        labels.iter().all(|(name, value)| of_pod[name] == *value)
    };
    pods.filter(has_all).map(|pod| &pod["spec"]).collect()
}

/// KEDA asks the service of the namespace, for what the report has.
#[test]
fn workers_scale_on_what_the_backlog_reports() {
    let objects = documents(&kustomized(PRODUCTION));
    let service = find(&objects, "Service/harkara-ingress-admin");
    let namespace = service["metadata"]["namespace"].as_str().unwrap();
    let url = format!("http://harkara-ingress-admin.{namespace}.svc:9080/backlog");
    let scaled = find(&objects, "ScaledObject/harkara-worker");
    let triggers = scaled["spec"]["triggers"].as_array().unwrap();
    let locations = triggers.iter().map(|trigger| {
        assert_eq!(trigger["metadata"]["url"], url.as_str());
        trigger["metadata"]["valueLocation"].as_str().unwrap()
    });
    let locations: Vec<_> = locations.collect();
    assert_eq!(locations, ["total.backlog", "total.seconds_to_drain"]);
    assert!(
        scaled["spec"]["fallback"].is_null(),
        "its figure would decide while the backlog is unknown"
    );
}
