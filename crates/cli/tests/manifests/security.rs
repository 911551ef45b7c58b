//! The Pod Security Standard `restricted`, and what goes beyond it.

use serde_json::{Value, json};

use super::objects::{containers, documents, everything, pods};
use super::read;

/// What Harkara does not ship.
const STORES: [&str; 2] = ["StatefulSet/postgres", "StatefulSet/redis"];

fn rendered() -> Vec<Vec<Value>> {
    let all = everything().into_iter();
    all.map(|(_, yaml)| documents(&yaml)).collect()
}

#[test]
fn every_pod_is_restricted() {
    for objects in rendered() {
        for (name, pod) in pods(&objects) {
            let security = &pod["securityContext"];
            assert_eq!(security["runAsNonRoot"], true, "{name}");
            assert_eq!(
                security["seccompProfile"]["type"], "RuntimeDefault",
                "{name}"
            );
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
            assert_eq!(pod["enableServiceLinks"], false, "{name}");
            for host in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(pod[host].is_null(), "{name} {host}");
            }
            for container in containers(pod) {
                let expected = json!({
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                });
                assert_eq!(container["securityContext"], expected, "{name}");
                assert!(
                    container["resources"]["limits"]["memory"].is_string(),
                    "{name}"
                );
                assert!(container["resources"]["limits"]["cpu"].is_null(), "{name}");
                assert!(
                    container["resources"]["requests"]["cpu"].is_string(),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn secrets_are_files_that_follow_a_rotation() {
    for objects in rendered() {
        for (name, pod) in pods(&objects) {
            if STORES.contains(&name.as_str()) {
                continue;
            }
            for container in containers(pod) {
                for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                    assert!(mount["subPath"].is_null(), "{name}");
                    assert_eq!(mount["readOnly"], true, "{name}");
                }
                for variable in container["env"].as_array().into_iter().flatten() {
                    let from = &variable["valueFrom"]["secretKeyRef"];
                    assert!(from.is_null(), "{name}: {variable}");
                }
                assert!(container["envFrom"].is_null(), "{name}");
            }
        }
    }
}

/// The entrypoints of the stores' images would need capabilities to step down from root.
#[test]
fn no_container_of_compose_has_capabilities() {
    let compose: Value = serde_saphyr::from_str(&read("deploy/compose/compose.yaml")).unwrap();
    for service in ["redis", "postgres", "migrate", "ingress", "worker"] {
        let container = &compose["services"][service];
        let user = container["user"].as_str().unwrap();
        assert!(!user.starts_with("0:"), "{service}");
        assert_eq!(container["cap_drop"], json!(["ALL"]), "{service}");
        assert!(container["cap_add"].is_null(), "{service}");
        let options = &container["security_opt"];
        assert_eq!(*options, json!(["no-new-privileges:true"]), "{service}");
    }
}
