//! Whether the settings can be used at all.

use harkara_settings::{Fault, SettingsFaults};

use super::finding::{Area, Finding};

const AREA: Area = Area::Settings;

/// They can: parsed whole, and every file that they name was read.
pub(super) fn sound() -> Finding {
    AREA.ok("valid", "every setting is known and has a sound value")
}

/// They cannot: one finding for each fault, and nothing else can be looked at.
pub(super) fn faulty(faults: &SettingsFaults) -> Vec<Finding> {
    faults.faults().iter().map(of_fault).collect()
}

fn of_fault(fault: &Fault) -> Finding {
    AREA.problem(
        "valid",
        fault.to_string(),
        "correct it; no process starts with these settings (docs/configuration.md has them all)",
    )
}
