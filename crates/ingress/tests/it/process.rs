//! The binary itself: what it prints and how it ends.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use harkara_core::secret::{Fingerprint, Secret};
use harkara_testkit::{redis_database, wait_until};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::http::get;

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
        "harkara-ingress: 3 problems in the settings",
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

#[tokio::test]
async fn a_broken_file_of_secrets_is_told_once_and_a_change_by_fingerprints_alone() {
    let file = std::env::temp_dir().join(format!("harkara-told-{}", std::process::id()));
    std::fs::write(&file, "whsec-first").unwrap();
    let mut process = binary()
        .env("HARKARA__REDIS__URL", redis_database().await)
        .env("HARKARA__INGRESS__DURABILITY", "appended")
        .env("HARKARA__INGRESS__SECRETS_POLL_MS", "10")
        .env("HARKARA__ENDPOINTS__DEFAULT__SECRETS_FILE", &file)
        .env("HARKARA__LOG__FORMAT", "json")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut told = Vec::new();
    let mut until = async |message: &str| loop {
        let line = timeout(BOUND, lines.next_line()).await.expect("a line");
        let line = line.unwrap().expect("it runs");
        let found = line.contains(message);
        told.push(line);
        if found {
            return told.clone();
        }
    };
    let started = until("Receiving webhooks.").await;
    let fields: Value = serde_json::from_str(started.last().unwrap()).unwrap();
    let admin = admin_address(&fields);

    std::fs::write(&file, "").unwrap();
    wait_until("the file was looked at five times", BOUND, async || {
        let metrics = get(admin, "/metrics").await.body;
        let failed = r#"harkara_ingress_secrets_reloads_total{outcome="failed"} "#;
        let value = metrics.lines().find_map(|line| line.strip_prefix(failed));
        value.unwrap().parse::<u64>().unwrap() >= 5
    })
    .await;
    std::fs::write(&file, "whsec-second\nwhsec-first").unwrap();
    let told = until("Webhook secrets were replaced").await;
    let count = |message: &str| told.iter().filter(|line| line.contains(message)).count();
    assert_eq!(count("keeping the previous secrets"), 1, "{told:#?}");
    assert_eq!(count("at least one secret"), 1, "{told:#?}");
    let fingerprint = Fingerprint::of(&Secret::new("whsec-second"));
    assert!(
        told.last().unwrap().contains(fingerprint.as_str()),
        "{told:#?}"
    );
    assert_eq!(count("whsec"), 0, "{told:#?}");
    process.kill().await.unwrap();
    std::fs::remove_file(&file).unwrap();
}

/// Where the first line of a running ingress says that its admin port is.
fn admin_address(line: &Value) -> SocketAddr {
    let address = &line["admin.address"];
    address.as_str().unwrap().parse().unwrap()
}
