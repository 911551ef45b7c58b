//! Endpoints and their secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_core::signature::EndpointSecrets;

use super::fault::Origin;
use super::layers;
use super::networks::Networks;
use super::reader::{Reader, Taken};
use super::secrets_file;

const SECTION: &str = "endpoints";
const SECRETS: &str = "secrets";
const DIAGNOSE_WITH: &str = "diagnose_with";
const ALLOW: &str = "allow";

/// One endpoint.
#[derive(Clone, Debug, Default)]
pub struct EndpointSettings {
    /// Its live secrets, newest first, at least one.
    pub secrets: Vec<Secret>,
    /// The file that they were read from, where they were: it may be read again.
    pub secrets_file: Option<PathBuf>,
    /// Secrets that verify nothing, and with which a refused signature is compared.
    pub diagnose_with: Vec<Secret>,
    /// Who may use it; anybody, where there is none.
    pub allow: Option<Networks>,
}

/// Takes every endpoint; each has at least one secret and none is empty, or there is a fault.
pub(super) fn read(reader: &mut Reader) -> BTreeMap<EndpointName, EndpointSettings> {
    let mut endpoints = BTreeMap::<EndpointName, EndpointSettings>::new();
    let mut faulty = BTreeSet::new();
    for (rest, taken) in reader.family(SECTION) {
        let key = format!("{SECTION}.{rest}");
        let (name, field) = rest.rsplit_once('.').unwrap_or((&rest, ""));
        let name = match EndpointName::parse(name) {
            Ok(name) => name,
            Err(error) => {
                reader.fault(&key, taken.origin, error.to_string());
                continue;
            }
        };
        let endpoint = endpoints.entry(name.clone()).or_default();
        if let Err(problem) = endpoint.set(&name, field, &taken) {
            reader.fault(&key, taken.origin, problem);
            faulty.insert(name);
        }
    }
    for (name, endpoint) in &endpoints {
        if endpoint.secrets.is_empty() && !faulty.contains(name) {
            let key = format!("{SECTION}.{name}");
            reader.fault(&key, Origin::Default, without_secrets(name));
        }
    }
    endpoints
}

impl EndpointSettings {
    fn set(&mut self, name: &EndpointName, field: &str, taken: &Taken) -> Result<(), String> {
        match field {
            SECRETS => {
                self.secrets = secrets(taken)?;
                self.secrets_file = match &taken.origin {
                    Origin::SecretFile(path, _) => Some(path.clone()),
                    _ => None,
                };
                Ok(())
            }
            DIAGNOSE_WITH => {
                self.diagnose_with = secrets(taken)?;
                Ok(())
            }
            ALLOW => {
                self.allow = Some(senders(&taken.items.join(","))?);
                Ok(())
            }
            "" => Err(without_secrets(name)),
            _ => {
                let key = format!("{SECTION}.{name}.{SECRETS}");
                let variable = layers::variable_of(&key);
                Err(format!(
                    "there is no such setting; an endpoint has only {key} (or {variable}) and {DIAGNOSE_WITH}, each also with _file, and {ALLOW}"
                ))
            }
        }
    }
}

fn secrets(taken: &Taken) -> Result<Vec<Secret>, String> {
    let secrets = secrets_file::of_items(taken.items.iter().map(String::as_str));
    match EndpointSecrets::new(&secrets) {
        Ok(_) => Ok(secrets),
        Err(error) => Err(error.to_string()),
    }
}

fn senders(text: &str) -> Result<Networks, String> {
    let networks = Networks::parse_senders(text)?;
    if networks.is_empty() {
        return Err("is empty, and would let nobody in; leave it out to let anybody in".to_owned());
    }
    Ok(networks)
}

fn without_secrets(name: &EndpointName) -> String {
    let key = format!("{SECTION}.{name}.{SECRETS}");
    let variable = layers::variable_of(&key);
    format!("the endpoint has no secrets; set {key} or {variable}")
}
