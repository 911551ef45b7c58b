//! Objects of Kubernetes, as Kustomize and Helm render them.

use std::process::Command;

use harkara_testkit::manifest_tools;
use serde_json::Value;

use super::printed;

/// The overlay that everything is compared with.
pub(super) const PRODUCTION: &str = "deploy/kubernetes/overlays/production";

/// All overlays.
pub(super) const OVERLAYS: [&str; 2] = ["deploy/kubernetes/overlays/minimal", PRODUCTION];

const CHART: &str = "deploy/helm/harkara";

/// What `kubectl apply -k` would send.
pub(super) fn kustomized(folder: &str) -> String {
    let mut kubectl = Command::new(manifest_tools().join("kubectl"));
    printed(kubectl.args(["kustomize", folder]))
}

/// What `helm install` would send, with these files of values.
pub(super) fn charted(values: &[&str]) -> String {
    let mut helm = Command::new(manifest_tools().join("helm"));
    helm.args(["template", "harkara", CHART, "--namespace", "harkara"]);
    for values in values {
        helm.args(["--values", &format!("{CHART}/{values}")]);
    }
    printed(&mut helm)
}

/// `helm lint` of the chart with more arguments: whether it passes, and what it prints.
pub(super) fn lint(arguments: &[&str]) -> (bool, String) {
    let mut helm = Command::new(manifest_tools().join("helm"));
    helm.args(["lint", "--strict", CHART]).args(arguments);
    let ran = helm.current_dir(super::root()).output().unwrap();
    let printed = [ran.stdout, ran.stderr].concat();
    (
        ran.status.success(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
}

/// The documents of a YAML file.
pub(super) fn documents(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|it| !it.is_null()).collect()
}

/// `Kind/name`.
pub(super) fn id(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{}/{}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

/// The object with this id.
pub(super) fn find<'a>(objects: &'a [Value], wanted: &str) -> &'a Value {
    let found = objects.iter().find(|object| id(object) == wanted);
    found.unwrap_or_else(|| panic!("there is no {wanted}"))
}

/// Every pod that an object makes, with the id of the object.
pub(super) fn pods(objects: &[Value]) -> Vec<(String, &Value)> {
    let paths = [
        "/spec/template/spec",
        "/spec/jobTemplate/spec/template/spec",
    ];
    let pod = |object| paths.iter().find_map(|path| Value::pointer(object, path));
    let pods = objects.iter();
    pods.filter_map(|object| Some((id(object), pod(object)?)))
        .collect()
}

/// The containers of a pod, those that run first included.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let of = |key: &str| pod[key].as_array().into_iter().flatten();
    of("initContainers").chain(of("containers"))
}
