//! The backlog that the admin ports report is exact, whatever the workers are doing.

use std::net::SocketAddr;

use harkara_core::lane::Lane;
use harkara_testkit::ask_admin;
use serde_json::Value;

use crate::pipeline::{Pipeline, until};

/// Status and body of `/backlog`.
async fn backlog(admin: SocketAddr) -> (u16, Value) {
    let answer = ask_admin(admin, "/backlog").await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// Waits until a sample has this total, and returns the whole answer.
async fn until_backlog(admin: SocketAddr, total: u64) -> Value {
    let mut answer = Value::Null;
    until(&format!("the backlog is {total}"), async || {
        let (status, body) = backlog(admin).await;
        answer = body;
        status == 200 && answer["total"]["backlog"] == total
    })
    .await;
    answer
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
    pipeline.deliver_payments(45).await;
    pipeline.deliver_new("invoice.paid", 3).await;
    // One batch waits for its commit and one was read ahead; the worker claims no more.
    for admin in [worker.admin, pipeline.admin] {
        let answer = until_backlog(admin, 48).await;
        for (lane, n_entries) in [(Lane::Default, 45), (Lane::Normal, 3)] {
            let figures = &answer["lanes"][lane.as_str()];
            let pending = pipeline.pending(lane).await;
            assert_eq!(figures["entries"], n_entries, "{answer}");
            assert_eq!(figures["pending"], pending, "{answer}");
            assert_eq!(figures["undelivered"], n_entries - pending, "{answer}");
        }
        let default = &answer["lanes"]["default"];
        assert!(default["undelivered"].as_u64() > Some(0), "{answer}");
        assert!(default["pending"].as_u64() > Some(0), "{answer}");
        let age = &answer["total"]["oldest_age_s"];
        assert!(age.as_f64() > Some(0.0), "{answer}");
    }

    // The worker hands its entries back: they are still pending.
    worker.stop().await;
    let answer = until_backlog(pipeline.admin, 48).await;
    assert!(answer["total"]["pending"].as_u64() > Some(0), "{answer}");

    pipeline.unlock().await;
    let worker = pipeline.worker(&[]).await;
    pipeline.until_processed(48).await;
    let answer = until_backlog(worker.admin, 0).await;
    assert_eq!(answer["total"]["seconds_to_drain"], 0.0, "{answer}");
    assert_eq!(answer["total"]["oldest_age_s"], Value::Null, "{answer}");
    worker.stop().await;
}

#[tokio::test]
async fn due_rows_are_in_the_backlog_and_without_postgresql_it_is_unknown() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    pipeline.deliver_payments(3).await;
    pipeline.until_processed(3).await;
    worker.stop().await;
    assert_eq!(pipeline.replay_all().await, 3);
    pipeline.deliver_payments(1).await;
    let answer = until_backlog(pipeline.admin, 4).await;
    assert_eq!(answer["lanes"]["default"]["ledger_due"], 3, "{answer}");
    assert_eq!(answer["total"]["entries"], 1, "{answer}");

    pipeline.database.shut().await;
    until("the ledger is unavailable", async || {
        backlog(pipeline.admin).await.0 == 503
    })
    .await;
    let (_, answer) = backlog(pipeline.admin).await;
    assert!(answer["faults"]["postgres"].is_string(), "{answer}");
    assert_eq!(answer["total"]["entries"], 1, "{answer}");
    assert_eq!(answer["total"]["backlog"], Value::Null, "{answer}");
}
