//! Whatever names a metric, a label or a value of one names one of the catalogue.

use std::collections::HashSet;

use harkara_telemetry::catalogue::{self, Kind, Metric, Values};

use super::rules::rules;
use super::{DASHBOARDS, RULES, files, read};

/// Labels that Prometheus adds.
const ADDED_LABELS: [&str; 3] = ["job", "instance", "le"];

/// The words of a text that may be names of series.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char| !is_part(char))
        .filter(|word| word.contains("harkara_"))
}

/// Whether it may occur in the name of a series.
fn is_part(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || char == ':'
}

/// The metric of the catalogue that a series belongs to.
pub(super) fn metric_of(series: &str) -> Option<&'static Metric> {
    catalogue::all().find(|metric| match series.strip_prefix(metric.name) {
        Some("") => true,
        Some("_bucket" | "_sum" | "_count") => metric.kind == Kind::Histogram,
        _ => false,
    })
}

/// Everything that operators load or read.
fn pages() -> Vec<(String, String)> {
    let files = ["deploy", "docs"].into_iter().flat_map(files);
    files
        .chain(["README.md".to_owned()])
        .filter(|file| !file.ends_with("svg"))
        .map(|file| (read(&file), file))
        .collect()
}

#[test]
fn every_metric_that_is_named_is_in_the_catalogue() {
    for (page, file) in pages() {
        for word in words(&page) {
            // A crate or a table has one word after the product's.
            let is_other = word.matches('_').count() == 1 && !word.ends_with('_');
            // `harkara_backlog_…` means all names with that prefix.
            let is_family =
                word.ends_with('_') && catalogue::all().any(|metric| metric.name.starts_with(word));
            assert!(
                metric_of(word).is_some() || is_other || is_family,
                "{file} names {word}"
            );
        }
    }
}

#[test]
fn every_recorded_series_is_used_and_every_used_one_is_recorded() {
    let rules = rules();
    let recorded: HashSet<&str> = rules
        .iter()
        .filter_map(|rule| rule["record"].as_str())
        .collect();
    let mut used = HashSet::new();
    let mut files = files(DASHBOARDS);
    files.push(RULES.to_owned());
    for file in files {
        let page = read(&file);
        let lines = page.lines().filter(|line| !line.contains("record:"));
        for series in lines.flat_map(|line| line.split(|char| !is_part(char))) {
            if series.starts_with("harkara:") {
                assert!(recorded.contains(series), "{file} names {series}");
                used.insert(series.to_owned());
            }
        }
    }
    for series in recorded {
        assert!(used.contains(series), "nothing uses {series}");
    }
}

#[test]
fn every_label_and_value_that_is_selected_is_in_the_catalogue() {
    let mut selected = 0;
    for (page, file) in pages() {
        // In JSON quotes are escaped.
        let page = page.replace("\\\"", "\"");
        for (before, after) in page.match_indices('{').map(|(at, _)| page.split_at(at)) {
            let series = words(before).last().filter(|word| before.ends_with(word));
            let Some(metric) = series.and_then(metric_of) else {
                continue;
            };
            let selector = after[1..].split('}').next().unwrap();
            for matcher in selector.split(',').filter(|matcher| !matcher.is_empty()) {
                let place = || format!("{file}: {}{{{selector}}}", metric.name);
                let (label, value) = matcher.split_once(['=', '!']).unwrap_or((matcher, ""));
                if ADDED_LABELS.contains(&label) {
                    continue;
                }
                let found = metric.labels.iter().find(|known| known.name == label);
                let label = found.unwrap_or_else(|| panic!("no label {label}: {}", place()));
                let value = value.trim_start_matches(['=', '~']);
                let (Values::OneOf(known), Some(value)) = (&label.values, value.strip_prefix('"'))
                else {
                    continue;
                };
                for value in value.trim_end_matches('"').split('|') {
                    assert!(known.contains(&value), "no value {value}: {}", place());
                    selected += 1;
                }
            }
        }
    }
    assert!(selected > 100, "only {selected} were found");
}
