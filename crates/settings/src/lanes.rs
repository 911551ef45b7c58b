//! Section `lanes`.

use std::collections::BTreeMap;

use harkara_core::lane::{InvalidAssignment, LaneTable};

use crate::catalogue::{LANE_NAMES, Setting, SettingKind, setting};
use crate::problem::ValueOrigin;
use crate::reader::{RawValue, SettingsReader};

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("lanes.<name>", "", SettingKind::Choice(LANE_NAMES),
        "Overrides the lane of an event (`payment.captured`) or of a family of events (`payment.dispute`). In the file, quote the name, since it contains dots; in the environment, write a dot as two underscores."),
];

pub(crate) fn read(r: &mut SettingsReader) -> LaneTable {
    let given: BTreeMap<String, RawValue> = r.family("lanes").into_iter().collect();
    let overrides = given.iter().map(|(key, value)| (key.clone(), value.text()));
    LaneTable::new(&overrides.collect()).unwrap_or_else(|invalid| {
        for assignment in invalid {
            let (InvalidAssignment::UnknownKey(key) | InvalidAssignment::UnknownLane { key, .. }) =
                &assignment;
            let value = given.get(key);
            let origin = value.map_or(ValueOrigin::Default, |value| value.origin.clone());
            r.problem(&format!("lanes.{key}"), origin, assignment.to_string());
        }
        LaneTable::new(&BTreeMap::new()).expect("the built-in assignment is valid")
    })
}
