//! Kustomize, Helm and the files of `deploy/observability` say the same.

use serde_json::Value;

use super::objects::{PRODUCTION, charted, charted_with, customized, documents};
use super::objects::{containers, find, id, kustomized, pods};
use super::{read, root};

/// What Helm alone adds, and no object depends on.
const OF_HELM: [&str; 5] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "checksum/settings",
    "helm.sh/chart",
];

/// Names that go on with a version or a hash.
const NAMES: [&str; 2] = ["harkara-settings", "harkara-migrate"];

/// An object without what differs by design: Helm's labels, the namespace, and the ends of some names.
fn normalized(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| {
                let is_of_helm = OF_HELM.contains(&key.as_str());
                !is_of_helm && *key != "imagePullPolicy"
            });
            let fields = fields.map(|(key, value)| (key.clone(), normalized(value)));
            let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
            Value::Object(
                fields
                    .filter(|(key, value)| key != "annotations" || !is_empty(value))
                    .collect(),
            )
        }
        Value::Array(values) => values.iter().map(normalized).collect(),
        Value::String(text) => {
            let goes_on = |name: &&str| text.starts_with(&format!("{name}-"));
            match NAMES.into_iter().find(goes_on) {
                Some(name) => name.into(),
                None => text.trim_end().into(),
            }
        }
        other => other.clone(),
    }
}

fn all(yaml: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = documents(yaml).iter().map(normalized).collect();
    objects.retain(|object| object["kind"] != "Namespace");
    for object in &mut objects {
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("namespace");
    }
    objects.sort_by_key(id);
    objects
}

#[test]
fn the_chart_renders_what_the_production_overlay_does() {
    let kustomized = all(&kustomized(PRODUCTION));
    let charted = all(&charted(&["values-production.yaml"]));
    let ids = |objects: &[Value]| objects.iter().map(id).collect::<Vec<_>>();
    assert_eq!(ids(&kustomized), ids(&charted));
    for (of_overlay, of_chart) in kustomized.iter().zip(&charted) {
        assert_eq!(of_overlay, of_chart, "{}", id(of_overlay));
    }
}

#[test]
fn the_rules_of_the_operator_are_those_of_prometheus() {
    let [rules] = &documents(&read("deploy/observability/prometheus/rules.yml"))[..] else {
        panic!("one document");
    };
    let objects = documents(&kustomized(PRODUCTION));
    assert_eq!(find(&objects, "PrometheusRule/harkara")["spec"], *rules);
}

#[test]
fn the_dashboards_are_those_of_the_repository() {
    let objects = documents(&kustomized(PRODUCTION));
    let dashboards = &find(&objects, "ConfigMap/harkara-dashboards")["data"];
    let names: Vec<_> = dashboards.as_object().unwrap().keys().collect();
    let files = std::fs::read_dir(root().join("deploy/observability/grafana")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert_eq!(names, files.iter().collect::<Vec<_>>());
    for name in names {
        let file = read(&format!("deploy/observability/grafana/{name}"));
        assert_eq!(dashboards[name], file.as_str(), "{name}");
    }
}

/// The name of the Job that migrates.
fn job(objects: &[Value]) -> String {
    let job = objects.iter().find(|object| object["kind"] == "Job");
    id(job.unwrap())
}

/// `kubectl apply` and `helm upgrade` cannot change the template of a Job that is there.
#[test]
fn another_pod_makes_another_job() {
    let digest = format!("image.digest=sha256:{}", "5".repeat(64));
    let changes = [
        "image.tag=9.9.9",
        digest.as_str(),
        "migrate.resources.limits.memory=1Gi",
    ];
    let job_with = |set: &[&str]| {
        let rendered = charted_with(&["values-production.yaml"], set);
        job(&documents(&rendered))
    };
    let jobs = [&[][..], &changes[..1], &changes[1..2], &changes[2..]].map(job_with);
    let distinct: std::collections::BTreeSet<_> = jobs.iter().collect();
    assert_eq!(distinct.len(), jobs.len(), "{jobs:?}");
    assert_eq!(job_with(&["ingress.replicas=3"]), jobs[0]);
}

/// The lines that the production overlay has for it change all images, and the name of the Job.
#[test]
fn an_upgrade_changes_every_image_and_the_job() {
    let version = env!("CARGO_PKG_VERSION");
    let dashed = version.replace('.', "-");
    let upgraded = read(&format!("{PRODUCTION}/kustomization.yaml"))
        .replace("  - ../", &format!("  - {PRODUCTION}/../"))
        .replace("  - namespace.yaml\n", "")
        .replace(&format!("newTag: {version}"), "newTag: 9.9.9")
        .replace(
            &format!("value: harkara-migrate-{dashed}"),
            "value: harkara-migrate-9-9-9",
        );
    let objects = documents(&customized(&upgraded));
    assert_eq!(job(&objects), "Job/harkara-migrate-9-9-9");
    let pods = pods(&objects);
    let images = pods.iter().flat_map(|(_, pod)| containers(pod));
    let images: Vec<_> = images.map(|container| &container["image"]).collect();
    assert_eq!(images, [&Value::from("ghcr.io/harkara/harkara:9.9.9"); 6]);
}

#[test]
fn versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    let job = format!("harkara-migrate-{}", version.replace('.', "-"));
    let image = format!("ghcr.io/harkara/harkara:{version}");
    let objects = documents(&kustomized(PRODUCTION));
    let pod = &find(&objects, &format!("Job/{job}"))["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], image.as_str());
    let chart: Value = serde_saphyr::from_str(&read("deploy/helm/harkara/Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], version);
    assert_eq!(chart["version"], version);
    let compose = read("deploy/compose/compose.yaml");
    assert!(compose.contains(&format!("{{HARKARA_IMAGE:-{image}}}")));
}
