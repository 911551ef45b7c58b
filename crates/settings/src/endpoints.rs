//! Section `endpoints`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_core::signature::EndpointSecrets;

use crate::catalogue::{Setting, SettingKind, setting};
use crate::layers;
use crate::networks::Networks;
use crate::problem::ValueOrigin;
use crate::reader::{RawValue, SettingsReader};
use crate::secrets_file;

const SECTION: &str = "endpoints";
const SECRETS: &str = "secrets";
const DIAGNOSE_WITH: &str = "diagnose_with";
const ALLOW: &str = "allow";

/// One endpoint.
#[derive(Clone, Debug, Default)]
pub struct EndpointSettings {
    /// Its live secrets, newest first, at least one.
    pub secrets: Vec<Secret>,
    /// The file that they were read from, if any, to reload them.
    pub secrets_file: Option<PathBuf>,
    /// Secrets that never verify a delivery; a refused signature is compared with them.
    pub diagnose_with: Vec<Secret>,
    /// Who may use it; `None` allows everybody.
    pub allow: Option<Networks>,
}

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("endpoints.<name>.secrets", "", SettingKind::Secrets,
        "The webhook secrets of the endpoint `/webhooks/razorpay/<name>`, newest first; the endpoint `default` is also `/webhooks/razorpay`. A name is 1 to 64 of a-z, 0-9, - and _. Keep the previous secret for at least 24 hours after a rotation: retries of older events still carry its signature. Secrets in a file are reloaded without a restart."),
    setting("endpoints.<name>.allow", "", SettingKind::Senders,
        "The only client addresses that may use the endpoint; others are answered 403. `razorpay` means the webhook addresses that Razorpay had published by April 2026 (security/whitelists.md of its documentation). Without it, any address may. Behind a load balancer, see `ingress.trusted_proxies`."),
    setting("endpoints.<name>.diagnose_with", "", SettingKind::Secrets,
        "Secrets that never verify a delivery, such as that of Razorpay's API. A refused signature is compared with them, so that the log can say that the wrong secret was used. Best kept in a file."),
];

/// Reads every endpoint. An endpoint without secrets, or with an empty one, is a problem.
pub(crate) fn read(reader: &mut SettingsReader) -> BTreeMap<EndpointName, EndpointSettings> {
    let mut endpoints = BTreeMap::<EndpointName, EndpointSettings>::new();
    let mut bad = BTreeSet::new();
    for (rest, value) in reader.family(SECTION) {
        let key = format!("{SECTION}.{rest}");
        let (name, field) = rest.rsplit_once('.').unwrap_or((&rest, ""));
        let name = match EndpointName::parse(name) {
            Ok(name) => name,
            Err(error) => {
                reader.problem(&key, value.origin, error.to_string());
                continue;
            }
        };
        let endpoint = endpoints.entry(name.clone()).or_default();
        if let Err(problem) = endpoint.set(&name, field, &value) {
            reader.problem(&key, value.origin, problem);
            bad.insert(name);
        }
    }
    for (name, endpoint) in &endpoints {
        if endpoint.secrets.is_empty() && !bad.contains(name) {
            let key = format!("{SECTION}.{name}");
            reader.problem(&key, ValueOrigin::Default, without_secrets(name));
        }
    }
    endpoints
}

impl EndpointSettings {
    fn set(&mut self, name: &EndpointName, field: &str, value: &RawValue) -> Result<(), String> {
        match field {
            SECRETS => {
                self.secrets = secrets(value)?;
                if let ValueOrigin::SecretFile(path, _) = &value.origin {
                    self.secrets_file = Some(path.clone());
                }
            }
            DIAGNOSE_WITH => self.diagnose_with = secrets(value)?,
            ALLOW => self.allow = Some(senders(&value.text())?),
            "" => return Err(without_secrets(name)),
            _ => {
                let (key, variable) = secrets_key(name);
                return Err(format!(
                    "there is no such setting; an endpoint has only {key} (or {variable}) and {DIAGNOSE_WITH}, each also with _file, and {ALLOW}"
                ));
            }
        }
        Ok(())
    }
}

fn secrets(value: &RawValue) -> Result<Vec<Secret>, String> {
    let secrets = secrets_file::of_items(value.items.iter().map(String::as_str));
    EndpointSecrets::new(&secrets).map_err(|error| error.to_string())?;
    Ok(secrets)
}

fn senders(text: &str) -> Result<Networks, String> {
    let networks = Networks::parse_senders(text)?;
    if networks.is_empty() {
        return Err("is empty and would allow nobody; leave it out to allow everybody".to_owned());
    }
    Ok(networks)
}

fn without_secrets(name: &EndpointName) -> String {
    let (key, variable) = secrets_key(name);
    format!("the endpoint has no secrets; set {key} or {variable}")
}

/// The key of an endpoint's secrets and its variable.
fn secrets_key(name: &EndpointName) -> (String, String) {
    let key = format!("{SECTION}.{name}.{SECRETS}");
    let variable = layers::variable_of(&key);
    (key, variable)
}
