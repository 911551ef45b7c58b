use std::collections::HashSet;

use super::{Kind, all};

#[test]
fn names_follow_the_rules_of_prometheus() {
    let mut seen = HashSet::new();
    for metric in all() {
        let name = metric.name;
        assert!(seen.insert(name), "{name} is there twice");
        assert!(name.starts_with("harkara_"), "{name}");
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(name.bytes().all(is_plain), "{name}");
        assert_eq!(
            metric.kind == Kind::Counter,
            name.ends_with("_total"),
            "{name}"
        );
        assert!(
            !metric.help.is_empty() && !metric.help.ends_with('.'),
            "{name}"
        );
    }
}
