//! Settings and paths of the code that documents name exist.

use crate::page::{Page, pages};

#[test]
fn settings_and_paths_exist() {
    let pages = pages();
    let settings = pages
        .iter()
        .find(|page| page.path == "docs/configuration.md")
        .unwrap();
    let sources = crate::files("crates", ".rs");
    let current = pages.iter().filter(|page| page.path != "CHANGELOG.md");
    crate::assert_none(current.flat_map(|page| problems(page, &settings.text, &sources)));
}

fn problems(page: &Page, settings: &str, sources: &[(String, String)]) -> Vec<String> {
    let setting = crate::regex(r"^(redis|postgres|ingress|worker|log|trace)\.[a-z_]{3,}$");
    let path = crate::regex(r"^([a-z]+)::([\w:]+)$");
    let is_gone = |name: &str| match path.captures(name) {
        Some(path) => {
            let folder = format!("crates/{}/src/", &path[1]);
            let mut own = sources
                .iter()
                .filter(|(file, _)| file.starts_with(&folder))
                .peekable();
            own.peek().is_some() && !defines(own, &path[2].replace("::", "/"), &folder)
        }
        None => setting.is_match(name) && !settings.contains(&format!("`{name}`")),
    };
    let gone = page.spans.iter().filter(|span| is_gone(span));
    gone.map(|name| format!("{}: there is no `{name}`", page.path))
        .collect()
}

/// Whether a path within a crate is a module or something that its parent defines.
fn defines<'a>(
    mut files: impl Iterator<Item = &'a (String, String)>,
    path: &str,
    folder: &str,
) -> bool {
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
    let definition = crate::regex(&format!(
        r"\b(fn|mod|struct|enum|trait|const|type) {last}\b"
    ));
    files.any(|(file, text)| {
        let module = file.strip_prefix(folder).unwrap();
        module == format!("{path}.rs") || (module.starts_with(parent) && definition.is_match(text))
    })
}

#[test]
fn a_missing_setting_or_path_is_found() {
    let sources = [(
        "crates/core/src/a.rs".to_owned(),
        "pub struct Bc; fn d() {}".to_owned(),
    )];
    let found = |text: &str| problems(&Page::parse("", text), "`redis.url`", &sources).len();
    assert_eq!(
        found("`redis.url` `core::a` `core::a::Bc` `std::gone` `log.rs`"),
        0
    );
    assert_eq!(
        found("`redis.gone` `core::gone` `core::a::B` `core::b::d`"),
        4
    );
}
