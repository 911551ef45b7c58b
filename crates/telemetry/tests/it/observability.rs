//! The files that operators load are sound, consistent, and name nothing that does not exist.

mod collector;
mod dashboards;
mod names;
mod rules;
mod runbooks;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const RULES: &str = "deploy/observability/prometheus/rules.yml";
const RULE_TESTS: &str = "deploy/observability/prometheus/rules.test.yml";
const SCRAPE: &str = "deploy/observability/prometheus/scrape.yml";
const DASHBOARDS: &str = "deploy/observability/grafana";
const COLLECTOR: &str = "deploy/observability/collector.yaml";
const RUNBOOKS: &str = "docs/runbooks";

/// A path of the repository.
fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(of)
}

fn read(of: &str) -> String {
    fs::read_to_string(path(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

fn yaml(of: &str) -> Value {
    serde_saphyr::from_str(&read(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

/// Every file in a folder and the folders in it, as a path of the repository; at least one.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files(&name));
        } else {
            found.push(name);
        }
    }
    assert!(!found.is_empty(), "{folder} is empty");
    found.sort();
    found
}

/// The items of an array in YAML or JSON; none where there is no array.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The text of a key.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key} in {value}"))
}
