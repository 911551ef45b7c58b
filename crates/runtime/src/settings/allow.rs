//! Who may use an endpoint.

use std::collections::BTreeMap;

use harkara_core::endpoint::EndpointName;

use super::Settings;
use super::fault::Origin;
use super::networks::Networks;
use super::reader::Reader;

const SECTION: &str = "endpoints";
const ALLOW: &str = "allow";

/// Takes `allow` of every endpoint that has one. None is empty: it would let nobody in.
pub(super) fn read(reader: &mut Reader) -> BTreeMap<EndpointName, Networks> {
    let mut allowed = BTreeMap::new();
    for (name, taken) in reader.family_field(SECTION, ALLOW) {
        let networks = EndpointName::parse(&name)
            .map_err(|error| error.to_string())
            .and_then(|name| Ok((name, senders(&taken.items.join(","))?)));
        match networks {
            Ok((name, networks)) => {
                allowed.insert(name, networks);
            }
            Err(problem) => {
                reader.fault(&format!("{SECTION}.{name}.{ALLOW}"), taken.origin, problem);
            }
        }
    }
    allowed
}

/// An `allow` without secrets is most probably a slip in the endpoint's name.
pub(super) fn check_endpoints_exist(settings: &Settings, reader: &mut Reader) {
    for name in settings.endpoint_allow.keys() {
        if !settings.endpoints.contains_key(name) {
            let problem = "there is no such endpoint: it has no secrets".to_owned();
            reader.fault(
                &format!("{SECTION}.{name}.{ALLOW}"),
                Origin::Default,
                problem,
            );
        }
    }
}

fn senders(text: &str) -> Result<Networks, String> {
    let networks = Networks::parse_senders(text)?;
    if networks.is_empty() {
        return Err("is empty, and would let nobody in; leave it out to let anybody in".to_owned());
    }
    Ok(networks)
}
