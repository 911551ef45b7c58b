//! The generated references of all settings.

use std::fmt::Write;

use crate::catalogue::{LANE_NAMES, Setting, SettingKind, settings};
use crate::layers::variable_of;

/// Longest line of a comment in the generated TOML file.
const COMMENT_WIDTH: usize = 96;

const INFALLIBLE: &str = "a String accepts any text";

/// The text of `docs/configuration.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut out = String::from(MARKDOWN_HEAD);
    let mut section = "";
    for setting in settings() {
        if setting.section() != section {
            section = setting.section();
            write!(out, "\n## {section}\n\n{TABLE_HEAD}").expect(INFALLIBLE);
        }
        let Setting { key, meaning, .. } = setting;
        let variable = variable_of(key);
        let expected = setting.kind.expected().replace('|', "\\|");
        let default = match setting.default {
            "" => "–".to_owned(),
            default => format!("`{default}`"),
        };
        writeln!(
            out,
            "| `{key}` | `{variable}` | {default} | {expected} | {meaning} |"
        )
        .expect(INFALLIBLE);
    }
    out
}

/// The text of `deploy/harkara.toml`: every setting with its default, commented out.
#[must_use]
pub fn reference_toml() -> String {
    let mut out = String::from(TOML_HEAD);
    let mut section = "";
    for setting in settings() {
        if setting.section() != section {
            section = setting.section();
            write!(out, "\n{}\n", setting.header()).expect(INFALLIBLE);
        }
        let expected = setting.kind.expected();
        let (first, rest) = expected.split_at(1);
        let about = format!("{} {}{rest}.", setting.meaning, first.to_uppercase());
        for line in wrapped(&about) {
            writeln!(out, "# {line}").expect(INFALLIBLE);
        }
        writeln!(out, "# {}", setting.toml_line()).expect(INFALLIBLE);
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

    fn header(&self) -> String {
        let section = self.section();
        match self.kind {
            SettingKind::Secrets => format!("# [{section}.default]"),
            _ if self.is_family() => format!("# [{section}]"),
            _ => format!("[{section}]"),
        }
    }

    fn toml_line(&self) -> String {
        let name = self
            .key
            .rsplit_once('.')
            .expect("every key has a section")
            .1;
        let default = self.default;
        match self.kind {
            SettingKind::Secrets if name == "diagnose_with" => {
                "diagnose_with = [\"the API's secret\"]".to_owned()
            }
            SettingKind::Secrets => {
                "secrets = [\"the newest secret\", \"the previous one\"]".to_owned()
            }
            SettingKind::Senders => "allow = [\"razorpay\"]".to_owned(),
            SettingKind::Networks | SettingKind::Servers => format!("{name} = []"),
            SettingKind::Choice(words) if self.is_family() && words == LANE_NAMES => {
                "\"payment.dispute\" = \"critical\"".to_owned()
            }
            SettingKind::Choice(_) if self.is_family() => "critical = \"replicated\"".to_owned(),
            SettingKind::Whole { .. } => format!("{name} = {default}"),
            SettingKind::Weights => format!("{name} = [{}]", default.replace(',', ", ")),
            _ => format!("{name} = \"{default}\""),
        }
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() > COMMENT_WIDTH {
            lines.push(word.to_owned());
        } else {
            write!(line, " {word}").expect(INFALLIBLE);
        }
    }
    lines
}

const MARKDOWN_HEAD: &str = "\
# Settings

<!-- Generated from the tables in crates/settings/src; a test compares. -->

All processes read the same settings, in three layers; a later layer takes precedence:

1. the defaults below;
2. a TOML file, named by `--config FILE` or by `HARKARA_CONFIG`
   ([`deploy/harkara.toml`](../deploy/harkara.toml) is a template);
3. the environment: `HARKARA__SECTION__KEY`.

An unknown key or a bad value stops the start, and the process reports every problem. Values of URLs and
secrets are never shown.

Every URL and every list of secrets can be kept in a file of its own: add `_file` to the key
(`_FILE` to the variable) and give the file's path. Line breaks at the end of the file are ignored;
a file of secrets has one per line, or several separated by commas. Files of `redis.url` and `postgres.url`
are read again for each new connection, so a password can be rotated without a restart.

The standard variable `RUST_LOG` takes precedence over `log.level`.
";

const TABLE_HEAD: &str = "\
| key | variable | default | value | meaning |
|---|---|---|---|---|
";

const TOML_HEAD: &str = "\
# Settings of Harkara, with their defaults. The environment (HARKARA__SECTION__KEY) takes precedence
# over this file. Generated from the tables in crates/settings/src; a test compares. Every URL and list
# of secrets can also be kept in a file of its own: add _file to the key and give the file's path.
";
