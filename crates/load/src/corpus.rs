//! Deliveries, signed and rendered before anything is measured.

use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_simulator::Bodies;
use harkara_simulator::random::{ID_CHARACTERS, Random};

use crate::ids::{BareId, Ids};
use crate::mix::{Contents, Mix, WeightedTemplates};
use crate::template::LifecycleTemplate;

/// Deliveries signed and rendered beforehand, all ids distinct.
///
/// A delivery takes its body and about 200 bytes of memory.
pub struct Corpus {
    /// The rendered deliveries one after another: the headers that differ, the empty line, the body.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    names: Vec<String>,
}

/// One delivery of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryRef<'a> {
    /// The event's name.
    pub event_name: &'a str,
    /// `X-Razorpay-Event-Id`.
    pub event_id: &'a str,
    /// `X-Razorpay-Signature`: lower-case hex.
    pub signature_hex: &'a str,
    /// The exact bytes that were signed.
    pub body: &'a [u8],
}

struct Entry {
    start: usize,
    body_start: usize,
    name: usize,
}

/// Maximum lifecycles in progress at a time: at ten thousand deliveries a second, the events of one are
/// then some 0.4 s apart. (A payment is authorized, captured and its order paid within seconds.)
const LIFECYCLES_OPEN_MAX: usize = 4096;

/// How many deliveries a corpus has for each lifecycle in progress: some must end even in a small one.
const DELIVERIES_PER_OPEN_LIFECYCLE: usize = 32;

const SIGNATURE: &[u8] = b"\r\nX-Razorpay-Signature: ";
const END: &[u8] = b"\r\n\r\n";
const SIGNATURE_BYTES: usize = 64;

impl Corpus {
    /// Signs and renders `deliveries` of a mix; the same arguments give the same bytes.
    ///
    /// Lifecycles come from the simulator, 32 of each kind; every copy has fresh ids of entities,
    /// except the merchant's account, and fresh event ids, in order of time as Razorpay's are.
    /// Events of a lifecycle stay in order, with those of up to 4,096 others between them; the last
    /// lifecycles are cut off where the number is reached.
    #[must_use]
    pub fn prepare(
        mix: Mix,
        deliveries: usize,
        secret: &Secret,
        seed: u64,
        now_seconds: i64,
    ) -> Self {
        let contents = Contents::Lifecycles(mix);
        Self::prepare_run(&contents, deliveries, secret, seed, 0, now_seconds)
    }

    /// The same for a run that is not the only one on its database: the seed chooses the contents, and
    /// every id, of events and of entities, is of this `run` alone, even where another had the same seed.
    #[must_use]
    pub fn prepare_run(
        contents: &Contents,
        deliveries: usize,
        secret: &Secret,
        seed: u64,
        run: u64,
        now_seconds: i64,
    ) -> Self {
        let kinds = contents.templates(&mut Bodies::new(seed, now_seconds));
        let mut ids = Ids::from(now_seconds, seed ^ run);
        let mut random = Random::new(seed);
        let n_open = (deliveries / DELIVERIES_PER_OPEN_LIFECYCLE).clamp(1, LIFECYCLES_OPEN_MAX);
        let mut corpus = Self {
            bytes: Vec::new(),
            entries: Vec::with_capacity(deliveries),
            names: Vec::new(),
        };
        let mut open: Vec<_> = (0..n_open)
            .map(|_| OpenLifecycle::begin(&kinds, &mut random, &mut ids))
            .collect();
        let mut body = Vec::new();
        while corpus.len() < deliveries {
            let lifecycle = &mut open[random.index(n_open)];
            let event = &lifecycle.template.events[lifecycle.done];
            body.clear();
            event.render(&lifecycle.ids, &mut body);
            corpus.push(&event.name, ids.next(), &sign(secret, &body), &body);
            lifecycle.done += 1;
            if lifecycle.done == lifecycle.template.events.len() {
                *lifecycle = OpenLifecycle::begin(&kinds, &mut random, &mut ids);
            }
        }
        corpus
    }

    /// How many deliveries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The delivery at a position below [`Corpus::len`].
    #[must_use]
    pub fn delivery(&self, at: usize) -> DeliveryRef<'_> {
        let entry = &self.entries[at];
        let head = &self.bytes[entry.start..entry.body_start - END.len()];
        let (head, signature) = head.split_at(head.len() - SIGNATURE_BYTES);
        let head = &head[..head.len() - SIGNATURE.len()];
        let event_id = &head[head.len() - ID_CHARACTERS..];
        DeliveryRef {
            event_name: &self.names[entry.name],
            event_id: text(event_id),
            signature_hex: text(signature),
            body: &self.bytes[entry.body_start..self.end(at)],
        }
    }

    /// The part of a delivery's request after the headers that all have in common.
    pub(crate) fn rendered(&self, at: usize) -> &[u8] {
        &self.bytes[self.entries[at].start..self.end(at)]
    }

    fn end(&self, at: usize) -> usize {
        let next = self.entries.get(at + 1);
        next.map_or(self.bytes.len(), |next| next.start)
    }

    fn push(&mut self, name: &str, event_id: BareId, signature_hex: &str, body: &[u8]) {
        let known = self.names.iter().position(|known| known == name);
        let name = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        let start = self.bytes.len();
        write_head(
            &mut self.bytes,
            text(&event_id),
            Some(signature_hex),
            body.len(),
        );
        self.entries.push(Entry {
            start,
            body_start: self.bytes.len(),
            name,
        });
        self.bytes.extend_from_slice(body);
    }
}

impl DeliveryRef<'_> {
    /// [`Corpus::rendered`] with another signature, or none.
    pub(crate) fn rendered_with(&self, signature: Option<&str>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_head(&mut bytes, self.event_id, signature, self.body.len());
        bytes.extend_from_slice(self.body);
        bytes
    }
}

fn text(id: &[u8]) -> &str {
    std::str::from_utf8(id).expect("ids and signatures are ASCII")
}

fn write_head(into: &mut Vec<u8>, event_id: &str, signature: Option<&str>, body_bytes: usize) {
    let head = format!(
        "Content-Length: {body_bytes}\r\nRequest-Id: {event_id}\r\nX-Razorpay-Event-Id: {event_id}"
    );
    into.extend_from_slice(head.as_bytes());
    if let Some(signature) = signature {
        into.extend_from_slice(SIGNATURE);
        into.extend_from_slice(signature.as_bytes());
    }
    into.extend_from_slice(END);
}

/// A copy of a lifecycle in progress.
struct OpenLifecycle<'a> {
    template: &'a LifecycleTemplate,
    ids: Vec<BareId>,
    /// How many of its events are in the corpus already.
    done: usize,
}

impl<'a> OpenLifecycle<'a> {
    fn begin(kinds: &'a WeightedTemplates, random: &mut Random, ids: &mut Ids) -> Self {
        let template = choose(kinds, random);
        Self {
            template,
            ids: (0..template.ids).map(|_| ids.next()).collect(),
            done: 0,
        }
    }
}

fn choose<'a>(kinds: &'a WeightedTemplates, random: &mut Random) -> &'a LifecycleTemplate {
    let total = kinds.iter().map(|(weight, _)| weight).sum();
    let mut drawn = random.index(total);
    for (weight, templates) in kinds {
        if drawn < *weight {
            return &templates[random.index(templates.len())];
        }
        drawn -= weight;
    }
    unreachable!("a number below the sum of the weights falls into one of them")
}
