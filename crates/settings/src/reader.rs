//! Takes typed values out of the merged layers and collects what is wrong with them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::catalogue::{self, Kind, Setting};
use super::fault::{Fault, Origin};
use super::layers::{Form, Given, Layer};
use super::secrets_file;

/// Reads one setting after another. A faulty one is noted and read as its default, so that all
/// faults are found in one go.
pub(super) struct Reader {
    given: Layer,
    faults: Vec<Fault>,
    faulty: BTreeSet<&'static str>,
}

/// A value as text, and where it came from.
pub(super) struct Taken {
    pub(super) items: Vec<String>,
    pub(super) origin: Origin,
}

impl Reader {
    pub(super) fn new(given: Layer, faults: Vec<Fault>) -> Self {
        Self {
            given,
            faults,
            faulty: BTreeSet::new(),
        }
    }

    /// A setting of any type: `parse` gives `None` for what is not the expected kind.
    pub(super) fn value<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Option<T>) -> T {
        let kind = in_catalogue(key).kind;
        self.value_or(key, |text| {
            parse(text).ok_or_else(|| unexpected(kind, text))
        })
    }

    /// A setting whose fault deserves its own words.
    pub(super) fn value_or<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let setting = in_catalogue(key);
        if let Some(taken) = self.take(key) {
            match parse(&taken.items.join(",")) {
                Ok(value) => return value,
                Err(problem) => {
                    self.faulty.insert(key);
                    self.fault(key, taken.origin, problem);
                }
            }
        }
        parse(setting.default).unwrap_or_else(|problem| panic!("default of {key}: {problem}"))
    }

    /// A whole number within the bounds of the catalogue.
    pub(super) fn whole<T: TryFrom<u64>>(&mut self, key: &'static str) -> T {
        let Kind::Whole { min, max, .. } = in_catalogue(key).kind else {
            panic!("{key} is not a whole number")
        };
        let parse = |text: &str| {
            let number: u64 = text.trim().parse().ok()?;
            if (min..=max).contains(&number) {
                T::try_from(number).ok()
            } else {
                None
            }
        };
        self.value(key, parse)
    }

    /// A length of time given in milliseconds.
    pub(super) fn millis(&mut self, key: &'static str) -> Duration {
        Duration::from_millis(self.whole(key))
    }

    /// An address to listen on.
    pub(super) fn address(&mut self, key: &'static str) -> SocketAddr {
        self.value(key, |text| text.trim().parse().ok())
    }

    /// Notes a fault unless `holds`; does so only where the settings it is about are sound.
    pub(super) fn relation(&mut self, keys: &[&'static str], holds: bool, problem: &str) {
        if !holds && keys.iter().all(|key| !self.faulty.contains(key)) {
            self.fault(keys[0], Origin::Default, problem.to_owned());
        }
    }

    /// Takes all given settings under `prefix.`, by the rest of their key.
    pub(super) fn family(&mut self, prefix: &str) -> Vec<(String, Taken)> {
        let keys: Vec<String> = self
            .given
            .keys()
            .filter(|key| {
                key.strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
            .cloned()
            .collect();
        keys.into_iter()
            .filter_map(|key| {
                let taken = self.take(&key)?;
                Some((key[prefix.len() + 1..].to_owned(), taken))
            })
            .collect()
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, key: &str, origin: Origin, problem: String) {
        self.faults.push(Fault {
            key: key.to_owned(),
            origin,
            problem,
        });
    }

    /// Everything that is wrong: what was found so far, and every key that nobody asked for.
    pub(super) fn finish(mut self) -> Vec<Fault> {
        for (key, given) in std::mem::take(&mut self.given) {
            let is_section = catalogue::SETTINGS.iter().any(|setting| {
                setting
                    .key
                    .strip_prefix(key.as_str())
                    .is_some_and(|r| r.starts_with('.'))
            });
            if is_section && matches!(given.form, Form::EmptyTable) {
                continue;
            }
            let problem = match nearest(&key) {
                Some(near) => format!("there is no such setting; did you mean {near}?"),
                None => "there is no such setting".to_owned(),
            };
            self.fault(&key, given.origin, problem);
        }
        self.faults
    }

    fn take(&mut self, key: &str) -> Option<Taken> {
        let Given { form, origin } = self.given.remove(key)?;
        match form {
            Form::Text(text) => Some(Taken {
                items: vec![text],
                origin,
            }),
            Form::List(items) => Some(Taken { items, origin }),
            Form::EmptyTable => Some(Taken {
                items: Vec::new(),
                origin,
            }),
            Form::InFile(path) => {
                let origin = Origin::SecretFile(path.clone(), Box::new(origin));
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        let lines = secrets_file::items(&text);
                        Some(Taken {
                            items: lines.map(str::to_owned).collect(),
                            origin,
                        })
                    }
                    Err(error) => {
                        self.fault(key, origin, format!("the file cannot be read: {error}"));
                        None
                    }
                }
            }
        }
    }
}

/// What to say about a value that is not of its kind, without showing a secret.
fn unexpected(kind: Kind, text: &str) -> String {
    if kind.is_secret() {
        format!("expected {}", kind.expected())
    } else {
        format!("{text:?} is not {}", kind.expected())
    }
}

fn in_catalogue(key: &'static str) -> &'static Setting {
    catalogue::find(key).unwrap_or_else(|| panic!("{key} is not in the catalogue"))
}

/// The known key that `key` was most probably meant to be.
fn nearest(key: &str) -> Option<&'static str> {
    /// More than this many edits is another word, not a slip.
    const EDITS_MAX: usize = 3;
    catalogue::SETTINGS
        .iter()
        .map(|setting| (strsim::levenshtein(key, setting.key), setting.key))
        .filter(|(n_edits, _)| *n_edits <= EDITS_MAX)
        .min()
        .map(|(_, near)| near)
}
