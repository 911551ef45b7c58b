//! Stories with the places of their ids, from which copies with fresh ids are made.

use std::collections::HashMap;

use harkara_simulator::SimulatedEvent;
use harkara_simulator::random::ID_CHARACTERS;

use crate::ids::BareId;

/// What comes before the 14 characters of an id. A closed list, as a value such as
/// `payment_authentication` has the same form. Plans and offers are not in it: many share one.
const ID_PREFIXES: [&[u8]; 32] = [
    b"acc_",
    b"acc_prd_",
    b"addr_",
    b"ba_",
    b"bt_",
    b"card_",
    b"cont_",
    b"cust_",
    b"disp_",
    b"doc_",
    b"down_",
    b"fa_",
    b"fav_",
    b"inv_",
    b"li_",
    b"notification_",
    b"order_",
    b"pay_",
    b"plink_",
    b"pout_",
    b"poutdown_",
    b"poutlk_",
    b"qr_",
    b"rfnd_",
    b"setl_",
    b"spt_",
    b"sub_",
    b"token_",
    b"trf_",
    b"txn_",
    b"va_",
    b"vpa_",
];

/// What comes before an id whose kind of entity has no prefix.
const BARE_ID: &[u8] = b"\"id\":\"";

/// A story of the simulator with the places of its ids.
pub(crate) struct StoryTemplate {
    pub(crate) events: Vec<EventTemplate>,
    /// How many distinct ids occur in the story.
    pub(crate) ids: usize,
}

/// One event of a story.
pub(crate) struct EventTemplate {
    pub(crate) name: String,
    body: Vec<u8>,
    patches: Vec<Patch>,
}

/// Where an id stands in a body.
struct Patch {
    at: usize,
    /// Which of the story's ids.
    id: usize,
}

impl StoryTemplate {
    /// Finds every id of a story except `account_id`, the merchant's, which all stories share.
    pub(crate) fn new(story: Vec<SimulatedEvent>, account_id: &str) -> Self {
        let mut ids: HashMap<BareId, usize> = HashMap::new();
        for event in &story {
            for at in runs(&event.body) {
                let id = bare(&event.body, at);
                let prefixed = ID_PREFIXES.iter().any(|prefix| {
                    event.body[..at]
                        .strip_suffix(*prefix)
                        .is_some_and(|before| before.ends_with(b"\""))
                });
                let is_id = prefixed || event.body[..at].ends_with(BARE_ID);
                if is_id && !account_id.as_bytes().ends_with(&id) {
                    let next = ids.len();
                    ids.entry(id).or_insert(next);
                }
            }
        }
        let events = story
            .into_iter()
            .map(|event| EventTemplate {
                // An account's id also stands without its prefix, so prefixes do not matter here.
                patches: runs(&event.body)
                    .filter_map(|at| {
                        let id = *ids.get(&bare(&event.body, at))?;
                        Some(Patch { at, id })
                    })
                    .collect(),
                name: event.name,
                body: event.body,
            })
            .collect();
        Self {
            events,
            ids: ids.len(),
        }
    }
}

impl EventTemplate {
    /// Appends the body with the ids of one copy of the story.
    pub(crate) fn render(&self, ids: &[BareId], into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&self.body);
        let body = &mut into[start..];
        for patch in &self.patches {
            body[patch.at..patch.at + ID_CHARACTERS].copy_from_slice(&ids[patch.id]);
        }
    }
}

/// Where exactly 14 letters and digits stand between other characters.
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
