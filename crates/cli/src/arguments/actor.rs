//! Who performs an operation.

use harkara_operations::{Actor, ActorOrigin, InvalidName};
use harkara_settings::variable;

use crate::exit::UsageError;

/// Parses a name for the audit.
pub(crate) fn actor(name: &str) -> Result<Actor, InvalidName> {
    Actor::new(name, ActorOrigin::CommandLine)
}

/// The user of the system. Under sudo `USER` is root, and `SUDO_USER` the person.
pub(crate) fn current_user() -> Result<Actor, UsageError> {
    let variables = ["SUDO_USER", "USER", "LOGNAME"].into_iter();
    let mut actors = variables.filter_map(|name| actor(&variable(name)?).ok());
    actors.next().ok_or_else(|| {
        UsageError("the audit needs a name, and USER is not set; give --actor NAME".to_owned())
    })
}
