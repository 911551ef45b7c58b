//! Section `deployment`.

use harkara_core::deployment::DeploymentName;

use crate::catalogue::{Setting, SettingKind, setting};
use crate::reader::SettingsReader;

const NAME: &str = "deployment.name";

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting(NAME, DeploymentName::DEFAULT, SettingKind::Text,
        "The name of the deployment, the same for all of its processes: 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`. Together with the id of the ledger it marks the streams in Redis, and processes with another mark do not use them. The name alone tells a copy of a database, such as a restored backup, from the original."),
];

pub(crate) fn read(r: &mut SettingsReader) -> DeploymentName {
    r.value_or(NAME, |name| {
        DeploymentName::parse(name).map_err(|error| error.to_string())
    })
}
