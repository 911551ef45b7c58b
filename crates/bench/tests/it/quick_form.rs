//! The quick form of every part that needs nothing but the product.

use std::process::Stdio;
use std::time::Duration;

use harkara_testkit::{TestDatabase, binaries_beside, redis_database};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// A run that takes longer hangs; builds for tests are slow, and so is a machine that runs many.
const BOUND: Duration = Duration::from_mins(3);

/// A part on servers that others use too.
async fn quick(part: &str, database: &TestDatabase) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-bench"));
    command
        .args([part, "--quick", "--shared-servers"])
        .env_clear()
        .env("HARKARA_BENCH_REDIS_URL", redis_database().await)
        .env("HARKARA_BENCH_POSTGRES_URL", &database.url)
        .env(
            "HARKARA_BINARIES",
            binaries_beside(env!("CARGO_BIN_EXE_harkara-bench")),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a part; returns its report.
async fn report_of(part: &str) -> Value {
    let database = TestDatabase::empty().await;
    let json =
        std::env::temp_dir().join(format!("harkara-bench-{}-{part}.json", std::process::id()));
    let mut command = quick(part, &database).await;
    command.arg("--json").arg(&json);
    let output = timeout(BOUND, command.output())
        .await
        .expect("the benchmark ends in time")
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{printed}");
    let report = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    std::fs::remove_file(&json).unwrap();
    report
}

fn variants(report: &Value) -> Vec<&str> {
    let rows = report["rows"].as_array().unwrap();
    let mut variants = Vec::new();
    for row in rows {
        assert!(row["median"]["rate_per_s"].as_f64().unwrap() > 0.0, "{row}");
        variants.push(row["variant"].as_str().unwrap());
    }
    variants
}

/// What the goals without a figure are about.
fn not_measured(report: &Value) -> Vec<&str> {
    let goals = report["goals"].as_array().unwrap();
    let without = goals.iter().filter(|goal| goal["figure"].is_null());
    without.map(|goal| goal["what"].as_str().unwrap()).collect()
}

fn assert_audits_are_clean(report: &Value, runs: usize) {
    let audits = report["audits"].as_array().unwrap();
    assert_eq!(audits.len(), runs, "{audits:?}");
    for audit in audits {
        assert!(audit["stored"].as_u64().unwrap() > 0, "{audit}");
        assert_eq!(audit["accepted"], audit["stored"], "{audit}");
        assert_eq!(audit["faults"], Value::Array(Vec::new()), "{audit}");
    }
}

#[tokio::test]
async fn quick_form_of_the_ingress_accepts_what_is_in_the_streams() {
    let report = report_of("ingress").await;
    assert_eq!(
        variants(&report),
        [
            "no-op server",
            "verify-only server",
            "ingress, everysec",
            "pipelined XADD, everysec",
            "500/s",
            "500/s, no-op server"
        ]
    );
    assert_audits_are_clean(&report, 2);
    // Of shared servers no setting is changed, and the quick form is at another rate.
    assert_eq!(
        not_measured(&report),
        [
            "ingress, always: rate / verify-only server's",
            "ingress at 10,000/s, everysec: p50 ms",
            "ingress at 10,000/s, everysec: p99 ms",
            "ingress CPU per webhook at the fastest rate / at 5,000/s"
        ]
    );
}

#[tokio::test]
async fn quick_form_of_the_worker_commits_every_backlog() {
    let report = report_of("worker").await;
    let variants = variants(&report);
    assert!(variants.contains(&"1 worker × 2 committers"));
    for row in report["rows"].as_array().unwrap() {
        let by_a_worker = row["variant"].as_str().unwrap().contains("worker");
        let p99 = &row["median"]["latency"]["p99_ms"];
        assert_eq!(p99.is_f64(), by_a_worker, "the time of batches: {row}");
    }
    // One for each way of draining.
    assert_audits_are_clean(&report, 5);
    assert!(not_measured(&report).is_empty(), "{report}");
}

#[tokio::test]
async fn quick_form_of_the_footprint_tells_starts_and_idle_cpu_time() {
    let report = report_of("footprint").await;
    let others = &report["rows"][0]["median"]["others"];
    assert!(others["idle_worker_cpu_ms_per_s"].is_f64(), "{others}");
    assert!(others["ingress_start_ms"].as_f64().unwrap() > 0.0);
    assert!(not_measured(&report).is_empty(), "{report}");
}

#[tokio::test]
async fn quick_form_of_the_whole_road_tells_the_latency_of_commits() {
    let report = report_of("e2e").await;
    assert_eq!(variants(&report), ["500/s"]);
    assert_audits_are_clean(&report, 1);
    let median = &report["rows"][0]["median"];
    assert!(median["latency"]["p99_ms"].as_f64().unwrap() > 0.0);
    // All goals are about another rate.
    assert_eq!(not_measured(&report).len(), 3, "{report}");
}

#[tokio::test]
async fn a_filter_that_leaves_no_variant_is_an_error_that_names_them() {
    let mut command = quick("footprint", &TestDatabase::empty().await).await;
    command.args(["--filter", "no such variant"]);
    let output = timeout(BOUND, command.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("names are: ingress and worker, idle"),
        "{told}"
    );
}

#[tokio::test]
async fn a_start_without_servers_says_how_to_get_them() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-bench"));
    command.arg("ingress").env_clear().env(
        "HARKARA_BINARIES",
        binaries_beside(env!("CARGO_BIN_EXE_harkara-bench")),
    );
    let output = timeout(BOUND, command.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cargo dev bench"), "{told}");
}

#[tokio::test]
async fn every_operation_whose_instructions_are_counted_runs() {
    for operation in ["verify", "encode", "decode", "fold"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-bench"));
        command.args(["operate", operation, "1200"]).env_clear();
        let output = timeout(BOUND, command.output()).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{operation}: {told}");
    }
}
