//! Runbooks: each alert has one, and each belongs to an alert.

use std::collections::HashSet;

use super::rules::alerts;
use super::{RUNBOOKS, files, read, text};

/// The anchors of a page, made of its headings as GitHub makes them.
fn anchors(page: &str) -> HashSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            heading
                .chars()
                .filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char))
                .map(|char| if char == ' ' { '-' } else { char })
                .collect()
        })
        .collect()
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let index = format!("{RUNBOOKS}/README.md");
    let contents = read(&index);
    let mut named = HashSet::from([index]);
    for alert in alerts() {
        let name = text(&alert, "alert");
        let url = text(&alert["annotations"], "runbook_url");
        let (file, anchor) = url
            .split_once('#')
            .map_or((url, None), |(file, anchor)| (file, Some(anchor)));
        let page = read(file);
        if let Some(anchor) = anchor {
            assert!(anchors(&page).contains(anchor), "{name}: {url}");
        }
        let line = contents.lines().find(|line| {
            line.split('`').any(|word| word == name) && line.contains(&format!("]({})", base(file)))
        });
        assert!(
            line.is_some(),
            "the index has no line with {name} and {file}"
        );
        named.insert(file.to_owned());
    }
    for file in files(RUNBOOKS) {
        assert!(named.contains(&file), "no alert names {file}");
    }
}

#[test]
fn every_runbook_has_a_meaning_a_check_a_fix_and_an_end() {
    for file in files(RUNBOOKS) {
        if base(&file) == "README.md" {
            continue;
        }
        let page = read(&file);
        for part in ["**Meaning.**", "**Check", "**Fix.**", "**Resolved**"] {
            assert!(page.contains(part), "{file} has no {part}");
        }
    }
}

fn base(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(_, name)| name)
}
