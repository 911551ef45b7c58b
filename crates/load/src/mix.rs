//! The kinds of lifecycles that a load consists of.

use harkara_simulator::{Bodies, SimulatedEvent};

use crate::template::LifecycleTemplate;

/// Weighted mix of lifecycles, each a list of events that share ids.
///
/// Real bodies that were seen have 764 to 2,620 bytes. Those of a realistic mix have 1.56 kB on
/// average, 90 % of them between 1.2 and 2.2 kB; downtimes are the shortest with 0.5 kB, paid
/// invoices the longest with 3.3 kB. Those of payments alone have 1.34 kB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Only `payment.authorized` and `payment.captured` of one payment after another: the events
    /// that any receiver can project, for comparisons.
    Payments,
    /// The webhooks of a merchant with all events switched on.
    ///
    /// Of 1,000 lifecycles, 800 are a payment that is authorized, captured and pays its order; 85 fail
    /// (78 for good, 7 are paid late), since roughly one online payment in twelve does; 33 are paid
    /// and refunded (30 in part, 3 in full by two refunds), a usual rate of returns; 2 are disputed.
    /// 35 payment links and 20 invoices are for merchants that bill. Account, fund account and
    /// downtime events are rare in truth; 8, 12 and 5 of 1,000 are more than a merchant sees, so
    /// that the lanes for them are in use throughout a run.
    Realistic,
}

/// The contents of a run of `harkara load`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Lifecycles.
    Lifecycles(Mix),
    /// Single events by name, each with its weight; the weights must not all be 0.
    Events(Vec<(String, usize)>),
}

/// How many different lifecycles of each kind there are; amounts, methods and notes differ among them.
const TEMPLATES_PER_KIND: usize = 32;

/// The notes of a shop that keeps its own data in them: 6 of the 15 pairs allowed. Without them
/// payments of the simulator have 1 kB, at the lower end of real ones.
const SHOP_NOTES: &str = concat!(
    r#""shop_order":"SO-2026-0048213","items":"2 x SKU-48213-BLUE-M, 1 x SKU-11873-GREEN-L, 1 x GIFT-WRAP","#,
    r#""deliver_to":"14, Temple Street, Mysuru, Karnataka 570001","slot":"weekday afternoon","#,
    r#""wish":"Please ring before the delivery, the gate is on the side of the park","#,
    r#""campaign":"newsletter, second week of the monsoon sale, picture of the blue door""#
);

/// A kind of lifecycle: its weight and its maker.
type LifecycleKind = (usize, fn(&mut Bodies) -> Vec<SimulatedEvent>);

const PAYMENTS: &[LifecycleKind] = &[(1, |b| shop_payment(b, &[AUTHORIZED, CAPTURED]))];

const REALISTIC: &[LifecycleKind] = &[
    (800, |b| shop_payment(b, &[AUTHORIZED, CAPTURED, PAID])),
    (78, |b| with_shop_notes(vec![b.event(FAILED)])),
    (7, |b| {
        shop_payment(b, &[FAILED, AUTHORIZED, CAPTURED, PAID])
    }),
    (30, |b| {
        let refund = ["refund.created", "refund.processed"];
        shop_payment(
            b,
            &[[AUTHORIZED, CAPTURED, PAID].as_slice(), &refund].concat(),
        )
    }),
    (3, |b| with_shop_notes(b.refund_lifecycle())),
    (2, |b| with_shop_notes(b.dispute_lifecycle())),
    (35, Bodies::payment_link_lifecycle),
    (20, Bodies::invoice_lifecycle),
    (8, Bodies::account_lifecycle),
    (12, |b| vec![b.event("fund_account.validation.completed")]),
    (5, Bodies::downtime_lifecycle),
];

const FAILED: &str = "payment.failed";
const AUTHORIZED: &str = "payment.authorized";
const CAPTURED: &str = "payment.captured";
const PAID: &str = "order.paid";

/// Templates of each kind, with the kind's weight.
pub(crate) type WeightedTemplates = Vec<(usize, Vec<LifecycleTemplate>)>;

impl Contents {
    pub(crate) fn templates(&self, bodies: &mut Bodies) -> WeightedTemplates {
        match self {
            Self::Lifecycles(mix) => {
                let kinds = match mix {
                    Mix::Payments => PAYMENTS,
                    Mix::Realistic => REALISTIC,
                };
                let kinds = kinds.iter();
                kinds
                    .map(|(weight, make)| (*weight, templates_of(bodies, make)))
                    .collect()
            }
            Self::Events(events) => {
                let events = events.iter().map(|(name, weight)| {
                    let make = |bodies: &mut Bodies| vec![bodies.event(name)];
                    (*weight, templates_of(bodies, make))
                });
                events.collect()
            }
        }
    }
}

fn templates_of(
    bodies: &mut Bodies,
    make: impl Fn(&mut Bodies) -> Vec<SimulatedEvent>,
) -> Vec<LifecycleTemplate> {
    let account_id = bodies.account_id().to_owned();
    (0..TEMPLATES_PER_KIND)
        .map(|_| {
            let mut events = make(bodies);
            let template = LifecycleTemplate::new(&events, &account_id);
            if template.ids > 0 {
                return template;
            }
            events.iter_mut().for_each(add_id);
            LifecycleTemplate::new(&events, &account_id)
        })
        .collect()
}

/// Adds an id beside the payload. A body without any id could be another event's too, and both the
/// same event to a receiver.
fn add_id(event: &mut SimulatedEvent) {
    event.body.pop();
    let id = format!(r#","id":"{}"}}"#, event.event_id);
    event.body.extend_from_slice(id.as_bytes());
}

/// Those events of a payment's lifecycle that have one of `names`, with [`SHOP_NOTES`].
fn shop_payment(bodies: &mut Bodies, names: &[&str]) -> Vec<SimulatedEvent> {
    let mut events = bodies.payment_lifecycle();
    events.retain(|event| names.contains(&event.name.as_str()));
    with_shop_notes(events)
}

/// Puts [`SHOP_NOTES`] in front of the notes of every entity that has notes.
fn with_shop_notes(mut events: Vec<SimulatedEvent>) -> Vec<SimulatedEvent> {
    for event in &mut events {
        let body = std::str::from_utf8(&event.body).expect("the simulator writes UTF-8");
        let body = body
            .replace(r#""notes":{""#, &format!(r#""notes":{{{SHOP_NOTES},""#))
            .replace(r#""notes":[]"#, &format!(r#""notes":{{{SHOP_NOTES}}}"#));
        event.body = body.into_bytes();
    }
    events
}
