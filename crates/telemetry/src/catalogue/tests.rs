use std::collections::HashSet;

use harkara_core::lane::Lane;

use super::{Kind, LANE, Values, all};

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let mut seen = HashSet::new();
    for metric in all() {
        let name = metric.name;
        assert!(seen.insert(name), "{name} appears twice");
        assert!(name.starts_with("harkara_"), "{name}");
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(name.bytes().all(is_plain), "{name}");
        let is_counter = metric.kind == Kind::Counter;
        assert_eq!(is_counter, name.ends_with("_total"), "{name}");
        let help = metric.help;
        assert!(!help.is_empty() && !help.ends_with('.'), "{name}");
    }
}

/// Instruments of lanes are registered in the order of the catalogue, and used by the index of the lane.
#[test]
fn lanes_have_the_order_of_their_indexes() {
    let Values::OneOf(lanes) = LANE.values else {
        panic!("the lanes are not listed");
    };
    assert_eq!(lanes, Lane::ALL.map(Lane::as_str));
}
