use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use harkara_load::{LoadError, LoadReport, LoadTarget, Open, TICK_FINE, open};

use crate::server::{self, Reaction};
use crate::{LONG, payments};

/// Runs at a rate until the time is over or the range is used up; the corpus has 1,000 deliveries.
async fn run(
    address: SocketAddr,
    range: Range<usize>,
    rate_per_s: f64,
    connections_max: usize,
    duration: Duration,
) -> Result<LoadReport, LoadError> {
    let model = Open {
        rate_per_s,
        connections_max,
        tick: TICK_FINE,
        duration,
    };
    open(&LoadTarget::new(address), &payments(1_000), range, &model).await
}

#[tokio::test]
async fn a_range_is_sent_at_the_rate_and_then_ends_the_run() {
    let address = server::answering(200).await;
    let began = Instant::now();
    let report = run(address, 50..250, 1_000.0, 16, LONG).await.unwrap();
    assert!(report.exhausted);
    assert_eq!((report.sent, report.failed, report.unsent), (200, 0, 0));
    assert!(report.accepted.ones().eq(50..250));
    assert_eq!(report.latency.len(), 200);
    // The last of 200 arrivals is due after 199 ms.
    assert!(began.elapsed() >= Duration::from_millis(199));
}

#[tokio::test]
async fn the_time_ends_the_run_after_as_many_arrivals_as_the_rate_gives() {
    let address = server::answering(200).await;
    let duration = Duration::from_millis(150);
    let report = run(address, 0..1_000, 2_000.0, 64, duration).await.unwrap();
    assert!(!report.exhausted);
    assert_eq!(report.sent + report.unsent, 300);
    assert_eq!(report.accepted.count_ones(..), report.sent);
}

#[tokio::test]
async fn a_stall_is_seen_by_every_delivery_that_was_due_in_it() {
    // Two connections are soon stuck, and deliveries due in the stall wait for them.
    let address = server::stalling(100, 200).await;
    let report = run(address, 0..600, 1_000.0, 2, LONG).await.unwrap();
    assert_eq!((report.sent, report.unsent), (600, 0));
    let slowest_ms = report.latency.max() / 1_000_000;
    assert!(slowest_ms >= 150, "{slowest_ms}");
    // Those due in the first half of the stall waited for more than the other half.
    let slow = report.latency.count_between(90_000_000, u64::MAX);
    assert!(slow >= 80, "{slow}");
    assert!(report.waited >= 150, "{}", report.waited);
    assert!(report.started_late.len() + report.waited as u64 == 600);
}

#[tokio::test]
async fn deliveries_that_a_stuck_target_never_got_are_counted() {
    let address = server::stalling(0, 400).await;
    let duration = Duration::from_millis(100);
    let report = run(address, 0..600, 1_000.0, 3, duration).await.unwrap();
    assert_eq!((report.sent, report.unsent), (3, 97));
    assert_eq!(report.accepted.count_ones(..), 3);
}

#[tokio::test]
async fn a_connection_that_the_target_closed_while_it_was_free_costs_no_delivery() {
    let address = server::reacting(|_| Reaction::AnswerAndHangUp(200)).await;
    // So slow that a connection has ended before its next turn.
    let report = run(address, 0..10, 50.0, 1, LONG).await.unwrap();
    assert_eq!((report.sent, report.failed), (10, 0));
    assert_eq!(report.connections_opened, 10);
}

#[tokio::test]
async fn broken_connections_leave_their_delivery_unknown_and_are_opened_again() {
    let address = server::reacting(|request| match request {
        5 => Reaction::HangUp,
        6 => Reaction::BreakOff,
        7 => Reaction::Answer(503),
        _ => Reaction::AnswerInChunks(200),
    })
    .await;
    // One connection, so the server sees the positions in their order.
    let report = run(address, 0..20, 500.0, 1, LONG).await.unwrap();
    assert_eq!((report.sent, report.failed), (20, 2));
    assert!(report.unknown.ones().eq([5, 6]));
    assert_eq!(report.statuses, BTreeMap::from([(200, 17), (503, 1)]));
    assert!(!report.accepted.contains(7));
    assert_eq!(report.connections_opened, 3);
}

#[tokio::test]
async fn a_rate_must_be_a_number_that_can_be_kept() {
    let address = server::answering(200).await;
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let begun = run(address, 0..1, rate, 1, LONG).await;
        assert!(matches!(begun, Err(LoadError::Rate(_))), "{rate}");
    }
}
