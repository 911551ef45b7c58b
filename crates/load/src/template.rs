//! Lifecycles with the positions of their ids, for copies with fresh ids.

use std::collections::HashMap;

use harkara_simulator::SimulatedEvent;
use harkara_simulator::random::ID_CHARACTERS;

use crate::ids::BareId;

/// The prefixes of ids. A closed list, as a value such as `payment_authentication` has the same form.
/// Plans and offers are not in it: many entities share one.
const ID_PREFIXES: &str = "acc acc_prd addr ba bt card cont cust disp doc down fa fav inv li notification order pay \
                           plink pout poutdown poutlk qr rfnd setl spt sub token trf txn va vpa";

/// The text before an id whose kind of entity has no prefix.
const BARE_ID: &[u8] = b"\"id\":\"";

/// A lifecycle of the simulator with the positions of its ids.
pub(crate) struct LifecycleTemplate {
    pub(crate) events: Vec<EventTemplate>,
    /// How many distinct ids occur in the lifecycle.
    pub(crate) ids: usize,
}

/// One event of a lifecycle.
pub(crate) struct EventTemplate {
    pub(crate) name: String,
    body: Vec<u8>,
    patches: Vec<Patch>,
}

/// The position of an id in a body.
struct Patch {
    at: usize,
    /// Which of the lifecycle's ids.
    id: usize,
}

impl LifecycleTemplate {
    /// Finds every id of a lifecycle except `account_id`, the merchant's, which all lifecycles share.
    pub(crate) fn new(lifecycle: &[SimulatedEvent], account_id: &str) -> Self {
        let mut ids: HashMap<BareId, usize> = HashMap::new();
        for event in lifecycle {
            for at in runs(&event.body) {
                let id = bare(&event.body, at);
                if is_id(&event.body[..at]) && !account_id.as_bytes().ends_with(&id) {
                    let next = ids.len();
                    ids.entry(id).or_insert(next);
                }
            }
        }
        let events = lifecycle.iter().map(|event| EventTemplate {
            name: event.name.clone(),
            // An account's id also occurs without its prefix, so prefixes do not matter here.
            patches: runs(&event.body)
                .filter_map(|at| {
                    let id = *ids.get(&bare(&event.body, at))?;
                    Some(Patch { at, id })
                })
                .collect(),
            body: event.body.clone(),
        });
        Self {
            events: events.collect(),
            ids: ids.len(),
        }
    }
}

/// Whether 14 characters are an id, by the bytes before them.
fn is_id(before: &[u8]) -> bool {
    let has_prefix = |prefix: &str| {
        let before = before
            .strip_suffix(b"_")
            .and_then(|b| b.strip_suffix(prefix.as_bytes()));
        before.is_some_and(|before| before.ends_with(b"\""))
    };
    before.ends_with(BARE_ID) || ID_PREFIXES.split(' ').any(has_prefix)
}

impl EventTemplate {
    /// Appends the body with the ids of one copy of the lifecycle.
    pub(crate) fn render(&self, ids: &[BareId], into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&self.body);
        let body = &mut into[start..];
        for patch in &self.patches {
            body[patch.at..patch.at + ID_CHARACTERS].copy_from_slice(&ids[patch.id]);
        }
    }
}

/// The positions of exactly 14 letters and digits between other characters.
fn runs(body: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < body.len() {
            let start = at;
            at += 1;
            if body[start].is_ascii_alphanumeric() {
                while body.get(at).is_some_and(u8::is_ascii_alphanumeric) {
                    at += 1;
                }
                if at - start == ID_CHARACTERS {
                    return Some(start);
                }
            }
        }
        None
    })
}

fn bare(body: &[u8], at: usize) -> BareId {
    body[at..at + ID_CHARACTERS]
        .try_into()
        .expect("a run is as long as an id")
}
