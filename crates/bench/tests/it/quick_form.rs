//! The quick form of every part that needs nothing but the product.

use std::process::{Output, Stdio};
use std::time::Duration;

use harkara_testkit::{Folder, TestDatabase, binaries_beside, redis_database};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// The benchmark.
const BENCH: &str = env!("CARGO_BIN_EXE_harkara-bench");

/// A run that takes longer hangs; builds for tests are slow, and so is a machine that runs many.
const BOUND: Duration = Duration::from_mins(3);

/// Runs the benchmark with these variables alone.
async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BENCH);
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(BOUND, command.output()).await;
    output.expect("the benchmark ends in time").unwrap()
}

/// Runs a part on servers that others use too.
async fn run_quick(part: &str, arguments: &[&str]) -> Output {
    let (database, redis_url) = (TestDatabase::empty().await, redis_database().await);
    let binaries = binaries_beside(BENCH).display().to_string();
    let variables = [
        ("HARKARA_BINARIES", binaries.as_str()),
        ("HARKARA_BENCH_REDIS_URL", &redis_url),
        ("HARKARA_BENCH_POSTGRES_URL", &database.url),
    ];
    let quick = [part, "--quick", "--shared-servers"];
    run(&[&quick, arguments].concat(), &variables).await
}

/// Runs a part; returns its report.
async fn report_of(part: &str) -> Value {
    let folder = Folder::new();
    let json = folder.file("report.json");
    let output = run_quick(part, &["--json", &json]).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap()
}

/// The error of a run that fails.
fn error(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
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

/// The names of the goals without a figure.
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
    // No setting of shared servers is changed, and the quick form is at another rate.
    assert_eq!(
        not_measured(&report),
        [
            "ingress, always: rate / verify-only server's",
            "ingress at 10,000/s, everysec: p50 ms",
            "ingress at 10,000/s, everysec: p99 ms",
            "ingress CPU per webhook at the fastest rate / at 5,000/s"
        ]
    );
    // A stream, a group and keys take some memory besides the bodies of 1.56 kB.
    for row in report["rows"].as_array().unwrap() {
        let bytes = row["median"]["redis_bytes_per_event"].as_f64();
        assert!(
            bytes.is_none_or(|bytes| (1_000.0..4_000.0).contains(&bytes)),
            "{row}"
        );
    }
}

#[tokio::test]
async fn quick_form_of_the_worker_commits_every_backlog() {
    let report = report_of("worker").await;
    assert!(variants(&report).contains(&"1 worker × 2 committers"));
    for row in report["rows"].as_array().unwrap() {
        let by_a_worker = row["variant"].as_str().unwrap().contains("worker");
        let p99 = &row["median"]["latency"]["p99_ms"];
        assert_eq!(p99.is_f64(), by_a_worker, "the time of batches: {row}");
    }
    // One for each set of workers.
    assert_audits_are_clean(&report, 5);
    assert!(not_measured(&report).is_empty(), "{report}");
}

#[tokio::test]
async fn quick_form_of_the_footprint_reports_starts_and_idle_cpu_time() {
    let report = report_of("footprint").await;
    let others = &report["rows"][0]["median"]["others"];
    assert!(others["idle_worker_cpu_ms_per_s"].is_f64(), "{others}");
    assert!(others["ingress_start_ms"].as_f64().unwrap() > 0.0);
    assert!(not_measured(&report).is_empty(), "{report}");
}

#[tokio::test]
async fn quick_form_from_end_to_end_reports_the_latency_of_commits() {
    let report = report_of("e2e").await;
    assert_eq!(variants(&report), ["500/s"]);
    assert_audits_are_clean(&report, 1);
    let median = &report["rows"][0]["median"];
    assert!(median["latency"]["p99_ms"].as_f64().unwrap() > 0.0);
    // All goals are about another rate.
    assert_eq!(not_measured(&report).len(), 3, "{report}");
}

#[tokio::test]
async fn quick_form_of_the_operators_runs_every_command_in_steps() {
    let report = report_of("operators").await;
    assert_eq!(variants(&report).len(), 12);
    for row in report["rows"].as_array().unwrap() {
        let others = &row["median"]["others"];
        assert!(others["steps"].as_f64().unwrap() >= 1.0, "{row}");
        assert!(others["longest_step_ms"].as_f64() <= others["command_ms"].as_f64());
    }
    assert!(not_measured(&report).is_empty(), "{report}");
}

#[tokio::test]
async fn a_filter_that_leaves_no_variant_is_an_error_that_names_them() {
    let error = error(run_quick("footprint", &["--filter", "no such variant"]).await);
    assert!(
        error.contains("names are: ingress and worker, idle"),
        "{error}"
    );
}

#[tokio::test]
async fn a_start_without_servers_says_how_to_get_them() {
    let error = error(run(&["ingress"], &[]).await);
    assert!(error.contains("cargo dev bench"), "{error}");
}

#[tokio::test]
async fn every_operation_whose_instructions_are_counted_runs() {
    for operation in ["verify", "encode", "decode", "fold"] {
        let output = run(&["operate", operation, "1200"], &[]).await;
        assert!(output.status.success(), "{operation}: {output:?}");
    }
}
