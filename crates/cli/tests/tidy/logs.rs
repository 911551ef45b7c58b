//! Log lines that documents quote, as `LEVEL message`, are in the sources at that level.

use std::collections::HashSet;

use crate::page::{Page, pages};

#[test]
fn quoted_log_lines_are_logged_at_that_level() {
    let sources = crate::files("crates", ".rs");
    let logged = logged(sources.iter().map(|(_, text)| text.as_str()));
    crate::assert_none(pages().iter().flat_map(|page| problems(page, &logged)));
}

/// The last text in every macro such as `warn!`, after its level.
fn logged<'a>(sources: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let line =
        crate::regex(r#"\b(error|warn|info|debug|trace)!\((?:[^";!]*"((?:[^"\\]|\\[\s\S])*)")+"#);
    let break_in_text = crate::regex(r"\\\n\s*");
    let lines = sources.flat_map(|text| line.captures_iter(text));
    lines
        .map(|line| {
            let text = break_in_text.replace_all(&line[2], "");
            format!("{} {text}", line[1].to_uppercase())
        })
        .collect()
}

fn problems(page: &Page, logged: &HashSet<String>) -> Vec<String> {
    let quoted = crate::regex(r"^(ERROR|WARN|INFO|DEBUG|TRACE) |^[A-Z][^`]* [^`]*\.$");
    let quoted = page.spans.iter().filter(|span| quoted.is_match(span));
    let wrong = quoted.filter(|span| !logged.contains(*span));
    let problem = |span| {
        let path = &page.path;
        format!("{path}: nothing logs `{span}` (quote as `LEVEL message`)")
    };
    wrong.map(problem).collect()
}

#[test]
fn a_line_of_another_level_or_text_is_found() {
    let source = r#"match x { A => tracing::warn!(a = "b", "It is \
                    away; wait."), B => info!("Started.") }"#;
    let logged = logged([source].into_iter());
    let found = |text: &str| problems(&Page::parse("", text), &logged).len();
    assert_eq!(
        found("`WARN It is away; wait.` `INFO Started.` `WARN` `x.y`"),
        0
    );
    assert_eq!(
        found("`ERROR It is away; wait.` `INFO Stopped.` `WARN b` `It is away; wait.`"),
        4
    );
}
