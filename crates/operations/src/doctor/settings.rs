//! Whether the settings can be used at all.

use harkara_settings::{SettingsError, SettingsProblem};

use super::finding::{Area, Finding};

const AREA: Area = Area::Settings;

/// They can: parsed whole, and every file that they name was read.
pub(super) fn sound() -> Finding {
    AREA.ok("valid", "every setting is known and has a sound value")
}

/// They cannot: one finding for each problem, and nothing else can be looked at.
pub(super) fn invalid(error: &SettingsError) -> Vec<Finding> {
    error.problems().iter().map(finding).collect()
}

fn finding(problem: &SettingsProblem) -> Finding {
    AREA.problem(
        "valid",
        problem.to_string(),
        "correct it; no process starts with these settings (docs/configuration.md has them all)",
    )
}
