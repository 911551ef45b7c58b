//! The backlog that the admin ports tell is what there is, whatever the workers are doing.

use std::net::SocketAddr;

use harkara_core::lane::Lane;
use harkara_storage::ledger::{EventStatus, ReplaySelection, replay};
use harkara_testkit::{ask_admin, wait_until};
use serde_json::Value;

use crate::pipeline::{BOUND, Pipeline};

/// Status and body of `/backlog`.
async fn backlog(admin: SocketAddr) -> (u16, Value) {
    let answer = ask_admin(admin, "/backlog").await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// Waits until a look has found so much in all, and gives the whole answer.
async fn until_backlog(admin: SocketAddr, wanted: u64) -> Value {
    let mut told = Value::Null;
    wait_until(&format!("the backlog is {wanted}"), BOUND, async || {
        let (status, body) = backlog(admin).await;
        told = body;
        status == 200 && told["total"]["backlog"] == wanted
    })
    .await;
    told
}

#[tokio::test]
async fn the_backlog_is_exact_while_workers_are_paused_with_pending_and_unread_entries() {
    let mut pipeline = Pipeline::start().await;
    pipeline.hold_commits().await;
    let ten_at_once = [
        ("worker.batch_entries_max", "10"),
        ("worker.batches_in_flight_max", "1"),
        ("worker.stop_deadline_ms", "300"),
    ];
    let worker = pipeline.worker(&ten_at_once).await;
    for (n_events, name) in [(45, "payment.captured"), (3, "invoice.paid")] {
        for _ in 0..n_events {
            let event = pipeline.bodies.event(name);
            pipeline.deliver(&event).await;
        }
    }
    // One batch waits for its commit and one was read ahead; the worker claims no more.
    for admin in [worker.admin, pipeline.admin] {
        let told = until_backlog(admin, 48).await;
        for (lane, n_entries) in [(Lane::Default, 45), (Lane::Normal, 3)] {
            let figures = &told["lanes"][lane.as_str()];
            let pending = pipeline.pending(lane).await;
            assert_eq!(figures["entries"], n_entries, "{told}");
            assert_eq!(figures["pending"], pending, "{told}");
            assert_eq!(figures["undelivered"], n_entries - pending, "{told}");
        }
        let default = &told["lanes"]["default"];
        assert!(default["undelivered"].as_u64() > Some(0), "{told}");
        assert!(default["pending"].as_u64() > Some(0), "{told}");
        assert!(told["total"]["oldest_age_s"].as_f64() > Some(0.0), "{told}");
    }

    // What it held is handed back: still pending, and still work.
    worker.stop().await;
    let told = until_backlog(pipeline.admin, 48).await;
    assert!(told["total"]["pending"].as_u64() > Some(0), "{told}");

    pipeline.release_commits().await;
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 48).await;
    pipeline.until_drained().await;
    let told = until_backlog(worker.admin, 0).await;
    assert_eq!(told["total"]["seconds_to_drain"], 0.0, "{told}");
    assert_eq!(told["total"]["oldest_age_s"], Value::Null, "{told}");
    worker.stop().await;
}

#[tokio::test]
async fn rows_that_are_due_are_in_the_backlog_and_without_postgresql_it_is_not_known() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    for _ in 0..3 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    pipeline.until_events("processed", 3).await;
    pipeline.until_drained().await;
    worker.stop().await;
    let all = ReplaySelection {
        status: Some(EventStatus::Processed),
        ..ReplaySelection::default()
    };
    let replayed = replay(&pipeline.database.pool(), &all, "operator:test").await;
    assert_eq!(replayed.unwrap(), 3);
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    let told = until_backlog(pipeline.admin, 4).await;
    assert_eq!(told["lanes"]["default"]["ledger_due"], 3, "{told}");
    assert_eq!(told["total"]["entries"], 1, "{told}");

    pipeline.database.shut().await;
    wait_until("the ledger cannot be asked", BOUND, async || {
        backlog(pipeline.admin).await.0 == 503
    })
    .await;
    let (_, told) = backlog(pipeline.admin).await;
    assert!(told["faults"]["postgres"].is_string(), "{told}");
    assert_eq!(told["total"]["entries"], 1, "{told}");
    assert_eq!(told["total"]["backlog"], Value::Null, "{told}");
}
