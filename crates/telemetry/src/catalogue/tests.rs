use std::collections::HashSet;

use super::{Kind, all};

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
