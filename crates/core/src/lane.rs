//! Lanes: the four priorities, each with its own stream.

use std::collections::{BTreeMap, HashMap};

use crate::catalogue::{self, EVENTS};

/// A priority. Higher lanes are claimed first; none starves.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum Lane {
    /// Disputes and downtimes.
    Critical,
    /// Accounts and fund accounts.
    Medium,
    /// Invoices and payment links.
    Normal,
    /// Payments, orders, refunds and everything else.
    Default,
}

/// Number of lanes.
pub const LANES: usize = 4;

/// The consumer group that workers share on every lane's stream.
pub const CONSUMER_GROUP: &str = "harkara";

impl Lane {
    /// Every lane, highest first.
    pub const ALL: [Self; LANES] = [Self::Critical, Self::Medium, Self::Normal, Self::Default];

    /// The lane's name in stream keys, settings and listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a lane's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// The lane's index in [`Lane::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The default lane of a family.
    #[must_use]
    pub fn of_family(family: &str) -> Self {
        match family {
            "payment.dispute" | "payment.downtime" | "payout.downtime" => Self::Critical,
            "account"
            | "account.app"
            | "account.payment_methods"
            | "account.product"
            | "fund_account.validation" => Self::Medium,
            "invoice" | "payment_link" => Self::Normal,
            _ => Self::Default,
        }
    }
}

/// The lane of each event name.
#[derive(Clone, Debug)]
pub struct LaneTable(HashMap<String, Lane>);

/// An invalid lane assignment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssignment {
    /// The key is neither an event nor a family of the catalogue.
    #[error("{0:?} is neither an event nor a family in the catalogue (docs/events.md lists them)")]
    UnknownKey(String),
    /// The value is not a lane.
    #[error(
        "{key:?} is assigned to {lane:?}, which is not a lane (critical, medium, normal, default)"
    )]
    UnknownLane {
        /// The event or family.
        key: String,
        /// The invalid lane.
        lane: String,
    },
}

impl LaneTable {
    /// The built-in assignment with overrides, each from a family or an event name to a lane; an event's own
    /// assignment takes precedence over its family's. Returns all errors together.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, Vec<InvalidAssignment>> {
        let mut errors = Vec::new();
        let mut chosen = HashMap::new();
        let families = catalogue::families();
        for (key, lane) in overrides {
            if catalogue::find(key).is_none() && !families.contains(&key.as_str()) {
                errors.push(InvalidAssignment::UnknownKey(key.clone()));
            }
            match Lane::parse(lane) {
                Some(lane) => {
                    chosen.insert(key.as_str(), lane);
                }
                None => errors.push(InvalidAssignment::UnknownLane {
                    key: key.clone(),
                    lane: lane.clone(),
                }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let lane_of = |event: &catalogue::EventSpec| {
            *chosen
                .get(event.name)
                .or_else(|| chosen.get(event.family))
                .unwrap_or(&Lane::of_family(event.family))
        };
        Ok(Self(
            EVENTS
                .iter()
                .map(|event| (event.name.to_owned(), lane_of(event)))
                .collect(),
        ))
    }

    /// The lane of an event. Unknown and missing names go to [`Lane::Default`].
    #[must_use]
    pub fn lane_of(&self, event_name: Option<&str>) -> Lane {
        event_name
            .and_then(|name| self.0.get(name))
            .copied()
            .unwrap_or(Lane::Default)
    }
}

/// Shares a batch of at most `entries_max` among lanes with `waiting` entries.
///
/// Every waiting lane first gets one entry, then its share of the rest by weight; unused shares go to the
/// other lanes, highest first. So higher lanes take precedence, none starves while `entries_max` is at least
/// the number of lanes, and a single busy lane gets the whole batch.
#[must_use]
pub fn shares(
    entries_max: usize,
    waiting: [usize; LANES],
    weights: [usize; LANES],
) -> [usize; LANES] {
    let busy = |i: &usize| waiting[*i] > 0;
    let busy_weight: usize = (0..LANES).filter(busy).map(|i| weights[i]).sum();
    let mut shares = [0; LANES];
    let mut left = entries_max;
    // One each first, or the highest lanes could fill a small batch.
    for i in (0..LANES).filter(busy) {
        shares[i] = left.min(1);
        left -= shares[i];
    }
    let to_weigh = left;
    for i in (0..LANES).filter(busy) {
        let by_weight = to_weigh * weights[i] / busy_weight.max(1);
        let more = by_weight.min(waiting[i] - shares[i]);
        shares[i] += more;
        left -= more;
    }
    for i in 0..LANES {
        let more = (waiting[i] - shares[i]).min(left);
        shares[i] += more;
        left -= more;
    }
    shares
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{InvalidAssignment, Lane, LaneTable, shares};

    fn table(overrides: &[(&str, &str)]) -> Result<LaneTable, Vec<InvalidAssignment>> {
        let overrides: BTreeMap<_, _> = overrides
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        LaneTable::new(&overrides)
    }

    #[test]
    fn families_go_to_their_lanes_and_unknown_names_to_the_default_one() {
        let table = table(&[]).unwrap();
        for (name, lane) in [
            ("payment.dispute.created", Lane::Critical),
            ("payment.downtime.started", Lane::Critical),
            ("account.instantly_activated", Lane::Medium),
            ("fund_account.validation.failed", Lane::Medium),
            ("invoice.paid", Lane::Normal),
            ("payment_link.expired", Lane::Normal),
            ("payment.captured", Lane::Default),
            ("nobody.heard.of.it", Lane::Default),
        ] {
            assert_eq!(table.lane_of(Some(name)), lane, "{name}");
        }
        assert_eq!(table.lane_of(None), Lane::Default);
    }

    #[test]
    fn an_events_own_assignment_takes_precedence_over_its_familys() {
        let table = table(&[("payment", "normal"), ("payment.failed", "critical")]).unwrap();
        assert_eq!(table.lane_of(Some("payment.failed")), Lane::Critical);
        assert_eq!(table.lane_of(Some("payment.captured")), Lane::Normal);
    }

    #[test]
    fn all_invalid_assignments_are_reported_together() {
        let errors = table(&[("paymnt", "critical"), ("payment", "urgent")]).unwrap_err();
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn a_small_batch_and_a_heavy_lane_leave_the_others_their_entry() {
        assert_eq!(shares(4, [9, 9, 9, 9], [19, 1, 1, 1]), [1, 1, 1, 1]);
        assert_eq!(
            shares(200, [500, 500, 500, 500], [8, 4, 2, 1]),
            [106, 53, 27, 14]
        );
        assert_eq!(shares(200, [0, 0, 0, 500], [8, 4, 2, 1]), [0, 0, 0, 200]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn shares_fill_the_batch_and_starve_no_lane(
            entries_max in 4usize..500,
            waiting in prop::array::uniform4(0usize..500),
            weights in prop::array::uniform4(1usize..20),
        ) {
            let shares = shares(entries_max, waiting, weights);
            prop_assert_eq!(shares.iter().sum::<usize>(), entries_max.min(waiting.iter().sum()));
            for i in 0..4 {
                prop_assert!(shares[i] <= waiting[i]);
                prop_assert_eq!(shares[i] > 0, waiting[i] > 0);
            }
        }
    }
}
