//! Objects of Kubernetes, as Kustomize and Helm render them.

use std::process::Command;

use harkara_testkit::{Folder, manifest_tools};
use serde_json::Value;

use super::{printed, root};

/// The overlay that everything is compared with.
pub(super) const PRODUCTION: &str = "deploy/kubernetes/overlays/production";

/// All overlays.
pub(super) const OVERLAYS: [&str; 2] = ["deploy/kubernetes/overlays/minimal", PRODUCTION];

/// What a user's own kustomization may be: the base, and Redis found through its sentinels.
const WITH_SENTINELS: &str = "
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - deploy/kubernetes/base
components:
  - deploy/kubernetes/components/redis-sentinel
";

const CHART: &str = "deploy/helm/harkara";

/// What `kubectl apply -k` would send.
pub(super) fn kustomized(folder: &str) -> String {
    let mut kubectl = Command::new(manifest_tools().join("kubectl"));
    printed(kubectl.args(["kustomize", folder]))
}

/// What `kubectl apply -k` would send for a kustomization elsewhere, whose paths begin with `deploy`.
pub(super) fn customized(kustomization: &str) -> String {
    let folder = Folder::new();
    let at = folder.path().canonicalize().unwrap();
    // Kustomize takes no absolute path.
    let up = "../".repeat(at.components().count() - 1);
    let deploy = format!("- {up}{}/deploy/", root().display());
    folder.write(
        "kustomization.yaml",
        &kustomization.replace("- deploy/", &deploy),
    );
    kustomized(at.to_str().unwrap())
}

/// Everything that is rendered, with its name.
pub(super) fn everything() -> Vec<(String, String)> {
    let mut all: Vec<_> = OVERLAYS
        .map(|overlay| (overlay.to_owned(), kustomized(overlay)))
        .into();
    all.push(("sentinels".to_owned(), customized(WITH_SENTINELS)));
    for values in [&[][..], &["values-production.yaml"]] {
        all.push((format!("chart {values:?}"), charted(values)));
    }
    all
}

/// What `helm install` would send, with these files of values.
pub(super) fn charted(values: &[&str]) -> String {
    charted_with(values, &[])
}

/// The same with some values set, such as `image.tag=1`.
pub(super) fn charted_with(values: &[&str], set: &[&str]) -> String {
    let mut helm = Command::new(manifest_tools().join("helm"));
    helm.args(["template", "harkara", CHART, "--namespace", "harkara"]);
    for values in values {
        helm.args(["--values", &format!("{CHART}/{values}")]);
    }
    for set in set {
        helm.args(["--set", set]);
    }
    printed(&mut helm)
}

/// `helm lint` of the chart with more arguments: whether it passes, and what it prints.
pub(super) fn lint(arguments: &[&str]) -> (bool, String) {
    let mut helm = Command::new(manifest_tools().join("helm"));
    helm.args(["lint", "--strict", CHART]).args(arguments);
    let ran = helm.current_dir(root()).output().unwrap();
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
