//! Strict schemas: no unknown field, no wrong type, in the oldest and the newest supported Kubernetes.

use std::process::Command;

use harkara_testkit::{Folder, manifest_tools};

use super::objects::{OVERLAYS, charted, kustomized, lint};

const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// Kinds whose schemas come with what serves them.
const CUSTOM: [&str; 4] = ["HTTPRoute", "PodMonitor", "PrometheusRule", "ScaledObject"];

/// What `kubernetes-validate` says about a file: whether it passes, and what it prints.
fn validated(yaml: &str, version: &str) -> (bool, String) {
    let folder = Folder::new();
    let file = folder.path().join("rendered.yaml");
    std::fs::write(&file, yaml).unwrap();
    let mut validate = Command::new(manifest_tools().join("venv/bin/kubernetes-validate"));
    validate.args(["--strict", "-k", version]).arg(&file);
    let ran = validate.output().unwrap();
    let printed = [ran.stdout, ran.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let unknown = printed.lines().filter(|line| line.contains("find schema"));
    let is_known = unknown
        .filter(|line| !CUSTOM.iter().any(|kind| line.contains(kind)))
        .count();
    (ran.status.success() && is_known == 0, printed)
}

#[test]
fn everything_passes_the_schemas_of_kubernetes() {
    let mut rendered: Vec<(String, String)> = OVERLAYS
        .map(|overlay| (overlay.to_owned(), kustomized(overlay)))
        .into();
    for values in [&[][..], &["values-production.yaml"]] {
        rendered.push((format!("chart {values:?}"), charted(values)));
    }
    for (name, yaml) in rendered {
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
fn the_chart_passes_its_lint_and_refuses_wrong_values() {
    for arguments in [
        &[][..],
        &["--values", "deploy/helm/harkara/values-production.yaml"],
    ] {
        let (passes, printed) = lint(arguments);
        assert!(passes, "{printed}");
    }
    for wrong in [
        "ingress.replicas=two",
        "ingress.replica=2",
        "endpoints={}",
        "image.digest=latest",
    ] {
        let (passes, printed) = lint(&["--set", wrong]);
        assert!(!passes, "{wrong}: {printed}");
    }
}
