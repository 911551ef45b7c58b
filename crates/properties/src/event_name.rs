use std::collections::BTreeMap;

use harkara_core::event::{Head, read};
use harkara_core::lane::LaneTable;
use harkara_core::{catalogue, entry};
use serde_json::Value;

/// The name that the ingress finds without reading the whole body is the one that the worker finds in it:
/// wherever the whole body can be read, and its `event` is a text that can be a name.
///
/// The input is a body.
pub fn event_name(body: &[u8]) {
    let quick = entry::event_name(body);
    let lanes = LaneTable::new(&BTreeMap::new()).expect("no lane is reassigned");
    let lane = lanes.lane_of(quick.as_deref());
    if let Some(known) = quick.as_deref().and_then(catalogue::find) {
        assert_eq!(lane, lanes.lane_of(Some(known.name)));
    }
    let Some(head) = head(body) else {
        return;
    };
    let Ok(whole) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    match &whole["event"] {
        Value::String(name) if can_be_name(name) => {
            assert_eq!(quick.as_deref(), Some(name.as_str()));
            assert_eq!(head.name, *name);
        }
        _ => assert_eq!(quick, None),
    }
}

fn head(body: &[u8]) -> Option<Head> {
    match read(body) {
        Ok(event) => Some(event.head),
        Err(unprojectable) => unprojectable.head.map(|head| *head),
    }
}

/// What fits the line of an entry's head.
fn can_be_name(text: &str) -> bool {
    text.len() <= 200 && !text.chars().any(char::is_control)
}
