//! The catalogue of events: every name that Razorpay documents, its family and what it contains.

use std::fmt::Write as _;

mod table;

pub use table::EVENTS;

use crate::lane::Lane;

/// One catalogued event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The event's name, such as `payment.dispute.created`.
    pub name: &'static str,
    /// The family it belongs to, such as `payment.dispute`.
    pub family: &'static str,
    /// Whether the event has typed handling of its own and must contain its family's entity.
    pub demanded: bool,
    /// The payload keys that its documented bodies have; empty where none is documented.
    pub contains: &'static [&'static str],
}

/// Looks a name up. `None` for a name that nobody has documented: such an event is stored all the same.
#[must_use]
pub fn find(name: &str) -> Option<&'static Known> {
    EVENTS
        .binary_search_by(|known| known.name.cmp(name))
        .ok()
        .map(|at| &EVENTS[at])
}

/// The events with typed handling of their own.
pub fn demanded() -> impl Iterator<Item = &'static Known> {
    EVENTS.iter().filter(|known| known.demanded)
}

impl Known {
    /// The payload key of the entity that this event is about, where its handling is typed.
    ///
    /// A body without it is no such event and cannot be projected.
    #[must_use]
    pub fn required_entity(&self) -> Option<&'static str> {
        self.demanded.then(|| primary_entity(self.family))
    }
}

/// The payload key of the entity that a family of events is about.
#[must_use]
pub fn primary_entity(family: &'static str) -> &'static str {
    match family {
        "payment.dispute" => "dispute",
        "order.notification" => "notification",
        other => other,
    }
}

/// The families in the catalogue, each once, in order of name.
#[must_use]
pub fn families() -> Vec<&'static str> {
    let mut families: Vec<_> = EVENTS.iter().map(|known| known.family).collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// `docs/events.md`: the catalogue as a table for people.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Events\n\nGenerated from the catalogue by `harkara reference events`; do not edit.\n\n\
         Every event is verified, stored and answered 200, catalogued or not. *Typed* events have \
         handling and tables of their own; the others are projected generically into `entity_snapshots`.\n\n\
         | event | family | lane | typed | contains |\n|---|---|---|---|---|\n",
    );
    for known in EVENTS {
        let typed = if known.demanded { "yes" } else { "" };
        let contains = known.contains.join(", ");
        let lane = Lane::of_family(known.family);
        // Writing to a String cannot fail.
        writeln!(
            page,
            "| `{}` | {} | {lane} | {typed} | {contains} |",
            known.name, known.family
        )
        .expect("a String takes any text");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, demanded, find};

    #[test]
    fn the_table_is_sorted_and_has_every_name_once() {
        assert!(EVENTS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(EVENTS.len(), 135);
    }

    #[test]
    fn thirty_events_are_typed_and_each_contains_what_it_requires() {
        assert_eq!(demanded().count(), 30);
        for known in demanded() {
            assert!(
                known.contains.contains(&known.required_entity().unwrap()),
                "{known:?}"
            );
        }
    }

    #[test]
    fn the_table_decides_the_family() {
        assert_eq!(
            find("payment.dispute.won").unwrap().family,
            "payment.dispute"
        );
        assert_eq!(find("payment.captured").unwrap().family, "payment");
        assert_eq!(find("payment.invented"), None);
    }
}
