//! The catalogue of events: every documented name, its family and the entities its body contains.

mod table;

pub use table::EVENTS;

use crate::lane::Lane;
use crate::precedence;

/// A catalogued event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// The event's name, such as `payment.dispute.created`.
    pub name: &'static str,
    /// The family it belongs to, such as `payment.dispute`.
    pub family: &'static str,
    /// Whether the event has its own handling and tables, and must contain its family's entity.
    pub is_typed: bool,
    /// The payload keys of its documented bodies; empty if none is documented.
    pub contains: &'static [&'static str],
}

/// Looks up an event by name. Uncatalogued events are stored too.
#[must_use]
pub fn find(name: &str) -> Option<&'static EventSpec> {
    EVENTS
        .binary_search_by(|spec| spec.name.cmp(name))
        .ok()
        .map(|at| &EVENTS[at])
}

/// The events with typed handling.
pub fn typed() -> impl Iterator<Item = &'static EventSpec> {
    EVENTS.iter().filter(|spec| spec.is_typed)
}

impl EventSpec {
    /// The payload key of the entity a typed event is about. A body without it cannot be projected.
    #[must_use]
    pub fn required_entity(&self) -> Option<&'static str> {
        self.is_typed.then(|| primary_entity(self.family))
    }
}

/// The payload key of the entity a family's events are about.
#[must_use]
pub fn primary_entity(family: &'static str) -> &'static str {
    match family {
        "payment.dispute" => "dispute",
        "order.notification" => "notification",
        other => other,
    }
}

/// The families in the catalogue, sorted, each once.
#[must_use]
pub fn families() -> Vec<&'static str> {
    let mut families: Vec<_> = EVENTS.iter().map(|spec| spec.family).collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// The catalogue as Markdown (`docs/events.md`).
#[must_use]
pub fn reference_markdown() -> String {
    let rows = EVENTS.iter().map(|spec| {
        let lane = Lane::of_family(spec.family);
        let typed = if spec.is_typed { "yes" } else { "" };
        let contains = spec.contains.join(", ");
        format!(
            "| `{}` | {} | {lane} | {typed} | {contains} |\n",
            spec.name, spec.family
        )
    });
    let head = "# Events\n\nGenerated from the catalogue by `harkara reference events`; do not edit.\n\n\
         Every event is verified, stored and answered 200, catalogued or not. *Typed* events have their own \
         handling and tables; the others are projected generically into `entity_snapshots`.\n\n\
         | event | family | lane | typed | contains |\n|---|---|---|---|---|\n";
    head.to_owned() + &rows.collect::<String>() + &precedence::reference_markdown()
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, find, typed};

    #[test]
    fn the_table_is_sorted_and_has_every_name_once() {
        assert!(EVENTS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(EVENTS.len(), 135);
    }

    #[test]
    fn thirty_events_are_typed_and_contain_their_required_entity() {
        assert_eq!(typed().count(), 30);
        for spec in typed() {
            let required = spec.required_entity().unwrap();
            assert!(spec.contains.contains(&required), "{spec:?}");
        }
    }

    #[test]
    fn the_table_decides_the_family() {
        let family = |name| find(name).map(|spec| spec.family);
        assert_eq!(family("payment.dispute.won"), Some("payment.dispute"));
        assert_eq!(family("payment.captured"), Some("payment"));
        assert_eq!(family("payment.invented"), None);
    }
}
