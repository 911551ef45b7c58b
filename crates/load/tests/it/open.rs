use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harkara_load::{LoadError, Open, TICK_FINE, Target, open};

use crate::closed::corpus;
use crate::server::{self, Reaction};

const LONG: Duration = Duration::from_mins(1);

fn at(rate_per_s: f64, connections_max: usize, duration: Duration) -> Open {
    Open {
        rate_per_s,
        connections_max,
        tick: TICK_FINE,
        duration,
    }
}

fn ms(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000_000
}

#[tokio::test]
async fn a_range_is_sent_at_the_rate_and_then_ends_the_run() {
    let address = server::start(None, |_| Reaction::Answer(200)).await;
    let model = at(1_000.0, 16, LONG);
    let began = Instant::now();
    let report = open(&Target::new(address), &corpus(300), 50..250, &model)
        .await
        .unwrap();
    assert!(report.exhausted);
    assert_eq!((report.sent, report.failed, report.unsent), (200, 0, 0));
    assert!(report.accepted.iter().eq(50..250));
    assert_eq!(report.latency.len(), 200);
    // The last of 200 arrivals is due after 199 ms.
    assert!(began.elapsed() >= Duration::from_millis(199));
}

#[tokio::test]
async fn the_time_ends_the_run_after_as_many_arrivals_as_the_rate_gives() {
    let address = server::start(None, |_| Reaction::Answer(200)).await;
    let model = at(2_000.0, 64, Duration::from_millis(150));
    let report = open(&Target::new(address), &corpus(1_000), 0..1_000, &model)
        .await
        .unwrap();
    assert!(!report.exhausted);
    assert_eq!(report.sent + report.unsent, 300);
    assert_eq!(report.accepted.len(), report.sent);
}

#[tokio::test]
async fn a_stall_is_seen_by_every_delivery_that_was_due_in_it() {
    // Two connections are soon stuck, and what is due in the stall waits for them.
    let stall = (Duration::from_millis(100), Duration::from_millis(200));
    let address = server::start(Some(stall), |_| Reaction::Answer(200)).await;
    let model = at(1_000.0, 2, LONG);
    let report = open(&Target::new(address), &corpus(600), 0..600, &model)
        .await
        .unwrap();
    assert_eq!((report.sent, report.unsent), (600, 0));
    assert!(ms(report.latency.max()) >= 150, "{}", report.latency.max());
    // Those due in the first half of the stall waited for more than the other half.
    let slow = report.latency.count_between(90_000_000, u64::MAX);
    assert!(slow >= 80, "{slow}");
    assert!(report.waited >= 150, "{}", report.waited);
    assert!(report.started_late.len() + report.waited as u64 == 600);
}

#[tokio::test]
async fn what_a_stuck_target_never_got_is_counted() {
    let stall = (Duration::ZERO, Duration::from_millis(400));
    let address = server::start(Some(stall), |_| Reaction::Answer(200)).await;
    let model = at(1_000.0, 3, Duration::from_millis(100));
    let report = open(&Target::new(address), &corpus(600), 0..600, &model)
        .await
        .unwrap();
    assert_eq!((report.sent, report.unsent), (3, 97));
    assert_eq!(report.accepted.len(), 3);
}

#[tokio::test]
async fn a_connection_that_the_target_closed_while_it_was_free_costs_no_delivery() {
    let address = server::start(None, |_| Reaction::AnswerAndHangUp(200)).await;
    // So slow that the end of a connection is there before its next turn.
    let model = at(50.0, 1, LONG);
    let report = open(&Target::new(address), &corpus(10), 0..10, &model)
        .await
        .unwrap();
    assert_eq!((report.sent, report.failed), (10, 0));
    assert_eq!(report.connections_opened, 10);
}

#[tokio::test]
async fn broken_connections_leave_their_delivery_unknown_and_are_opened_again() {
    let address = server::start(None, |request| match request {
        5 => Reaction::HangUp,
        6 => Reaction::BreakOff,
        7 => Reaction::Answer(503),
        _ => Reaction::AnswerInChunks(200),
    })
    .await;
    // One connection, so the server sees the positions in their order.
    let report = open(
        &Target::new(address),
        &corpus(20),
        0..20,
        &at(500.0, 1, LONG),
    )
    .await
    .unwrap();
    assert_eq!((report.sent, report.failed), (20, 2));
    assert!(report.unknown.iter().eq([5, 6]));
    assert_eq!(report.statuses, BTreeMap::from([(200, 17), (503, 1)]));
    assert!(!report.accepted.contains(7));
    assert_eq!(report.connections_opened, 3);
}

#[tokio::test]
async fn a_rate_must_be_a_number_that_can_be_kept() {
    let address = server::start(None, |_| Reaction::Answer(200)).await;
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let model = at(rate, 1, LONG);
        let begun = open(&Target::new(address), &corpus(1), 0..1, &model).await;
        assert!(matches!(begun, Err(LoadError::Rate(_))), "{rate}");
    }
}
