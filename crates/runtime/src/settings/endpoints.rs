//! Endpoints and their secrets.

use std::collections::BTreeMap;

use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_core::signature::EndpointSecrets;

use super::fault::Origin;
use super::layers;
use super::reader::{Reader, Taken};

const SECTION: &str = "endpoints";
const SECRETS: &str = "secrets";

/// Takes every endpoint; each has at least one secret and none is empty, or there is a fault.
pub(super) fn read(reader: &mut Reader) -> BTreeMap<EndpointName, Vec<Secret>> {
    let mut endpoints = BTreeMap::new();
    for (rest, taken) in reader.family(SECTION) {
        let key = format!("{SECTION}.{rest}");
        match endpoint(&rest, taken) {
            Ok((name, secrets)) => {
                endpoints.insert(name, secrets);
            }
            Err((origin, problem)) => reader.fault(&key, origin, problem),
        }
    }
    endpoints
}

fn endpoint(rest: &str, taken: Taken) -> Result<(EndpointName, Vec<Secret>), (Origin, String)> {
    let (name, field) = rest.rsplit_once('.').unwrap_or((rest, ""));
    let name = match EndpointName::parse(name) {
        Ok(name) => name,
        Err(error) => return Err((taken.origin, error.to_string())),
    };
    if field != SECRETS {
        let key = format!("{SECTION}.{name}.{SECRETS}");
        let variable = layers::variable_of(&key);
        let problem = if field.is_empty() {
            format!("the endpoint has no secrets; set {key} or {variable}")
        } else {
            format!(
                "there is no such setting; an endpoint has only {key} (or {variable}), {key}_file and endpoints.{name}.allow"
            )
        };
        return Err((taken.origin, problem));
    }
    let secrets: Vec<Secret> = taken
        .items
        .iter()
        .flat_map(|item| item.split(','))
        .map(|secret| Secret::new(secret.trim()))
        .collect();
    match EndpointSecrets::new(&secrets) {
        Ok(_) => Ok((name, secrets)),
        Err(error) => Err((taken.origin, error.to_string())),
    }
}
