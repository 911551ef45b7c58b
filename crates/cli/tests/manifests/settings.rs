//! Variables in deploy/ are settings of the product.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

use super::objects::everything;
use super::{read, root};

/// The variables that a text sets or mentions.
fn variables(text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(r"HARKARA__[A-Z0-9_]+").unwrap();
    pattern
        .find_iter(text)
        .map(|found| found.as_str().to_owned())
        .collect()
}

/// Whether the reference of the settings has a variable, itself or as that of a file.
fn is_known(variable: &str, reference: &BTreeSet<String>) -> bool {
    let endpoint = Regex::new("^HARKARA__ENDPOINTS__[A-Z0-9_]+?__").unwrap();
    let named = endpoint.replace(variable, "HARKARA__ENDPOINTS__<NAME>__");
    let known = |name: &str| reference.contains(name);
    known(&named)
        || named.strip_suffix("_FILE").is_some_and(|name| {
            name.ends_with("URL") && known(name) || name.ends_with("SECRETS") && known(name)
        })
}

fn reference() -> BTreeSet<String> {
    let pattern = Regex::new(r"`(HARKARA__[A-Z0-9_<>]+)`").unwrap();
    let reference = read("docs/configuration.md");
    let found = pattern.captures_iter(&reference);
    found.map(|found| found[1].to_owned()).collect()
}

/// The text files of a folder and those below that mention variables, with their paths. What a template mentions counts
/// once it is rendered.
fn mentioning(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() && !path.ends_with("templates") {
            mentioning(&path, found);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(&path)
            && !variables(&text).is_empty()
        {
            found.push((path.display().to_string(), text));
        }
    }
}

#[test]
fn every_variable_is_a_setting() {
    let reference = reference();
    let mut texts = everything();
    mentioning(&root().join("deploy"), &mut texts);
    for known in ["compose/compose.yaml", "systemd/ingress.env"] {
        assert!(texts.iter().any(|(name, _)| name.ends_with(known)));
    }
    for (name, text) in texts {
        let found = variables(&text);
        assert!(!found.is_empty(), "{name}");
        for variable in found {
            assert!(is_known(&variable, &reference), "{variable} in {name}");
        }
    }
}

#[test]
fn an_unknown_variable_is_found() {
    let reference = reference();
    for unknown in [
        "HARKARA__INGRESS__DRAIN",
        "HARKARA__POSTGRES__POOL_MAX_FILE",
        "HARKARA__ENDPOINTS__LIVE__SECRET",
    ] {
        assert!(!is_known(unknown, &reference), "{unknown}");
    }
    assert!(is_known(
        "HARKARA__ENDPOINTS__LIVE_2__SECRETS_FILE",
        &reference
    ));
}
