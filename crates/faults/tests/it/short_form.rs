//! One test for each fault: nothing is lost, nothing takes effect twice, and every answer is as promised.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use harkara_testkit::binaries_beside;

const SUITE: &str = env!("CARGO_BIN_EXE_harkara-faults");

fn binaries() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| binaries_beside(SUITE))
}

fn assert_kept(fault: &str) {
    let output = Command::new(SUITE)
        .args(["--short", fault])
        .env("HARKARA_BINARIES", binaries())
        .output()
        .unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}\n{table}");
    assert!(table.contains(&format!("| {fault} |")), "{table}");
}

macro_rules! faults {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                assert_kept($name);
            }
        )*

        const TESTED: &[&str] = &[$($name,)*];
    };
}

faults! {
    redis_may_be_killed: "redis-killed",
    redis_may_fail_over: "redis-fails-over",
    redis_may_lose_its_data: "redis-loses-its-data",
    redis_may_be_cut_off: "redis-cut-off",
    redis_may_fall_silent: "redis-black-holed",
    redis_may_be_slow: "redis-slow",
    postgres_may_be_killed: "postgres-killed",
    postgres_may_be_restarted: "postgres-restarted",
    postgres_may_turn_read_only: "postgres-read-only",
    one_table_may_be_locked: "one-table-locked",
    postgres_may_be_cut_off: "postgres-cut-off",
    postgres_may_fall_silent: "postgres-black-holed",
    postgres_may_be_slow: "postgres-slow",
    both_stores_may_fall_silent: "both-stores-black-holed",
    ingress_may_be_killed: "ingress-killed",
    worker_may_be_killed: "worker-killed",
    worker_may_be_paused: "worker-paused",
    everything_may_be_replaced: "rolling-restart",
    workers_may_be_scaled: "scaling",
    clocks_may_jump: "clock-jumps",
    strangers_may_pipeline: "strangers-pipeline",
    strangers_may_hold_connections: "strangers-hold",
    strangers_may_never_end_heads: "strangers-never-end",
    strangers_may_outnumber_connections: "strangers-outnumber",
    anything_may_be_killed_at_random: "random-kills",
    a_loss_is_found: "redis-loses-its-backlog",
}

/// Mounting a disk takes root, which tests do not ask for.
const NEEDS_ROOT: [&str; 1] = ["postgres-disk-full"];

#[test]
fn every_fault_has_a_test_or_needs_root() {
    let output = Command::new(SUITE).arg("--list").output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let mut listed: Vec<&str> = list.lines().filter_map(|l| l.split(' ').next()).collect();
    let mut known = [TESTED, &NEEDS_ROOT].concat();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn an_unknown_fault_is_a_usage_error() {
    let output = Command::new(SUITE).arg("redis-kiled").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("--list names them"), "{log}");
}
