//! The parts of a Markdown page that the checks read.

use std::mem::take;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

#[derive(Default)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Code within a line.
    pub(crate) spans: Vec<String>,
    /// Fenced blocks with their language.
    pub(crate) blocks: Vec<(String, String)>,
    pub(crate) links: Vec<String>,
    pub(crate) headings: Vec<String>,
}

/// Every page of the repository.
pub(crate) fn pages() -> Vec<Page> {
    let mut files = crate::files("docs", ".md");
    for folder in ["crates", "migrations", ".github", "deploy"] {
        files.extend(crate::files(folder, ".md"));
    }
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ] {
        let text = std::fs::read_to_string(crate::root().join(name)).unwrap();
        files.push((name.to_owned(), text));
    }
    files
        .iter()
        .map(|(path, text)| Page::parse(path, text))
        .collect()
}

impl Page {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut page = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            ..Self::default()
        };
        let mut words = String::new();
        let mut language = String::new();
        for event in Parser::new(text) {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(name))) => {
                    (language, words) = (name.to_string(), String::new());
                }
                Event::End(TagEnd::CodeBlock) => {
                    page.blocks.push((take(&mut language), take(&mut words)));
                }
                Event::Start(Tag::Heading { .. }) => words.clear(),
                Event::End(TagEnd::Heading(_)) => page.headings.push(take(&mut words)),
                Event::Start(Tag::Link { dest_url, .. }) => page.links.push(dest_url.to_string()),
                Event::Text(text) => words += &text,
                Event::Code(code) => {
                    words += &code;
                    page.spans.push(code.to_string());
                }
                _ => {}
            }
        }
        page
    }
}
