//! The law of merging, in the database: the same deliveries give the same tables in every order, with
//! every repetition, cut into any batches, by workers that commit at once.

use harkara_simulator::{Bodies, SimulatedEvent};
use harkara_storage::Pool;
use harkara_storage::commit::Outcome;
use harkara_testkit::TestDatabase;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::records::{NOW, all_claimed, commit};

/// Tables whose rows the deliveries alone decide. What is left out tells of the way there: when a row
/// was written last, and the status that this write found.
const TABLES: &[&str] = &[
    "SELECT to_jsonb(t) - 'updated_at' - 'status_before' AS row FROM payment_orders t ORDER BY order_id",
    "SELECT to_jsonb(t) - 'updated_at' - 'status_before' AS row FROM payment_transactions t ORDER BY payment_id",
    "SELECT to_jsonb(t) - 'updated_at' - 'status_before' AS row FROM payment_refunds t ORDER BY refund_id",
    "SELECT to_jsonb(t) - 'updated_at' - 'status_before' AS row FROM payment_disputes t ORDER BY dispute_id",
    "SELECT to_jsonb(t) - 'updated_at' - 'status_before' AS row FROM entity_snapshots t ORDER BY entity_type, entity_id",
    "SELECT * FROM downtime_events ORDER BY 1",
    "SELECT * FROM invoice_events ORDER BY 1",
    "SELECT * FROM fund_account_events ORDER BY 1",
    "SELECT * FROM account_events ORDER BY 1",
    "SELECT * FROM payment_link_events ORDER BY 1",
    "SELECT * FROM order_notifications ORDER BY 1",
    "SELECT * FROM downtimes ORDER BY downtime_id",
    "SELECT * FROM invoices ORDER BY invoice_id",
    "SELECT * FROM accounts ORDER BY account_id",
    "SELECT * FROM payment_links ORDER BY payment_link_id",
];

async fn tables(db: &TestDatabase) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for query in TABLES {
        found.push(db.rows(query).await);
    }
    found
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

/// Two of each lifecycle, so that their entities stand in one batch with others.
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
    // Folded by core in one batch, onto nothing.
    let expected = TestDatabase::migrated().await;
    let _committed = commit(&expected.pool(), all_claimed(&events))
        .await
        .unwrap();

    let db = TestDatabase::migrated().await;
    let (one, two) = run.order.split_at(run.order.len() / 2);
    let [one, two] = [(one, &run.batches[0]), (two, &run.batches[1])].map(|(order, sizes)| {
        let deliveries = order.iter().map(|&at| events[at].clone()).collect();
        tokio::spawn(committer(db.pool(), deliveries, sizes.clone()))
    });
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    prop_assert_eq!(one.processed + two.processed, events.len());
    prop_assert_eq!(
        one.duplicates + two.duplicates,
        run.order.len() - events.len()
    );
    prop_assert_eq!(tables(&db).await, tables(&expected).await);
    let ledger: i64 = db
        .value("SELECT count(*) FROM webhook_events WHERE processed")
        .await;
    prop_assert_eq!(usize::try_from(ledger).unwrap(), events.len());
    let duplicates: i64 = db.value("SELECT sum(duplicates) FROM webhook_events").await;
    prop_assert_eq!(
        usize::try_from(duplicates).unwrap(),
        run.order.len() - events.len()
    );
    Ok(())
}

#[test]
fn any_order_with_any_repetition_in_any_batches_by_two_committers_gives_the_same_tables() {
    // A case makes two databases and commits about a hundred deliveries.
    let config = Config {
        cases: 10,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    TestRunner::new(config)
        .run(&run(), |run| runtime.block_on(check(&run)))
        .unwrap();
}

/// Many committers on the same few entities: were locks taken in different orders, this would deadlock.
#[test]
fn many_committers_on_the_same_entities_do_not_lock_each_other_out() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        const COMMITTERS: usize = 4;
        let db = TestDatabase::migrated().await;
        let pool = db.pool();
        let events: Vec<_> = (0..6).flat_map(events).collect();
        let committers: Vec<_> = (0..COMMITTERS)
            .map(|turn| {
                // Each goes through all of them, in steps that are prime to their number.
                let step = [1, 5, 11, 17][turn];
                let order = (0..events.len())
                    .map(|n| events[(n * step + turn * 40) % events.len()].clone())
                    .collect();
                tokio::spawn(committer(pool.clone(), order, vec![25, 7, 40]))
            })
            .collect();
        let mut processed = 0;
        for committer in committers {
            processed += committer.await.unwrap().processed;
        }
        assert_eq!(processed, events.len());
    });
}
