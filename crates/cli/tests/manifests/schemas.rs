//! Strict schemas: no unknown field, no wrong type, in the oldest and the newest supported Kubernetes.

use std::process::Command;

use harkara_testkit::{Folder, manifest_tools};

use super::custom;
use super::objects::{OVERLAYS, PRODUCTION, documents, everything, kustomized, lint};

const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// What `kubernetes-validate` says about a file: whether it passes, and what it prints.
fn validated(yaml: &str, version: &str) -> (bool, String) {
    let folder = Folder::new();
    let file = folder.path().join("rendered.yaml");
    std::fs::write(&file, yaml).unwrap();
    let mut validate = Command::new(manifest_tools().join("venv/bin/python"));
    validate.args(["-m", "kubernetes_validate", "--strict", "-k", version]);
    validate.arg(&file);
    let ran = validate.output().unwrap();
    let printed = [ran.stdout, ran.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let mut without = printed.lines().filter(|line| line.contains("find schema"));
    let all_known = without.all(|line| custom::KINDS.iter().any(|kind| line.contains(kind)));
    (ran.status.success() && all_known, printed)
}

#[test]
fn everything_passes_the_schemas_of_kubernetes() {
    for (name, yaml) in everything() {
        for version in VERSIONS {
            let (passes, printed) = validated(&yaml, version);
            assert!(passes, "{name} with Kubernetes {version}: {printed}");
        }
    }
}

#[test]
fn a_misspelt_field_does_not_pass() {
    let misspelt = kustomized(OVERLAYS[0]).replace("readinessProbe:", "readynessProbe:");
    for version in VERSIONS {
        let (passes, printed) = validated(&misspelt, version);
        assert!(!passes, "{printed}");
    }
}

#[test]
fn objects_of_other_kinds_are_as_their_documentation_has_them() {
    for (name, yaml) in everything() {
        for object in documents(&yaml) {
            custom::check(&object).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    let objects = documents(&kustomized(PRODUCTION));
    for kind in custom::KINDS {
        assert!(objects.iter().any(|object| object["kind"] == kind));
    }
}

#[test]
fn a_misspelt_object_of_another_kind_is_found() {
    let rendered = kustomized(PRODUCTION);
    for (right, wrong) in [
        ("sectionName: https", "section: https"),
        ("request: 10s", "request: 10 s"),
        ("type: PathPrefix", "type: Prefix"),
        ("podMetricsEndpoints:", "podMetricEndpoints:"),
        ("interval: 15s", "interval: fifteen"),
        ("port: admin", "targetPort: admin"),
        ("annotations:", "annotation:"),
        ("- alert:", "- alerts:"),
        ("pollingInterval:", "pollInterval:"),
        ("targetValue: \"50000\"", "targetValue: 50000"),
        ("selectPolicy: Max", "selectPolicy: Most"),
        ("keda.sh/v1alpha1", "keda.sh/v1"),
    ] {
        let misspelt = rendered.replace(right, wrong);
        assert_ne!(misspelt, rendered, "{right}");
        let mut found = documents(&misspelt).into_iter();
        assert!(
            found.any(|object| custom::check(&object).is_err()),
            "{wrong}"
        );
    }
}

#[test]
fn the_chart_passes_its_lint_and_refuses_wrong_values() {
    for arguments in [
        &[][..],
        &["--values", "deploy/helm/harkara/values-production.yaml"],
    ] {
        let (passes, printed) = lint(arguments);
        assert!(passes, "{printed}");
    }
    for right in [
        "migrate.maintainSchedule=@daily",
        "networkPolicy.egressPorts.postgres={6432}",
        "podMonitor.labels.release=prometheus",
    ] {
        let (passes, printed) = lint(&["--set", right]);
        assert!(passes, "{right}: {printed}");
    }
    for wrong in [
        "ingress.replicas=two",
        "ingress.replica=2",
        "endpoints={}",
        "image.digest=latest",
        "migrate.maintainSchedule=daily",
        "networkPolicy.egressPorts.postgres={pg}",
        // An empty list would open all ports.
        "networkPolicy.egressPorts.postgres={}",
        "podMonitor.label.release=prometheus",
    ] {
        let (passes, printed) = lint(&["--set", wrong]);
        assert!(!passes, "{wrong}: {printed}");
    }
}
