//! The layers of settings, flattened to `section.key` and merged: a later layer wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Environment, FileFormat, Source, Value, ValueKind};

use crate::catalogue;
use crate::problem::{SettingsProblem, ValueOrigin};

/// Settings of one or more layers, by their flat key, and the problems found while reading them.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) given: BTreeMap<String, Given>,
    pub(crate) problems: Vec<SettingsProblem>,
}

/// A value that was given, and where.
pub(crate) struct Given {
    pub(crate) form: Form,
    pub(crate) origin: ValueOrigin,
}

/// The form in which a value was given.
pub(crate) enum Form {
    /// A text, or a number or truth value written as text.
    Text(String),
    /// A TOML array.
    List(Vec<String>),
    /// The path of a file that holds the value.
    InFile(PathBuf),
    /// An empty TOML table.
    EmptyTable,
}

const PREFIX: &str = "HARKARA";
const SEPARATOR: &str = "__";

/// Appended to the key of a secret, names a file that contains it.
const FILE_SUFFIX: &str = "_file";

impl Layer {
    /// The settings of a TOML file.
    pub(crate) fn of_file(path: &Path) -> Self {
        let origin = ValueOrigin::File(path.to_owned());
        let source = config::File::from(path).format(FileFormat::Toml);
        let mut layer = Self::default();
        match source.required(true).collect() {
            Ok(table) => {
                for (key, value) in table {
                    layer.flatten(&key, value, &origin);
                }
            }
            Err(error) => {
                let reason = without_excerpt(&error.to_string());
                layer.problem("", origin, format!("cannot be read: {reason}"));
            }
        }
        layer.with_files()
    }

    /// The settings of the environment, of variables named `HARKARA__SECTION__KEY`.
    pub(crate) fn of_environment() -> Self {
        let source = Environment::with_prefix(PREFIX)
            .prefix_separator(SEPARATOR)
            .separator(SEPARATOR);
        let mut layer = Self::default();
        if let Ok(table) = source.collect() {
            for (key, value) in table {
                let origin = ValueOrigin::Environment(variable_of(&key));
                layer.text(key, value.into_string().unwrap_or_default(), origin);
            }
        } else {
            // The library's message would show the value, which may be a secret.
            let origin = ValueOrigin::Environment(format!("{PREFIX}{SEPARATOR}…"));
            layer.problem("", origin, "a value is not valid Unicode");
        }
        layer.with_files()
    }

    /// Settings that the program itself provides.
    pub(crate) fn of_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut layer = Self::default();
        for (key, text) in pairs {
            layer.text(key.into(), text.into(), ValueOrigin::Program);
        }
        layer.with_files()
    }

    /// Adds a later layer, whose settings win.
    pub(crate) fn extend(&mut self, later: Self) {
        self.given.extend(later.given);
        self.problems.extend(later.problems);
    }

    fn text(&mut self, key: String, text: String, origin: ValueOrigin) {
        let form = Form::Text(text);
        self.given.insert(key, Given { form, origin });
    }

    fn problem(&mut self, key: &str, origin: ValueOrigin, problem: impl Into<String>) {
        let problem = SettingsProblem::new(key, origin, problem);
        self.problems.push(problem);
    }

    fn flatten(&mut self, key: &str, value: Value, origin: &ValueOrigin) {
        let form = match value.kind {
            ValueKind::Table(table) if table.is_empty() => Form::EmptyTable,
            ValueKind::Table(table) => {
                for (inner, value) in table {
                    self.flatten(&format!("{key}.{inner}"), value, origin);
                }
                return;
            }
            ValueKind::Array(items) => {
                let Ok(texts) = items.into_iter().map(Value::into_string).collect() else {
                    let problem = "a list may contain only texts and numbers";
                    return self.problem(key, origin.clone(), problem);
                };
                Form::List(texts)
            }
            kind => Form::Text(kind.to_string()),
        };
        let origin = origin.clone();
        self.given.insert(key.to_owned(), Given { form, origin });
    }

    /// Replaces `redis.url_file = "/path"` by `redis.url` in that file, for every secret.
    fn with_files(mut self) -> Self {
        let secret_of = |key: &String| Some((key.clone(), secret_of_file_key(key)?.to_owned()));
        let file_keys: Vec<_> = self.given.keys().filter_map(secret_of).collect();
        for (file_key, secret_key) in file_keys {
            let Some(Given { form, origin }) = self.given.remove(&file_key) else {
                continue;
            };
            match form {
                _ if self.given.contains_key(&secret_key) => {
                    let problem =
                        format!("is given together with {secret_key}; give only one of them");
                    self.problem(&file_key, origin, problem);
                }
                Form::Text(path) => {
                    let form = Form::InFile(path.into());
                    self.given.insert(secret_key, Given { form, origin });
                }
                _ => self.problem(&file_key, origin, "expected the path of a file"),
            }
        }
        self
    }
}

/// The environment variable of a key.
pub(crate) fn variable_of(key: &str) -> String {
    let key = key.replace('.', SEPARATOR).to_uppercase();
    format!("{PREFIX}{SEPARATOR}{key}")
}

fn secret_of_file_key(key: &str) -> Option<&str> {
    let base = key.strip_suffix(FILE_SUFFIX)?;
    let is_endpoint = base.starts_with("endpoints.")
        && (base.ends_with(".secrets") || base.ends_with(".diagnose_with"));
    let is_secret = catalogue::find(base).is_some_and(|setting| setting.kind.is_secret());
    (is_endpoint || is_secret).then_some(base)
}

/// A TOML error without the line it quotes, which may contain a secret.
fn without_excerpt(message: &str) -> String {
    let is_quoted = |line: &&str| {
        let line = line.trim_start();
        let is_numbered = |(n, _): (&str, &str)| n.parse::<u32>().is_ok();
        line.starts_with('|') || line.split_once(" |").is_some_and(is_numbered)
    };
    let lines: Vec<&str> = message.lines().filter(|line| !is_quoted(line)).collect();
    lines.join(" ").trim().to_owned()
}
