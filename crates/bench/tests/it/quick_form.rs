//! The quick form of every part that needs nothing but the product.

use std::process::Stdio;
use std::time::Duration;

use harkara_testkit::{TestDatabase, redis_database};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::binaries;

/// A run that takes longer hangs; builds for tests are slow, and so is a machine that runs many.
const BOUND: Duration = Duration::from_mins(3);

/// Runs a part on servers that others use too; returns its report.
async fn report_of(part: &str) -> Value {
    let database = TestDatabase::empty().await;
    let json =
        std::env::temp_dir().join(format!("harkara-bench-{}-{part}.json", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-bench"));
    command
        .args([part, "--quick", "--shared-servers", "--json"])
        .arg(&json)
        .env_clear()
        .env("HARKARA_BENCH_REDIS_URL", redis_database().await)
        .env("HARKARA_BENCH_POSTGRES_URL", &database.url)
        .env("HARKARA_BENCH_BINARIES", binaries::folder())
        .stdin(Stdio::null())
        .kill_on_drop(true);
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

#[tokio::test]
async fn quick_form_runs_and_its_audit_is_clean() {
    let ingress = report_of("ingress").await;
    assert_eq!(
        variants(&ingress),
        [
            "no-op server",
            "verify-only server",
            "ingress, everysec",
            "pipelined XADD, everysec",
            "500/s",
            "500/s, no-op server"
        ]
    );

    let worker = report_of("worker").await;
    let variants_of_worker = variants(&worker);
    assert!(variants_of_worker.contains(&"1 worker × 2 committers"));
    for row in worker["rows"].as_array().unwrap() {
        let by_a_worker = row["variant"].as_str().unwrap().contains("worker");
        let p99 = &row["median"]["latency"]["p99_ms"];
        assert_eq!(p99.is_f64(), by_a_worker, "the time of batches: {row}");
    }
    let audits = worker["audits"].as_array().unwrap();
    assert_eq!(audits.len(), 5, "one for each way of draining");
    for audit in audits {
        assert_eq!(audit["accepted"], audit["stored"], "{audit}");
        assert_eq!(audit["faults"], Value::Array(Vec::new()), "{audit}");
    }

    let footprint = report_of("footprint").await;
    let idle = &footprint["rows"][0]["median"];
    assert!(idle["cpu_us_per_event"]["worker"].is_f64(), "{idle}");
    assert!(idle["others"]["ingress_start_ms"].as_f64().unwrap() > 0.0);

    let road = report_of("e2e").await;
    assert_eq!(variants(&road), ["500/s"]);
    assert!(road["audits"][0]["stored"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_start_without_servers_says_how_to_get_them() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-bench"));
    command
        .arg("ingress")
        .env_clear()
        .env("HARKARA_BENCH_BINARIES", binaries::folder());
    let output = timeout(BOUND, command.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cargo dev bench"), "{told}");
}

#[tokio::test]
async fn every_operation_whose_instructions_are_counted_runs() {
    for operation in ["verify", "encode", "decode", "fold"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-bench"));
        command.args(["operate", operation, "1000"]).env_clear();
        let output = timeout(BOUND, command.output()).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{operation}: {told}");
    }
}
