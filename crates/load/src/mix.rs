//! What kinds of lifecycles a load consists of.

use harkara_simulator::{Bodies, SimulatedEvent};

use crate::template::StoryTemplate;

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
    /// What a merchant's webhook with all events switched on would see.
    ///
    /// Of 1,000 lifecycles, 800 are a payment that is authorized, captured and pays its order; 85 fail
    /// (78 for good, 7 are paid late), since roughly one online payment in twelve does; 33 are paid
    /// and refunded (30 in part, 3 in full by two refunds), a usual rate of returns; 2 are disputed.
    /// 35 payment links and 20 invoices are for merchants that bill. Account, fund account and
    /// downtime events are rare in truth; 8, 12 and 5 of 1,000 are more than a merchant sees, so
    /// that the lanes for them are in use throughout a run.
    Realistic,
}

/// What a run of `harkara load` consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Stories.
    Stories(Mix),
    /// Single events by name, each with its weight, which must not all be 0.
    Events(Vec<(String, usize)>),
}

/// How many different lifecycles of each kind there are: amounts, methods and notes differ among them.
const TEMPLATES_PER_KIND: usize = 32;

/// A kind of lifecycle: its weight and how the simulator tells it.
struct Kind {
    weight: usize,
    tell: fn(&mut Bodies) -> Vec<SimulatedEvent>,
    /// Whether payments, orders and refunds of the lifecycle carry [`SHOP_NOTES`].
    shop_notes: bool,
}

/// What a shop that keeps its own data in `notes` adds to them: 6 of the 15 pairs allowed. Without
/// it payments of the simulator have 1 kB, at the lower end of what real ones have.
const SHOP_NOTES: &str = concat!(
    r#""shop_order":"SO-2026-0048213","items":"2 x SKU-48213-BLUE-M, 1 x SKU-11873-GREEN-L, 1 x GIFT-WRAP","#,
    r#""deliver_to":"14, Temple Street, Mysuru, Karnataka 570001","slot":"weekday afternoon","#,
    r#""wish":"Please ring before the delivery, the gate is on the side of the park","#,
    r#""campaign":"newsletter, second week of the monsoon sale, picture of the blue door""#
);

const PAYMENTS: &[Kind] = &[Kind {
    weight: 1,
    tell: |bodies| {
        part(
            bodies.payment_lifecycle(),
            &["payment.authorized", "payment.captured"],
        )
    },
    shop_notes: true,
}];

const REALISTIC: &[Kind] = &[
    Kind {
        weight: 800,
        tell: |bodies| {
            part(
                bodies.payment_lifecycle(),
                &["payment.authorized", "payment.captured", "order.paid"],
            )
        },
        shop_notes: true,
    },
    Kind {
        weight: 78,
        tell: |bodies| vec![bodies.event("payment.failed")],
        shop_notes: true,
    },
    Kind {
        weight: 7,
        tell: |bodies| {
            part(
                bodies.payment_lifecycle(),
                &[
                    "payment.failed",
                    "payment.authorized",
                    "payment.captured",
                    "order.paid",
                ],
            )
        },
        shop_notes: true,
    },
    Kind {
        weight: 30,
        tell: |bodies| {
            part(
                bodies.payment_lifecycle(),
                &[
                    "payment.authorized",
                    "payment.captured",
                    "order.paid",
                    "refund.created",
                    "refund.processed",
                ],
            )
        },
        shop_notes: true,
    },
    Kind {
        weight: 3,
        tell: Bodies::refund_lifecycle,
        shop_notes: true,
    },
    Kind {
        weight: 2,
        tell: Bodies::dispute_lifecycle,
        shop_notes: true,
    },
    Kind {
        weight: 35,
        tell: Bodies::payment_link_lifecycle,
        shop_notes: false,
    },
    Kind {
        weight: 20,
        tell: Bodies::invoice_lifecycle,
        shop_notes: false,
    },
    Kind {
        weight: 8,
        tell: Bodies::account_lifecycle,
        shop_notes: false,
    },
    Kind {
        weight: 12,
        tell: |bodies| vec![bodies.event("fund_account.validation.completed")],
        shop_notes: false,
    },
    Kind {
        weight: 5,
        tell: Bodies::downtime_lifecycle,
        shop_notes: false,
    },
];

impl Mix {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Payments => PAYMENTS,
            Self::Realistic => REALISTIC,
        }
    }

    /// The weight of each kind with its templates.
    pub(crate) fn templates(self, bodies: &mut Bodies) -> Vec<(usize, Vec<StoryTemplate>)> {
        let account_id = bodies.account_id().to_owned();
        let mut templates_of = |kind: &Kind| {
            (0..TEMPLATES_PER_KIND)
                .map(|_| {
                    let mut lifecycle = (kind.tell)(bodies);
                    if kind.shop_notes {
                        lifecycle.iter_mut().for_each(add_shop_notes);
                    }
                    StoryTemplate::new(lifecycle, &account_id)
                })
                .collect()
        };
        self.kinds()
            .iter()
            .map(|kind| (kind.weight, templates_of(kind)))
            .collect()
    }
}

impl Contents {
    /// The weight of each kind with its templates.
    pub(crate) fn templates(&self, bodies: &mut Bodies) -> Vec<(usize, Vec<StoryTemplate>)> {
        let events = match self {
            Self::Stories(mix) => return mix.templates(bodies),
            Self::Events(events) => events,
        };
        let account_id = bodies.account_id().to_owned();
        let mut templates_of = |name: &str| {
            (0..TEMPLATES_PER_KIND)
                .map(|_| {
                    let event = bodies.event(name);
                    let template = StoryTemplate::new(vec![event.clone()], &account_id);
                    if template.ids > 0 {
                        return template;
                    }
                    StoryTemplate::new(vec![with_id(event)], &account_id)
                })
                .collect()
        };
        events
            .iter()
            .map(|(name, weight)| (*weight, templates_of(name)))
            .collect()
    }
}

/// The event with an id beside its payload. A body without any would be that of another event too, and both
/// the same event to a receiver.
fn with_id(mut event: SimulatedEvent) -> SimulatedEvent {
    event.body.pop();
    let id = format!(r#","id":"{}"}}"#, event.event_id);
    event.body.extend_from_slice(id.as_bytes());
    event
}

/// Those events of a lifecycle that have one of `names`.
fn part(lifecycle: Vec<SimulatedEvent>, names: &[&str]) -> Vec<SimulatedEvent> {
    lifecycle
        .into_iter()
        .filter(|event| names.contains(&event.name.as_str()))
        .collect()
}

/// Puts [`SHOP_NOTES`] in front of the notes of every entity that has some or could have.
fn add_shop_notes(event: &mut SimulatedEvent) {
    let body = std::str::from_utf8(&event.body).expect("the simulator writes UTF-8");
    let body = body
        .replace(r#""notes":{""#, &format!(r#""notes":{{{SHOP_NOTES},""#))
        .replace(r#""notes":[]"#, &format!(r#""notes":{{{SHOP_NOTES}}}"#));
    event.body = body.into_bytes();
}
