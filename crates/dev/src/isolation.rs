//! Keeping the developer's own settings away from what is tested or measured.

use std::process::Command;

/// Removes every setting of Harkara and of OpenTelemetry from a command's environment.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("HARKARA_") || text.starts_with("OTEL_") {
            command.env_remove(&name);
        }
    }
    command
}
