//! Documents tell the truth: links, commands, log lines, names and crate dependencies exist, and source files
//! stay small. Each check is tested with a broken input.

#![expect(clippy::unwrap_used, reason = "a test cannot go on without its files")]

mod commands;
mod crates;
mod links;
mod logs;
mod names;
mod page;

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const LINES_MAX: usize = 400;

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// The files below a folder of the repository whose names end with `ending`: paths and contents.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            found.extend(files(&name, ending));
        } else if name.ends_with(ending) {
            found.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    found
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

fn assert_none(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn source_files_are_small() {
    assert_none(too_long(
        [files("crates", ".rs"), files("fuzz", ".rs")].concat(),
    ));
}

fn too_long(files: Vec<(String, String)>) -> impl Iterator<Item = String> {
    let long = |(_, text): &(_, String)| text.lines().count() > LINES_MAX;
    let files = files.into_iter().filter(long);
    files.map(|(path, _)| format!("{path} is longer than {LINES_MAX} lines"))
}

#[test]
fn a_long_file_is_found() {
    let file = |lines| (String::new(), "\n".repeat(lines));
    assert_eq!(too_long(vec![file(400), file(401)]).count(), 1);
}
