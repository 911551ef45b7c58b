//! Relative links lead to files and headings that exist.

use std::collections::HashMap;

use crate::page::{Page, pages};

#[test]
fn links_resolve() {
    crate::assert_none(problems(&pages()));
}

fn problems(pages: &[Page]) -> Vec<String> {
    let of_page = |page: &Page| page.headings.iter().map(|it| anchor(it)).collect();
    let anchors = pages.iter().map(|page| (page.path.as_str(), of_page(page)));
    let anchors: HashMap<&str, Vec<String>> = anchors.collect();
    let is_broken = |page: &Page, link: &str| {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let from = crate::root().join(&page.path);
        let to = if file.is_empty() {
            from
        } else {
            from.parent().unwrap().join(file)
        };
        let Ok(to) = to.canonicalize() else {
            return true;
        };
        let to = to.strip_prefix(crate::root()).unwrap().to_str().unwrap();
        let has_heading = |of: &Vec<String>| of.iter().any(|known| known == heading);
        !heading.is_empty() && !anchors.get(to).is_some_and(has_heading)
    };
    let links = pages
        .iter()
        .flat_map(|page| page.links.iter().map(move |link| (page, link)));
    let broken = links.filter(|(page, link)| !link.contains("://") && is_broken(page, link));
    broken
        .map(|(page, link)| format!("{}: nothing is at {link}", page.path))
        .collect()
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let heading = heading.to_lowercase().replace(' ', "-");
    crate::regex(r"[^\w-]")
        .replace_all(&heading, "")
        .into_owned()
}

#[test]
fn a_missing_file_or_heading_is_found() {
    let good = "# One, `two`\n[a](#one-two) [b](STYLE.md) [c](../README.md) [d](https://e)";
    let bad = "[a](#gone) [b](README.md) [c](architecture.md#gone) [d](architecture.md#one-two)";
    let found = problems(&[
        Page::parse("docs/architecture.md", good),
        Page::parse("docs/STYLE.md", bad),
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
}
