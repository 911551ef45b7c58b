//! The layers of settings, flattened to `section.key` and merged: a later layer wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Environment, FileFormat, Source, Value, ValueKind};

use crate::catalogue;
use crate::problem::{Origin, SettingsProblem};

/// The settings that were given, by their flat key.
pub(crate) type Layer = BTreeMap<String, Given>;

/// A value that was given, and where.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) form: Form,
    pub(crate) origin: Origin,
}

/// The form in which a value was given.
#[derive(Clone)]
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

/// The settings of a TOML file.
pub(crate) fn from_file(path: &Path, problems: &mut Vec<SettingsProblem>) -> Layer {
    let origin = Origin::File(path.to_owned());
    let source = config::File::from(path)
        .format(FileFormat::Toml)
        .required(true);
    let mut layer = Layer::new();
    match source.collect() {
        Ok(table) => {
            for (key, value) in table {
                flatten(&key, value, &origin, &mut layer, problems);
            }
        }
        Err(error) => {
            let problem = format!("cannot be read: {}", without_excerpt(&error.to_string()));
            problems.push(SettingsProblem::new("", origin, problem));
        }
    }
    resolve_file_keys(layer, problems)
}

/// The settings of the environment, of variables named `HARKARA__SECTION__KEY`.
pub(crate) fn from_environment(problems: &mut Vec<SettingsProblem>) -> Layer {
    let source = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR);
    let Ok(table) = source.collect() else {
        // The library's message would show the value, which may be a secret.
        let origin = Origin::Environment(format!("{PREFIX}{SEPARATOR}…"));
        problems.push(SettingsProblem::new(
            "",
            origin,
            "a value is not valid Unicode",
        ));
        return Layer::new();
    };
    let given = |(key, value): (String, Value)| {
        let origin = Origin::Environment(variable_of(&key));
        let form = Form::Text(value.into_string().unwrap_or_default());
        (key, Given { form, origin })
    };
    resolve_file_keys(table.into_iter().map(given).collect(), problems)
}

/// Settings that the program itself provides, by flat key.
pub(crate) fn from_map(
    map: BTreeMap<String, String>,
    problems: &mut Vec<SettingsProblem>,
) -> Layer {
    let given = |(key, text)| {
        let (form, origin) = (Form::Text(text), Origin::Program);
        (key, Given { form, origin })
    };
    resolve_file_keys(map.into_iter().map(given).collect(), problems)
}

/// The environment variable of a key.
pub(crate) fn variable_of(key: &str) -> String {
    let key = key.replace('.', SEPARATOR).to_uppercase();
    format!("{PREFIX}{SEPARATOR}{key}")
}

fn flatten(
    key: &str,
    value: Value,
    origin: &Origin,
    layer: &mut Layer,
    problems: &mut Vec<SettingsProblem>,
) {
    let form = match value.kind {
        ValueKind::Table(table) if table.is_empty() => Form::EmptyTable,
        ValueKind::Table(table) => {
            for (inner, value) in table {
                flatten(&format!("{key}.{inner}"), value, origin, layer, problems);
            }
            return;
        }
        ValueKind::Array(items) => {
            let Ok(texts) = items.into_iter().map(Value::into_string).collect() else {
                let problem = "a list may contain only texts and numbers";
                problems.push(SettingsProblem::new(key, origin.clone(), problem));
                return;
            };
            Form::List(texts)
        }
        kind => Form::Text(kind.to_string()),
    };
    let origin = origin.clone();
    layer.insert(key.to_owned(), Given { form, origin });
}

/// Replaces `redis.url_file = "/path"` by `redis.url` in that file, for every secret.
fn resolve_file_keys(mut layer: Layer, problems: &mut Vec<SettingsProblem>) -> Layer {
    let file_keys: Vec<(String, String)> = layer
        .keys()
        .filter_map(|key| Some((key.clone(), secret_of_file_key(key)?.to_owned())))
        .collect();
    for (file_key, secret_key) in file_keys {
        let Some(Given { form, origin }) = layer.remove(&file_key) else {
            continue;
        };
        let problem = match form {
            _ if layer.contains_key(&secret_key) => {
                format!("is given together with {secret_key}; give only one of them")
            }
            Form::Text(path) => {
                let form = Form::InFile(path.into());
                layer.insert(secret_key, Given { form, origin });
                continue;
            }
            _ => "expected the path of a file".to_owned(),
        };
        problems.push(SettingsProblem::new(&file_key, origin, problem));
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
