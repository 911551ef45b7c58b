//! The layers of settings, flattened to `section.key` and merged: a later layer wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Environment, FileFormat, Source, Value, ValueKind};

use super::catalogue;
use super::fault::{Fault, Origin};

/// The settings that somebody gave, by their flat key.
pub(super) type Layer = BTreeMap<String, Given>;

/// A value that somebody gave, and where.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) form: Form,
    pub(super) origin: Origin,
}

/// The form in which a value was given.
#[derive(Clone)]
pub(super) enum Form {
    /// A text, or a number or truth value written as text.
    Text(String),
    /// A TOML array.
    List(Vec<String>),
    /// The path of a file that holds the value.
    InFile(PathBuf),
    /// A TOML table with nothing in it.
    EmptyTable,
}

/// What the environment's names begin with, and what stands between their parts.
const PREFIX: &str = "HARKARA";
const SEPARATOR: &str = "__";

/// What turns the key of a secret into the key that names a file with it.
const FILE_SUFFIX: &str = "_file";

/// The settings of a TOML file.
pub(super) fn from_file(path: &Path, faults: &mut Vec<Fault>) -> Layer {
    let origin = Origin::File(path.to_owned());
    let source = config::File::from(path)
        .format(FileFormat::Toml)
        .required(true);
    match source.collect() {
        Ok(table) => {
            let mut layer = Layer::new();
            for (key, value) in table {
                flatten(&key, value, &origin, &mut layer, faults);
            }
            named_files(layer, faults)
        }
        Err(error) => {
            let problem = format!("cannot be read: {}", without_excerpt(&error.to_string()));
            faults.push(Fault {
                key: String::new(),
                origin,
                problem,
            });
            Layer::new()
        }
    }
}

/// The settings of the environment, of variables named `HARKARA__SECTION__KEY`.
pub(super) fn from_environment(faults: &mut Vec<Fault>) -> Layer {
    let source = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR);
    let Ok(table) = source.collect() else {
        // The library's message would show the value, which may be a secret.
        faults.push(Fault {
            key: String::new(),
            origin: Origin::Environment(format!("{PREFIX}{SEPARATOR}…")),
            problem: "a value is not valid Unicode".to_owned(),
        });
        return Layer::new();
    };
    let given = |(key, value): (String, Value)| {
        let origin = Origin::Environment(variable_of(&key));
        let form = Form::Text(value.into_string().unwrap_or_default());
        (key, Given { form, origin })
    };
    named_files(table.into_iter().map(given).collect(), faults)
}

/// Settings handed over by the program, by flat key.
pub(super) fn from_map(map: BTreeMap<String, String>, faults: &mut Vec<Fault>) -> Layer {
    let given = |(key, text)| {
        (
            key,
            Given {
                form: Form::Text(text),
                origin: Origin::Program,
            },
        )
    };
    named_files(map.into_iter().map(given).collect(), faults)
}

/// The environment variable of a key.
pub(super) fn variable_of(key: &str) -> String {
    format!(
        "{PREFIX}{SEPARATOR}{}",
        key.replace('.', SEPARATOR).to_uppercase()
    )
}

fn flatten(key: &str, value: Value, origin: &Origin, layer: &mut Layer, faults: &mut Vec<Fault>) {
    let form = match value.kind {
        ValueKind::Table(table) if table.is_empty() => Form::EmptyTable,
        ValueKind::Table(table) => {
            for (inner, value) in table {
                flatten(&format!("{key}.{inner}"), value, origin, layer, faults);
            }
            return;
        }
        ValueKind::Array(items) => {
            let Ok(texts) = items.into_iter().map(Value::into_string).collect() else {
                let problem = "a list may hold only texts and numbers".to_owned();
                faults.push(Fault {
                    key: key.to_owned(),
                    origin: origin.clone(),
                    problem,
                });
                return;
            };
            Form::List(texts)
        }
        kind => Form::Text(kind.to_string()),
    };
    layer.insert(
        key.to_owned(),
        Given {
            form,
            origin: origin.clone(),
        },
    );
}

/// Replaces `redis.url_file = "/path"` by `redis.url` in that file, for every secret.
fn named_files(mut layer: Layer, faults: &mut Vec<Fault>) -> Layer {
    let file_keys: Vec<String> = layer
        .keys()
        .filter(|key| secret_of_file_key(key).is_some())
        .cloned()
        .collect();
    for file_key in file_keys {
        let (Some(secret_key), Some(named)) = (
            secret_of_file_key(&file_key).map(str::to_owned),
            layer.remove(&file_key),
        ) else {
            continue;
        };
        if layer.contains_key(&secret_key) {
            let problem = format!("is given together with {secret_key}; give only one of them");
            faults.push(Fault {
                key: file_key,
                origin: named.origin,
                problem,
            });
            continue;
        }
        let Form::Text(path) = named.form else {
            let problem = "expected the path of a file".to_owned();
            faults.push(Fault {
                key: file_key,
                origin: named.origin,
                problem,
            });
            continue;
        };
        layer.insert(
            secret_key,
            Given {
                form: Form::InFile(path.into()),
                origin: named.origin,
            },
        );
    }
    layer
}

fn secret_of_file_key(key: &str) -> Option<&str> {
    let base = key.strip_suffix(FILE_SUFFIX)?;
    let is_endpoint = base.starts_with("endpoints.")
        && (base.ends_with(".secrets") || base.ends_with(".diagnose_with"));
    let is_secret = catalogue::find(base).is_some_and(|setting| setting.kind.is_secret());
    (is_endpoint || is_secret).then_some(base)
}

/// A TOML error without the line it quotes, which may hold a secret.
fn without_excerpt(message: &str) -> String {
    let quoted = |line: &&str| {
        let line = line.trim_start();
        line.starts_with('|')
            || line
                .split_once(" |")
                .is_some_and(|(n, _)| n.parse::<u32>().is_ok())
    };
    message
        .lines()
        .filter(|line| !quoted(line))
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}
