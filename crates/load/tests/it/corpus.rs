use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::LazyLock;

use bytes::Bytes;
use harkara_core::catalogue::EVENTS;
use harkara_core::delivery::Delivery;
use harkara_core::endpoint::EndpointName;
use harkara_core::entity::Entity;
use harkara_core::event;
use harkara_core::ids::EventId;
use harkara_core::lane::{LANES, LaneTable};
use harkara_core::signature::{EndpointSecrets, verify};
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_load::{Contents, Corpus, DeliveryRef, Mix};

use crate::secret;

const NOW: i64 = 1_790_000_000;
const DELIVERIES: usize = 6_000;

static REALISTIC: LazyLock<Corpus> = LazyLock::new(|| prepare(Mix::Realistic, 1));
static PAYMENTS: LazyLock<Corpus> = LazyLock::new(|| prepare(Mix::Payments, 1));

fn prepare(mix: Mix, seed: u64) -> Corpus {
    Corpus::prepare(mix, DELIVERIES, &secret(), seed, NOW)
}

fn deliveries(corpus: &Corpus) -> impl Iterator<Item = DeliveryRef<'_>> {
    (0..corpus.len()).map(|at| corpus.delivery(at))
}

/// Every value of a body that has the form of an id: a prefix and 14 characters with a digit.
fn ids(body: &[u8]) -> BTreeSet<&str> {
    let text = std::str::from_utf8(body).unwrap();
    text.split('"')
        .filter(|value| {
            value.rsplit_once('_').is_some_and(|(prefix, id)| {
                let lower = |b: u8| b.is_ascii_lowercase() || b == b'_';
                prefix.bytes().all(lower)
                    && id.len() == 14
                    && id.bytes().all(|b| b.is_ascii_alphanumeric())
                    && id.bytes().any(|b| !b.is_ascii_lowercase())
            })
        })
        .collect()
}

#[test]
fn every_delivery_verifies_and_is_read_as_its_event() {
    let secrets = EndpointSecrets::new(&[secret()]).unwrap();
    for delivery in deliveries(&REALISTIC).chain(deliveries(&PAYMENTS)) {
        let received = Delivery {
            endpoint: EndpointName::default_name(),
            event_id: EventId::from_header(delivery.event_id),
            signature: Some(delivery.signature_hex.as_bytes()),
            trace: TraceContext::generated(1, 1),
            received_at: ReceivedAt::from_millis(NOW * 1000),
            body: Bytes::copy_from_slice(delivery.body),
        };
        let verified = verify(received, &secrets).unwrap();
        assert_eq!(verified.event_id().as_str(), delivery.event_id);
        let event = event::read(delivery.body).unwrap();
        assert_eq!(event.head.name, delivery.event_name);
    }
}

#[test]
fn event_ids_and_bodies_are_distinct_also_from_those_of_another_seed() {
    let other = prepare(Mix::Realistic, 2);
    let mut event_ids = HashSet::new();
    let mut bodies = HashSet::new();
    for delivery in deliveries(&REALISTIC).chain(deliveries(&other)) {
        assert!(event_ids.insert(delivery.event_id.to_owned()));
        assert!(bodies.insert(delivery.body.to_owned()));
    }
}

#[test]
fn runs_of_one_seed_and_second_share_no_event_id_no_entity_and_no_body() {
    let events = EVENTS.iter().map(|known| (known.name.to_owned(), 1));
    let contents = Contents::Events(events.collect());
    let mut event_ids = HashSet::new();
    let mut bodies = HashSet::new();
    let mut names = HashSet::new();
    let mut entities_before: HashSet<(String, String)> = HashSet::new();
    for run in [1, 2] {
        let corpus = Corpus::prepare_run(&contents, DELIVERIES, &secret(), 7, run, NOW);
        let mut entities = HashSet::new();
        for delivery in deliveries(&corpus) {
            assert!(event_ids.insert(delivery.event_id.to_owned()));
            assert!(
                bodies.insert(delivery.body.to_owned()),
                "{}",
                delivery.event_name
            );
            names.insert(delivery.event_name.to_owned());
            let event = event::read(delivery.body).unwrap();
            for (_, entity) in event.entities {
                entities.insert((entity.kind().to_owned(), format!("{entity:?}")));
            }
            assert_eq!(event.head.name, delivery.event_name);
        }
        assert!(entities.is_disjoint(&entities_before));
        entities_before = entities;
    }
    assert_eq!(names.len(), EVENTS.len());
}

#[test]
fn a_payment_has_the_same_ids_in_all_its_events_and_shares_them_with_no_other() {
    let mut lifecycles: BTreeMap<String, (Vec<&str>, BTreeSet<&str>)> = BTreeMap::new();
    let mut account_ids = BTreeSet::new();
    for delivery in deliveries(&PAYMENTS) {
        let event = event::read(delivery.body).unwrap();
        account_ids.insert(event.head.account_id.unwrap().as_str().to_owned());
        let payment_id = event
            .entities
            .iter()
            .find_map(|(_, entity)| match entity {
                Entity::Payment(payment) => Some(payment.id.as_str().to_owned()),
                _ => None,
            })
            .unwrap();
        let (names, ids_of_lifecycle) = lifecycles.entry(payment_id).or_default();
        let ids = ids(delivery.body);
        if names.is_empty() {
            *ids_of_lifecycle = ids;
        } else {
            assert_eq!(*ids_of_lifecycle, ids);
        }
        names.push(delivery.event_name);
    }
    assert_eq!(account_ids.len(), 1);
    let account_id = account_ids.pop_first().unwrap();

    let mut seen = HashSet::new();
    let mut whole = 0;
    for (names, ids) in lifecycles.values() {
        assert!(ids.len() > 3, "an account, a payment, an order, a customer");
        for id in ids.iter().filter(|id| **id != account_id) {
            assert!(seen.insert(*id), "{id} occurs in two lifecycles");
        }
        match names.as_slice() {
            ["payment.authorized", "payment.captured"] => whole += 1,
            ["payment.authorized"] => {}
            other => panic!("out of order: {other:?}"),
        }
    }
    assert!(whole > DELIVERIES / 2 - 256, "{whole}");
}

#[test]
fn an_accounts_id_is_the_same_with_and_without_its_prefix() {
    let mut accounts = 0;
    for delivery in deliveries(&REALISTIC) {
        if !delivery.event_name.starts_with("account.") {
            continue;
        }
        accounts += 1;
        let text = std::str::from_utf8(delivery.body).unwrap();
        let (_, after) = text.split_once(r#""account_id":"acc_"#).unwrap();
        let id = &after[..14];
        assert!(text.contains(&format!(r#""id":"{id}""#)), "{id}");
        // This has the length of an id and is none.
        assert!(text.contains("C1standardPlan"));
    }
    assert!(accounts > 0);
}

#[test]
fn the_realistic_mix_uses_every_lane_and_the_one_for_payments_only_two_events() {
    let table = LaneTable::new(&BTreeMap::new()).unwrap();
    let lanes: BTreeSet<_> = deliveries(&REALISTIC)
        .map(|delivery| table.lane_of(Some(delivery.event_name)))
        .collect();
    assert_eq!(lanes.len(), LANES);
    let names: BTreeSet<_> = deliveries(&PAYMENTS).map(|d| d.event_name).collect();
    let expected = BTreeSet::from(["payment.authorized", "payment.captured"]);
    assert_eq!(names, expected);
}

#[test]
fn the_same_seed_gives_the_same_corpus() {
    let again = prepare(Mix::Realistic, 1);
    assert!(deliveries(&REALISTIC).eq(deliveries(&again)));
}

#[test]
fn bodies_have_the_size_of_real_ones() {
    for corpus in [&*REALISTIC, &*PAYMENTS] {
        let mut lengths: Vec<_> = deliveries(corpus).map(|d| d.body.len()).collect();
        lengths.sort_unstable();
        let total = u32::try_from(lengths.iter().sum::<usize>()).unwrap();
        let mean = f64::from(total) / f64::from(u32::try_from(lengths.len()).unwrap());
        assert!((1_250.0..2_000.0).contains(&mean), "{mean}");
        // All but the rare downtimes and fund accounts are longer, all but the longest invoices shorter.
        let at = |percent: usize| lengths[lengths.len() * percent / 100];
        assert!(at(5) > 1_000 && at(99) < 3_100, "{} {}", at(5), at(99));
    }
}

#[test]
fn the_notes_of_a_shop_are_put_into_an_entity_once() {
    let mut noted = 0;
    for delivery in deliveries(&REALISTIC) {
        let text = std::str::from_utf8(delivery.body).unwrap();
        let places = text.matches(r#""notes":{"shop_order":"#).count();
        assert_eq!(text.matches(r#""shop_order":"#).count(), places);
        noted += usize::from(places > 0);
    }
    assert!(noted > DELIVERIES / 2, "{noted}");
}
