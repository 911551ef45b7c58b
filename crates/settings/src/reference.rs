//! The reference of all settings, generated from the catalogue.

use std::fmt::Write;

use super::catalogue::{Kind, LANE_NAMES, SETTINGS, Setting};
use super::layers::variable_of;

/// Longest line of a comment in the generated TOML file.
const COMMENT_WIDTH: usize = 96;

/// The text of `docs/configuration.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut out = String::from(MARKDOWN_HEAD);
    let mut section = "";
    for setting in SETTINGS {
        if setting.section() != section {
            section = setting.section();
            write!(out, "\n## {section}\n\n{TABLE_HEAD}").expect("a String takes all text");
        }
        let default = if setting.default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", setting.default)
        };
        writeln!(
            out,
            "| `{}` | `{}` | {default} | {} | {} |",
            setting.key,
            variable_of(setting.key),
            setting.kind.expected().replace('|', "\\|"),
            setting.meaning,
        )
        .expect("a String takes all text");
    }
    out
}

/// The text of `deploy/harkara.toml`: every setting with its default, commented out.
#[must_use]
pub fn reference_toml() -> String {
    let mut out = String::from(TOML_HEAD);
    let mut section = "";
    for setting in SETTINGS {
        if setting.section() != section {
            section = setting.section();
            let header = if setting.is_family() {
                format!("# [{section}]")
            } else {
                format!("[{section}]")
            };
            write!(out, "\n{}\n", setting.header(&header)).expect("a String takes all text");
        }
        let about = format!(
            "{} {}.",
            setting.meaning,
            capitalised(&setting.kind.expected())
        );
        for line in wrapped(&about) {
            writeln!(out, "# {line}").expect("a String takes all text");
        }
        writeln!(out, "# {}", setting.toml_line()).expect("a String takes all text");
    }
    out
}

impl Setting {
    fn section(&self) -> &'static str {
        self.key.split_once('.').expect("every key has a section").0
    }

    fn is_family(&self) -> bool {
        self.key.contains("<name>")
    }

    fn header(&self, header: &str) -> String {
        match self.kind {
            Kind::Secrets => "# [endpoints.default]".to_owned(),
            _ => header.to_owned(),
        }
    }

    fn toml_line(&self) -> String {
        let name = self.key.split_once('.').expect("every key has a section").1;
        match self.kind {
            Kind::Secrets if self.key.ends_with(".diagnose_with") => {
                "diagnose_with = [\"the API's secret\"]".to_owned()
            }
            Kind::Secrets => "secrets = [\"the newest secret\", \"the one before it\"]".to_owned(),
            Kind::Senders => "allow = [\"razorpay\"]".to_owned(),
            Kind::Networks | Kind::Servers => format!("{name} = []"),
            Kind::Choice(words) if self.is_family() && words == LANE_NAMES => {
                "\"payment.dispute\" = \"critical\"".to_owned()
            }
            Kind::Choice(_) if self.is_family() => "critical = \"replicated\"".to_owned(),
            Kind::Whole { .. } => format!("{name} = {}", self.default),
            Kind::Weights => format!("{name} = [{}]", self.default.replace(',', ", ")),
            Kind::Url(_)
            | Kind::Address
            | Kind::Text
            | Kind::PemFile
            | Kind::Password
            | Kind::Choice(_)
            | Kind::LogFilter => {
                format!("{name} = \"{}\"", self.default)
            }
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > COMMENT_WIDTH {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

const MARKDOWN_HEAD: &str = "\
# Settings

<!-- Generated from the catalogue in crates/settings/src/catalogue.rs; a test compares. -->

All processes read the same settings, in three layers of which the later wins:

1. the defaults below;
2. a TOML file, named by `--config FILE` or by `HARKARA_CONFIG`
   ([`deploy/harkara.toml`](../deploy/harkara.toml) is a template);
3. the environment: `HARKARA__SECTION__KEY`.

An unknown key or a bad value stops the start, and the process says everything that is wrong at
once. Values of URLs and secrets are never shown.

Every URL and every list of secrets can be kept in a file of its own: add `_file` to the key
(`_FILE` to the variable) and give the file's path. Line breaks at the end of the file are dropped;
a file of secrets holds one a line, or several separated by commas.

Standard variables that are honoured: `RUST_LOG` (goes before `log.level`).
";

const TABLE_HEAD: &str = "\
| key | variable | default | value | meaning |
|---|---|---|---|---|
";

const TOML_HEAD: &str = "\
# Settings of Harkara, with their defaults. The environment (HARKARA__SECTION__KEY) goes before
# this file. Generated from the catalogue in crates/settings/src/catalogue.rs; a test
# compares. Every URL and list of secrets can also be kept in a file of its own: add _file to the
# key and give the file's path.
";
