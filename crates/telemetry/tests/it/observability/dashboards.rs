//! The dashboards of Grafana.

use std::collections::HashSet;
use std::fmt::Write as _;

use harkara_telemetry::catalogue;
use harkara_testkit::Folder;
use serde_json::Value;

use super::names::metric_of;
use super::rules::assert_sound;
use super::{DASHBOARDS, RUNBOOKS, files, items, names, read, text};

/// The dashboards with the names of their files.
fn dashboards() -> Vec<(String, Value)> {
    let parse = |file: String| {
        let parsed = serde_json::from_str(&read(&file));
        let dashboard = parsed.unwrap_or_else(|error| panic!("{file}: {error}"));
        (file, dashboard)
    };
    files(DASHBOARDS).into_iter().map(parse).collect()
}

/// The queries of a dashboard's panels, with Grafana's variables filled in.
fn queries(dashboard: &Value) -> Vec<String> {
    let targets = items(&dashboard["panels"])
        .iter()
        .flat_map(|panel| items(&panel["targets"]));
    targets
        .map(|target| {
            text(target, "expr")
                .replace("$__rate_interval", "5m")
                .replace("$job", ".*")
                .replace("$instance", ".*")
        })
        .collect()
}

#[test]
fn dashboards_and_their_panels_are_distinct_and_described() {
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    for (file, dashboard) in dashboards() {
        assert!(ids.insert(text(&dashboard, "uid").to_owned()), "{file}");
        let title = text(&dashboard, "title");
        assert!(titles.insert(title.to_owned()), "{file}");
        let (mut of_panels, mut named) = (HashSet::new(), HashSet::new());
        for panel in items(&dashboard["panels"]) {
            let title = text(panel, "title");
            let place = format!("{file}: {title}");
            assert!(of_panels.insert(panel["id"].as_u64().unwrap()), "{place}");
            assert!(named.insert(title), "{place} is there twice");
            if panel["type"] == "row" {
                continue;
            }
            assert!(!text(panel, "description").is_empty(), "{place}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}");
            if panel["type"] != "table" {
                let unit = text(&panel["fieldConfig"]["defaults"], "unit");
                assert!(!unit.is_empty(), "{place}");
            }
        }
    }
}

#[test]
fn prometheus_understands_the_queries_of_dashboards() {
    let mut rules = String::from("groups: [{name: dashboards, rules: [");
    for (number, (_, dashboard)) in dashboards().iter().enumerate() {
        for (panel, query) in queries(dashboard).into_iter().enumerate() {
            let query = Value::String(query);
            write!(rules, "{{record: 'q{number}:{panel}', expr: {query}}},").unwrap();
        }
    }
    rules.push_str("]}]\n");
    let folder = Folder::new();
    folder.write("rules.yml", &rules);
    assert_sound(["check", "rules"], &folder.path().join("rules.yml"));
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let mut shown = HashSet::new();
    for query in dashboards().iter().flat_map(|(_, it)| queries(it)) {
        shown.extend(names::words(&query).filter_map(metric_of).map(|it| it.name));
    }
    for metric in catalogue::all() {
        assert!(shown.contains(metric.name), "{}", metric.name);
    }
}

#[test]
fn panels_that_runbooks_point_to_are_there() {
    let dashboards = dashboards();
    let titles: Vec<&str> = dashboards
        .iter()
        .flat_map(|(_, dashboard)| items(&dashboard["panels"]).iter().chain([dashboard]))
        .map(|titled| text(titled, "title"))
        .collect();
    let mut found = 0;
    for file in files(RUNBOOKS) {
        let page = read(&file).replace("**", "").replace('\n', " ");
        // Panels are written *so*, and nothing else is.
        for panel in page.split('*').skip(1).step_by(2) {
            let is_there = titles.iter().any(|title| title.starts_with(panel));
            assert!(is_there, "{file} points to {panel}");
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}
