//! The law of merging, in the database: the same deliveries give the same tables in every order, with any
//! duplicates, in any batches, by concurrent workers.

use futures_util::future::join_all;
use harkara_simulator::{Bodies, SimulatedEvent};
use harkara_storage::commit::Outcome;
use harkara_storage::verification::HISTORY_TABLES;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::records::NOW;
use crate::store::{Store, total};

/// The merged tables, and the views of the latest state.
const TABLES: [&str; 9] = [
    "payment_orders",
    "payment_transactions",
    "payment_refunds",
    "payment_disputes",
    "entity_snapshots",
    "downtimes",
    "invoices",
    "accounts",
    "payment_links",
];

/// The contents of all tables. They depend on the deliveries alone, except for the time of the last write and
/// the status that it found.
async fn contents(store: &Store) -> Vec<Vec<String>> {
    let tables = TABLES.into_iter().chain(HISTORY_TABLES);
    join_all(tables.map(async |table| {
        let row = "to_jsonb(t) - 'updated_at' - 'status_before' AS row";
        store
            .rows(&format!("SELECT {row} FROM {table} t ORDER BY 1"))
            .await
    }))
    .await
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
async fn committer(
    store: &Store,
    deliveries: Vec<&SimulatedEvent>,
    sizes: &[usize],
) -> Vec<Outcome> {
    let (mut outcomes, mut rest) = (Vec::new(), deliveries.into_iter().peekable());
    for size in sizes.iter().cycle() {
        if rest.peek().is_none() {
            break;
        }
        outcomes.push(store.deliver(rest.by_ref().take(*size)).await);
    }
    outcomes
}

async fn check(run: &Run) -> Result<(), TestCaseError> {
    let events = events(run.seed);
    // Merged by core in one batch, into empty tables.
    let expected = Store::migrated().await;
    expected.deliver(&events).await;

    let store = Store::migrated().await;
    let (one, two) = run.order.split_at(run.order.len() / 2);
    let halves = [one, two].into_iter().zip(&run.batches);
    let committers = halves.map(|(order, sizes)| {
        let deliveries = order.iter().map(|&at| &events[at]).collect();
        committer(&store, deliveries, sizes)
    });
    let outcomes = join_all(committers).await.concat();
    let duplicates = run.order.len() - events.len();
    prop_assert_eq!(total(&outcomes), (events.len(), duplicates));
    prop_assert_eq!(contents(&store).await, contents(&expected).await);
    prop_assert_eq!(store.ledger("processed").await, vec!["t"; events.len()]);
    prop_assert_eq!(store.duplicates().await, duplicates);
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
    let committers = [1, 5, 11, 17].iter().enumerate().map(|(turn, step)| {
        let at = |n| (n * step + turn * 40) % events.len();
        let order = (0..events.len()).map(|n| &events[at(n)]).collect();
        committer(&store, order, &[25, 7, 40])
    });
    let outcomes = join_all(committers).await.concat();
    assert_eq!(total(&outcomes).0, events.len());
}
