use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use harkara_load::{Broken, Closed, LoadError, LoadReport, LoadTarget, closed};

use crate::server::{self, Reaction};
use crate::{LONG, payments};

/// Runs over connections until the time is over or the range is used up; the corpus has 500 deliveries.
async fn run(
    address: SocketAddr,
    range: Range<usize>,
    connections: usize,
    duration: Duration,
) -> Result<LoadReport, LoadError> {
    let model = Closed {
        connections,
        duration,
    };
    closed(&LoadTarget::new(address), &payments(500), range, &model).await
}

#[tokio::test]
async fn every_delivery_of_the_range_is_sent_once_and_the_range_ends_the_run() {
    let address = server::answering(200).await;
    let report = run(address, 100..400, 4, LONG).await.unwrap();
    assert!(report.exhausted);
    assert_eq!((report.sent, report.failed), (300, 0));
    assert_eq!(report.statuses, BTreeMap::from([(200, 300)]));
    assert!(report.accepted.ones().eq(100..400));
    assert!(report.unknown.is_clear());
    assert_eq!(report.latency.len(), 300);
    assert_eq!(report.connections_opened, 4);
    assert!(report.elapsed > Duration::ZERO && report.elapsed < LONG);
}

#[tokio::test]
async fn the_time_ends_the_run_if_the_range_is_long() {
    // One request is answered and the next one keeps its connection until the stall is over.
    let address = server::stalling(0, 300).await;
    let report = run(address, 0..500, 3, Duration::from_millis(100))
        .await
        .unwrap();
    assert!(!report.exhausted);
    assert_eq!((report.sent, report.accepted.count_ones(..)), (3, 3));
    assert!(report.elapsed > Duration::from_millis(150));
}

#[tokio::test]
async fn the_outcome_of_each_position_is_reported() {
    // One connection, so the server sees the positions in their order.
    let address = server::reacting(|request| match request {
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
    let report = run(address, 0..100, 1, LONG).await.unwrap();
    assert_eq!((report.sent, report.failed), (100, 3));
    assert!(report.unknown.ones().eq([0, 10, 20]));
    assert!(matches!(report.first_failure, Some(Broken::Closed)));
    let statuses = BTreeMap::from([(200, 94), (202, 1), (401, 1), (503, 1)]);
    assert_eq!(report.statuses, statuses);
    let not_accepted = (0..100).filter(|position| !report.accepted.contains(*position));
    assert!(not_accepted.eq([0, 10, 20, 40, 50]));
    assert_eq!(report.connections_opened, 6);
}

#[tokio::test]
async fn a_load_that_cannot_begin_says_why() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let begun = run(address, 0..10, 1, LONG).await;
    assert!(matches!(begun, Err(LoadError::Connect { .. })));
    let begun = run(address, 0..501, 1, LONG).await;
    assert!(matches!(
        begun,
        Err(LoadError::Range { end: 501, len: 500 })
    ));
    let begun = run(address, 0..10, 0, LONG).await;
    assert!(matches!(begun, Err(LoadError::NoConnections)));
}
