//! The rules of Prometheus, checked by its own tool.

use std::path::Path;
use std::process::{Command, Stdio};

use harkara_testkit::promtool;
use serde_json::Value;

use super::{RULE_TESTS, RULES, SCRAPE, items, path, text, yaml};

/// Every rule, whether it records or alerts.
pub(super) fn rules() -> Vec<Value> {
    let groups = yaml(RULES);
    let rules = items(&groups["groups"])
        .iter()
        .flat_map(|group| items(&group["rules"]).to_vec());
    rules.collect()
}

/// Every rule that alerts.
pub(super) fn alerts() -> Vec<Value> {
    let mut rules = rules();
    rules.retain(|rule| rule.get("alert").is_some());
    assert!(!rules.is_empty());
    rules
}

/// Asserts that promtool finds nothing wrong with a file.
pub(super) fn assert_sound(check: [&str; 2], file: &Path) {
    let output = Command::new(promtool())
        .args(check)
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let problems = [output.stdout, output.stderr].concat();
    let problems = String::from_utf8_lossy(&problems);
    assert!(output.status.success(), "{check:?}: {problems}");
}

#[test]
fn prometheus_accepts_the_rules_and_the_example_configuration() {
    assert_sound(["check", "rules"], &path(RULES));
    assert_sound(["check", "config"], &path(SCRAPE));
}

#[test]
fn every_rule_does_what_its_tests_say() {
    assert_sound(["test", "rules"], &path(RULE_TESTS));
}

#[test]
fn every_alert_is_seen_to_fire_and_not_to_fire() {
    let tests = yaml(RULE_TESTS);
    let checks: Vec<&Value> = items(&tests["tests"])
        .iter()
        .flat_map(|test| items(&test["promql_expr_test"]))
        .collect();
    for alert in alerts() {
        let name = text(&alert, "alert");
        let fired = checks.iter().any(|check| {
            items(&check["exp_samples"])
                .iter()
                .any(|sample| text(sample, "labels").contains(&format!("alertname=\"{name}\"")))
        });
        let silent = checks.iter().any(|check| {
            text(check, "expr") == format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}")
                && items(&check["exp_samples"]).is_empty()
        });
        assert!(fired, "no test sees {name} fire");
        assert!(silent, "no test sees {name} not fire");
    }
}

#[test]
fn every_recorded_series_is_tested() {
    let tests = super::read(RULE_TESTS);
    for rule in rules() {
        if let Some(recorded) = rule["record"].as_str() {
            assert!(tests.contains(recorded), "{recorded}");
        }
    }
}

#[test]
fn every_alert_has_a_severity_and_a_meaning() {
    for alert in alerts() {
        let name = text(&alert, "alert");
        assert!(name.starts_with("Harkara"), "{name}");
        let severity = text(&alert["labels"], "severity");
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}: {severity}"
        );
        for part in ["summary", "description"] {
            assert!(!text(&alert["annotations"], part).is_empty(), "{name}");
        }
    }
}
