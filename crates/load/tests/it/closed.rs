use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::secret::Secret;
use harkara_load::{Broken, Closed, Corpus, LoadError, Mix, Target, closed};

use crate::server::{self, Reaction};

const LONG: Duration = Duration::from_mins(1);

pub(crate) fn corpus(deliveries: usize) -> Arc<Corpus> {
    let secret = Secret::new("a secret of ours");
    Arc::new(Corpus::prepare(
        Mix::Payments,
        deliveries,
        &secret,
        1,
        1_790_000_000,
    ))
}

fn over(connections: usize, duration: Duration) -> Closed {
    Closed {
        connections,
        duration,
    }
}

#[tokio::test]
async fn every_delivery_of_the_range_is_sent_once_and_the_range_ends_the_run() {
    let address = server::start(None, |_| Reaction::Answer(200)).await;
    let report = closed(
        &Target::new(address),
        &corpus(500),
        100..400,
        &over(4, LONG),
    )
    .await
    .unwrap();
    assert!(report.exhausted);
    assert_eq!((report.sent, report.failed), (300, 0));
    assert_eq!(report.statuses, BTreeMap::from([(200, 300)]));
    assert!(report.accepted.iter().eq(100..400));
    assert!(report.unknown.is_empty());
    assert_eq!(report.latency.len(), 300);
    assert_eq!(report.connections_opened, 4);
    assert!(report.elapsed > Duration::ZERO && report.elapsed < LONG);
}

#[tokio::test]
async fn the_time_ends_the_run_where_the_range_is_long() {
    // One request is answered and the next one keeps its connection until the stall is over.
    let stall = (Duration::ZERO, Duration::from_millis(300));
    let address = server::start(Some(stall), |_| Reaction::Answer(200)).await;
    let model = over(3, Duration::from_millis(100));
    let report = closed(&Target::new(address), &corpus(500), 0..500, &model)
        .await
        .unwrap();
    assert!(!report.exhausted);
    assert_eq!((report.sent, report.accepted.len()), (3, 3));
    assert!(report.elapsed > Duration::from_millis(150));
}

#[tokio::test]
async fn what_became_of_each_position_is_told_exactly() {
    // One connection, so the server sees the positions in their order.
    let address = server::start(None, |request| match request {
        0 => Reaction::HangUp,
        10 => Reaction::BreakOff,
        20 => Reaction::Babble,
        30 => Reaction::AnswerAndClose(202),
        40 => Reaction::Answer(503),
        50 => Reaction::AnswerAndClose(401),
        60..70 => Reaction::AnswerInChunks(200),
        _ => Reaction::Answer(200),
    })
    .await;
    let report = closed(&Target::new(address), &corpus(100), 0..100, &over(1, LONG))
        .await
        .unwrap();
    assert_eq!((report.sent, report.failed), (100, 3));
    assert!(report.unknown.iter().eq([0, 10, 20]));
    assert!(matches!(report.first_failure, Some(Broken::Closed)));
    let statuses = BTreeMap::from([(200, 94), (202, 1), (401, 1), (503, 1)]);
    assert_eq!(report.statuses, statuses);
    assert_eq!(report.accepted.len(), 95);
    for position in [0, 10, 20, 40, 50] {
        assert!(!report.accepted.contains(position), "{position}");
    }
    assert_eq!(report.connections_opened, 6);
}

#[tokio::test]
async fn a_load_that_cannot_begin_says_why() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let target = Target::new(address);
    let corpus = corpus(10);
    let begun = closed(&target, &corpus, 0..10, &over(1, LONG)).await;
    assert!(matches!(begun, Err(LoadError::Connect { .. })));
    let begun = closed(&target, &corpus, 0..11, &over(1, LONG)).await;
    assert!(matches!(begun, Err(LoadError::Range { end: 11, len: 10 })));
    let begun = closed(&target, &corpus, 0..10, &over(0, LONG)).await;
    assert!(matches!(begun, Err(LoadError::NoConnections)));
}
