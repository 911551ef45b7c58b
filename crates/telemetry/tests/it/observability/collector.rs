//! The configuration of the collector.

use serde_json::Value;

use super::{COLLECTOR, items, yaml};

#[test]
fn collector_pipelines_use_everything_declared_and_nothing_else() {
    let config = yaml(COLLECTOR);
    let service = &config["service"];
    let pipelines = service["pipelines"].as_object().unwrap();
    for kind in ["traces", "metrics"] {
        assert!(pipelines.contains_key(kind), "{kind}");
    }
    for part in ["receivers", "processors", "exporters"] {
        let used = pipelines
            .values()
            .flat_map(|pipeline| items(&pipeline[part]));
        assert_same(part, &config[part], used);
    }
    let extensions = items(&service["extensions"]).iter();
    assert_same("extensions", &config["extensions"], extensions);
    for (name, pipeline) in pipelines {
        let first = &items(&pipeline["processors"])[0];
        assert_eq!(first, "memory_limiter", "{name}");
    }
}

fn assert_same<'a>(part: &str, declared: &Value, used: impl Iterator<Item = &'a Value>) {
    let declared = declared.as_object().unwrap();
    let mut declared: Vec<&str> = declared.keys().map(String::as_str).collect();
    let mut used: Vec<&str> = used.map(|name| name.as_str().unwrap()).collect();
    declared.sort_unstable();
    used.sort_unstable();
    used.dedup();
    assert_eq!(declared, used, "{part}");
}
