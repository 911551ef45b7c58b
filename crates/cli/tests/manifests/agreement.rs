//! Kustomize, Helm and the files of `deploy/observability` say the same.

use serde_json::Value;

use super::objects::{PRODUCTION, charted, documents, find, id, kustomized};
use super::{printed, read};

/// What Helm alone adds, and no object depends on.
const OF_HELM: [&str; 5] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "checksum/settings",
    "helm.sh/chart",
];

/// An object without what differs by design: Helm's labels, the namespace, and the hash in the ConfigMap's name.
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
        Value::String(text) => match text.strip_prefix("harkara-settings-") {
            Some(_) => "harkara-settings".into(),
            None => text.trim_end().into(),
        },
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
    let listed = printed(std::process::Command::new("ls").arg("deploy/observability/grafana"));
    assert_eq!(names, listed.lines().collect::<Vec<_>>());
    for name in names {
        let file = read(&format!("deploy/observability/grafana/{name}"));
        assert_eq!(dashboards[name], file.as_str(), "{name}");
    }
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
