//! The law of merging, in the database: the same deliveries give the same tables in every order, with any
//! duplicates, in any batches, by concurrent workers.

use harkara_simulator::{Bodies, SimulatedEvent};
use harkara_storage::Pool;
use harkara_storage::commit::Outcome;
use harkara_storage::verification::HISTORY_TABLES;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::records::{NOW, all_claimed};
use crate::store::{Store, commit};

/// Merged tables by their keys. Their columns depend on the deliveries alone, except for the time of the last
/// write and the status that it found.
const MERGED: [(&str, &str); 5] = [
    ("payment_orders", "order_id"),
    ("payment_transactions", "payment_id"),
    ("payment_refunds", "refund_id"),
    ("payment_disputes", "dispute_id"),
    ("entity_snapshots", "entity_type, entity_id"),
];

/// Views by their keys.
const VIEWS: [(&str, &str); 4] = [
    ("downtimes", "downtime_id"),
    ("invoices", "invoice_id"),
    ("accounts", "account_id"),
    ("payment_links", "payment_link_id"),
];

async fn tables(store: &Store) -> Vec<Vec<String>> {
    let merged = MERGED.map(|(table, key)| {
        format!("SELECT to_jsonb(t) - 'updated_at' - 'status_before' AS row FROM {table} t ORDER BY {key}")
    });
    let others = HISTORY_TABLES
        .map(|table| (table, "1"))
        .into_iter()
        .chain(VIEWS);
    let others = others.map(|(table, key)| format!("SELECT * FROM {table} ORDER BY {key}"));
    let queries: Vec<String> = merged.into_iter().chain(others).collect();
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    store.all_rows(&queries).await
}

/// A run of deliveries.
#[derive(Clone, Debug)]
struct Run {
    seed: u64,
    /// Positions of the events in the order of delivery; each event at least once.
    order: Vec<usize>,
    /// For each committer, the most deliveries in each of its batches, in turn.
    batches: [Vec<usize>; 2],
}

/// Two of each lifecycle, so that entities share batches with others.
fn events(seed: u64) -> Vec<SimulatedEvent> {
    let mut bodies = Bodies::new(seed, NOW);
    let lifecycles = bodies.lifecycles().into_iter().chain(bodies.lifecycles());
    lifecycles.flat_map(|(_, lifecycle)| lifecycle).collect()
}

fn run() -> impl Strategy<Value = Run> {
    let count = events(0).len();
    let sizes = || prop::collection::vec(1..16usize, 1..6);
    (
        any::<u64>(),
        prop::collection::vec(any::<Index>(), 0..60),
        sizes(),
        sizes(),
    )
        .prop_flat_map(move |(seed, again, one, two)| {
            let all: Vec<usize> = (0..count)
                .chain(again.iter().map(|index| index.index(count)))
                .collect();
            let batches = [one, two];
            Just(all).prop_shuffle().prop_map(move |order| Run {
                seed,
                order,
                batches: batches.clone(),
            })
        })
}

/// Commits deliveries batch after batch.
async fn committer(pool: Pool, deliveries: Vec<SimulatedEvent>, sizes: Vec<usize>) -> Outcome {
    let mut total = Outcome::default();
    let (mut rest, mut sizes) = (deliveries.as_slice(), sizes.iter().cycle());
    while !rest.is_empty() {
        let (batch, others) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        rest = others;
        let outcome = commit(&pool, all_claimed(batch)).await.unwrap().outcome();
        total.processed += outcome.processed;
        total.duplicates += outcome.duplicates;
    }
    total
}

async fn check(run: &Run) -> Result<(), TestCaseError> {
    let events = events(run.seed);
    // Merged by core in one batch, into empty tables.
    let expected = Store::migrated().await;
    expected.deliver(&events).await;

    let store = Store::migrated().await;
    let (one, two) = run.order.split_at(run.order.len() / 2);
    let [one, two] = [(one, &run.batches[0]), (two, &run.batches[1])].map(|(order, sizes)| {
        let deliveries = order.iter().map(|&at| events[at].clone()).collect();
        tokio::spawn(committer(store.pool.clone(), deliveries, sizes.clone()))
    });
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    let duplicates = run.order.len() - events.len();
    prop_assert_eq!(one.processed + two.processed, events.len());
    prop_assert_eq!(one.duplicates + two.duplicates, duplicates);
    prop_assert_eq!(tables(&store).await, tables(&expected).await);
    let processed = store.count("webhook_events WHERE processed").await;
    prop_assert_eq!(usize::try_from(processed).unwrap(), events.len());
    let counted: i64 = store
        .value("SELECT sum(duplicates) FROM webhook_events")
        .await;
    prop_assert_eq!(usize::try_from(counted).unwrap(), duplicates);
    Ok(())
}

#[test]
fn any_order_with_any_duplicates_in_any_batches_by_two_committers_gives_the_same_tables() {
    // A case makes two databases and commits about a hundred deliveries.
    let config = Config {
        cases: 10,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    TestRunner::new(config)
        .run(&run(), |run| runtime.block_on(check(&run)))
        .unwrap();
}

/// Many committers on the same few entities: were locks taken in different orders, this would deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_committers_on_the_same_entities_do_not_deadlock() {
    let store = Store::migrated().await;
    let events: Vec<_> = (0..6).flat_map(events).collect();
    // Each goes through all of them, in steps that are prime to their number.
    let committers: Vec<_> = [1, 5, 11, 17]
        .iter()
        .enumerate()
        .map(|(turn, step)| {
            let order = (0..events.len())
                .map(|n| events[(n * step + turn * 40) % events.len()].clone())
                .collect();
            tokio::spawn(committer(store.pool.clone(), order, vec![25, 7, 40]))
        })
        .collect();
    let mut processed = 0;
    for committer in committers {
        processed += committer.await.unwrap().processed;
    }
    assert_eq!(processed, events.len());
}
