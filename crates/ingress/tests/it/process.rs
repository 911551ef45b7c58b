//! The binary itself: what it prints and how it ends.

use std::process::{Output, Stdio};
use std::time::Duration;

use harkara_testkit::redis_database;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(20);

/// The binary with nothing of this process's environment that could configure it.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-ingress"));
    for (name, _) in std::env::vars() {
        if name.starts_with("HARKARA_") || name.starts_with("OTEL_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
        .env("HARKARA__INGRESS__BIND", "127.0.0.1:0")
        .env("HARKARA__INGRESS__ADMIN_BIND", "127.0.0.1:0")
        .kill_on_drop(true);
    command
}

async fn ended(command: &mut Command) -> (Option<i32>, String) {
    let output: Output = timeout(BOUND, command.output())
        .await
        .expect("it ends in time")
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn wrong_use_ends_with_exit_code_2() {
    let (code, told) = ended(binary().arg("--confg")).await;
    assert_eq!(code, Some(2));
    assert!(told.contains("--config"), "{told}");
}

#[tokio::test]
async fn faulty_settings_end_with_exit_code_1_and_all_faults() {
    let (code, told) = ended(
        binary()
            .env("HARKARA__INGRESS__THREADS", "many")
            .env("HARKARA__INGRESS__THREDS", "2")
            .env("HARKARA__REDIS__URL", "hunter2"),
    )
    .await;
    assert_eq!(code, Some(1));
    for part in [
        "harkara-ingress: 3 faults in the settings",
        "ingress.threads (HARKARA__INGRESS__THREADS): \"many\" is not a whole number",
        "did you mean ingress.threads?",
        "redis.url (HARKARA__REDIS__URL): expected",
    ] {
        assert!(told.contains(part), "{part} not in {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_start_without_endpoints_ends_with_exit_code_1_and_the_remedy() {
    let (code, told) = ended(&mut binary()).await;
    assert_eq!(code, Some(1));
    assert!(
        told.contains("HARKARA__ENDPOINTS__DEFAULT__SECRETS"),
        "{told}"
    );
}

#[tokio::test]
async fn sigterm_and_sigint_end_it_with_exit_code_0() {
    for signal in ["-TERM", "-INT"] {
        let mut process = binary()
            .env("HARKARA__REDIS__URL", redis_database().await)
            .env("HARKARA__ENDPOINTS__DEFAULT__SECRETS", "secret")
            .env("HARKARA__LOG__FORMAT", "json")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut next = async || {
            timeout(BOUND, lines.next_line())
                .await
                .expect("a line in time")
        };
        while !next()
            .await
            .unwrap()
            .expect("it starts")
            .contains("Receiving webhooks.")
        {}
        let id = process.id().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .await
                .unwrap()
                .success()
        );
        let status = timeout(BOUND, process.wait())
            .await
            .expect("it ends in time")
            .unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}
