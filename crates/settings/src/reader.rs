//! Takes typed values out of the merged layers and collects every problem.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use harkara_core::secret::Secret;

use crate::catalogue::{self, Setting, SettingKind};
use crate::layers::{Form, Given, Layer};
use crate::problem::{SettingsError, SettingsProblem, ValueOrigin};
use crate::secrets_file;

/// Reads one setting after another. A bad value is noted and read as its default, so that all problems are
/// reported together.
pub(crate) struct SettingsReader {
    layer: Layer,
    bad_keys: BTreeSet<String>,
}

/// A value as text, and where it came from.
pub(crate) struct RawValue {
    pub(crate) items: Vec<String>,
    pub(crate) origin: ValueOrigin,
}

impl RawValue {
    /// The items as one text, separated by commas.
    pub(crate) fn text(&self) -> String {
        self.items.join(",")
    }
}

impl SettingsReader {
    pub(crate) fn new(layer: Layer) -> Self {
        let bad_keys = BTreeSet::new();
        Self { layer, bad_keys }
    }

    /// A setting of any type: `parse` returns `None` for an invalid value.
    pub(crate) fn value<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let kind = in_catalogue(key).kind;
        self.value_or(key, |text| {
            parse(text).ok_or_else(|| unexpected(kind, text))
        })
    }

    /// A setting whose problems need a message of their own.
    pub(crate) fn value_or<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let setting = in_catalogue(key);
        if let Some(value) = self.take(key) {
            match parse(&value.text()) {
                Ok(value) => return value,
                Err(problem) => {
                    self.bad_keys.insert(key.to_owned());
                    self.problem(key, value.origin, problem);
                }
            }
        }
        parse(setting.default).unwrap_or_else(|problem| panic!("default of {key}: {problem}"))
    }

    /// A whole number within the bounds of the catalogue.
    pub(crate) fn whole<T: TryFrom<u64>>(&mut self, key: &str) -> T {
        let SettingKind::Whole { min, max, .. } = in_catalogue(key).kind else {
            panic!("{key} is not a whole number")
        };
        self.value(key, |text| {
            let number: u64 = text.trim().parse().ok()?;
            let number = (min..=max).contains(&number).then_some(number)?;
            T::try_from(number).ok()
        })
    }

    /// A duration in milliseconds.
    pub(crate) fn millis(&mut self, key: &str) -> Duration {
        Duration::from_millis(self.whole(key))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &str) -> bool {
        self.value(key, |text| text.parse().ok())
    }

    /// An address to listen on.
    pub(crate) fn address(&mut self, key: &str) -> SocketAddr {
        self.value(key, |text| text.trim().parse().ok())
    }

    /// The file that holds the value of a secret, if it was given so. Ask before the value is taken.
    pub(crate) fn file_of(&self, key: &str) -> Option<PathBuf> {
        match &self.layer.given.get(key)?.form {
            Form::InFile(path) => Some(path.clone()),
            _ => None,
        }
    }

    /// A URL with one of the schemes of its setting.
    pub(crate) fn url(key: &str, text: &str) -> Result<Secret, String> {
        let kind = in_catalogue(key).kind;
        let SettingKind::Url(schemes) = kind else {
            panic!("{key} is not a URL")
        };
        let has_scheme = |scheme: &&str| text.len() > scheme.len() && text.starts_with(*scheme);
        if schemes.iter().any(has_scheme) {
            Ok(Secret::new(text))
        } else {
            Err(unexpected(kind, text))
        }
    }

    /// Notes a problem unless `holds`, provided that the settings it is about are valid themselves.
    pub(crate) fn relation(&mut self, keys: &[&str], holds: bool, problem: &str) {
        if !holds && keys.iter().all(|key| !self.bad_keys.contains(*key)) {
            self.problem(keys[0], ValueOrigin::Default, problem.to_owned());
        }
    }

    /// Takes all given settings under `prefix.`, by the rest of their key.
    pub(crate) fn family(&mut self, prefix: &str) -> Vec<(String, RawValue)> {
        let keys = self
            .layer
            .given
            .keys()
            .filter(|key| is_in_section(key, prefix));
        let keys: Vec<String> = keys.cloned().collect();
        let value = |key: String| Some((key[prefix.len() + 1..].to_owned(), self.take(&key)?));
        keys.into_iter().filter_map(value).collect()
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, key: &str, origin: ValueOrigin, problem: String) {
        let problem = SettingsProblem::new(key, origin, problem);
        self.layer.problems.push(problem);
    }

    /// Fails with every problem found, including each key that nobody asked for.
    pub(crate) fn finish(mut self) -> Result<(), SettingsError> {
        for (key, given) in std::mem::take(&mut self.layer.given) {
            let is_section = catalogue::settings().any(|s| is_in_section(s.key, &key));
            if is_section && matches!(given.form, Form::EmptyTable) {
                continue;
            }
            let problem = match nearest(&key) {
                Some(near) => format!("there is no such setting; did you mean {near}?"),
                None => "there is no such setting".to_owned(),
            };
            self.problem(&key, given.origin, problem);
        }
        match self.layer.problems {
            problems if problems.is_empty() => Ok(()),
            problems => Err(SettingsError(problems)),
        }
    }

    fn take(&mut self, key: &str) -> Option<RawValue> {
        let Given { form, origin } = self.layer.given.remove(key)?;
        let (items, origin) = match form {
            Form::Text(text) => (vec![text], origin),
            Form::List(items) => (items, origin),
            Form::EmptyTable => (Vec::new(), origin),
            Form::InFile(path) => {
                let origin = ValueOrigin::SecretFile(path.clone(), Box::new(origin));
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        let items = secrets_file::items(&text).map(str::to_owned);
                        (items.collect(), origin)
                    }
                    Err(error) => {
                        self.problem(key, origin, format!("the file cannot be read: {error}"));
                        return None;
                    }
                }
            }
        };
        Some(RawValue { items, origin })
    }
}

/// Whether `key` is `section` and a dot and more.
fn is_in_section(key: &str, section: &str) -> bool {
    let rest = key.strip_prefix(section);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// Describes a value of the wrong kind, without showing a secret.
fn unexpected(kind: SettingKind, text: &str) -> String {
    if kind.is_secret() || may_be_url(text) {
        format!("expected {}", kind.expected())
    } else {
        format!("{text:?} is not {}", kind.expected())
    }
}

/// Whether a text may be a URL that stands in place of something else, and so hold a password.
pub(crate) fn may_be_url(text: &str) -> bool {
    ["@", "://", "password="]
        .iter()
        .any(|part| text.contains(part))
}

fn in_catalogue(key: &str) -> &'static Setting {
    catalogue::find(key).unwrap_or_else(|| panic!("{key} is not in the catalogue"))
}

/// The known key that `key` is probably a misspelling of.
fn nearest(key: &str) -> Option<&'static str> {
    /// More edits than this make another word.
    const EDITS_MAX: usize = 3;
    catalogue::settings()
        .map(|setting| (strsim::levenshtein(key, setting.key), setting.key))
        .filter(|(n_edits, _)| *n_edits <= EDITS_MAX)
        .min()
        .map(|(_, near)| near)
}
