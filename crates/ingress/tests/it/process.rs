//! The binary itself: what it prints and how it ends.

use std::fs::File;
use std::net::SocketAddr;

use harkara_core::secret::{Fingerprint, Secret};
use harkara_testkit::{Folder, Signal, redis_database, send_signal, wait_until};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::BOUND;
use crate::http::until_metric;
use crate::ingress::SECRET;

/// The binary, without the environment of this process.
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara-ingress"));
    command
        .env_clear()
        .env("HARKARA__INGRESS__BIND", "127.0.0.1:0")
        .env("HARKARA__INGRESS__ADMIN_BIND", "127.0.0.1:0")
        .kill_on_drop(true);
    command
}

/// The binary while it receives webhooks.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: Log,
}

/// The standard error of a process, in a file.
struct Log(Folder);

impl Process {
    /// Starts the binary with these variables, beyond what every ingress of the tests needs.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        let log = Log(Folder::new());
        let child = binary()
            .env("HARKARA__REDIS__URL", redis_database().await)
            .env("HARKARA__ENDPOINTS__DEFAULT__SECRETS", SECRET)
            .env("HARKARA__INGRESS__DURABILITY", "appended")
            .env("HARKARA__LOG__FORMAT", "json")
            .envs(variables.iter().copied())
            .stderr(File::create(log.file()).unwrap())
            .spawn()
            .unwrap();
        let started: Value = serde_json::from_str(&log.until("Receiving webhooks.").await).unwrap();
        let address = |name: &str| started[name].as_str().unwrap().parse().unwrap();
        Self {
            public: address("ingress.address"),
            admin: address("admin.address"),
            child,
            log,
        }
    }
}

impl Log {
    fn file(&self) -> String {
        self.0.file("log")
    }

    /// The lines so far, without one that is not complete yet.
    fn lines(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.file()).unwrap();
        let lines = log.split_inclusive('\n');
        let whole = lines.filter_map(|line| line.strip_suffix('\n'));
        whole.map(str::to_owned).collect()
    }

    /// Waits for a line with this message, and returns it.
    async fn until(&self, message: &str) -> String {
        let mut found = None;
        wait_until(message, BOUND, async || {
            let mut lines = self.lines().into_iter();
            found = lines.find(|line| line.contains(message));
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

/// Asserts that the binary ends with an exit code, and returns what it printed.
async fn ended(command: &mut Command, code: i32) -> String {
    let output = timeout(BOUND, command.output()).await;
    let output = output.expect("it ends in time").unwrap();
    assert_eq!(output.status.code(), Some(code));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_usage_error_ends_with_exit_code_2_and_a_failed_start_with_1() {
    let mut misspelled = binary();
    let mut misconfigured = binary();
    misconfigured
        .env("HARKARA__INGRESS__THREADS", "many")
        .env("HARKARA__INGRESS__THREDS", "2")
        .env("HARKARA__REDIS__URL", "hunter2");
    for (command, code, parts) in [
        (misspelled.arg("--confg"), 2, &["--config"][..]),
        (
            &mut misconfigured,
            1,
            &[
                "harkara-ingress: 3 problems in the settings",
                "ingress.threads (HARKARA__INGRESS__THREADS): \"many\" is not a whole number",
                "did you mean ingress.threads?",
                "redis.url (HARKARA__REDIS__URL): expected",
            ],
        ),
        (&mut binary(), 1, &["HARKARA__ENDPOINTS__DEFAULT__SECRETS"]),
    ] {
        let printed = ended(command, code).await;
        for part in parts {
            assert!(printed.contains(part), "{part} not in {printed}");
        }
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}

#[tokio::test]
async fn sigterm_and_sigint_end_it_with_exit_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = Process::start(&[]).await;
        send_signal(&process.child, signal);
        let status = timeout(BOUND, process.child.wait()).await;
        let status = status.expect("it ends in time").unwrap();
        assert_eq!(status.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn a_broken_file_of_secrets_is_logged_once_and_a_change_by_fingerprints_alone() {
    let folder = Folder::new();
    let file = folder.file("secrets");
    folder.write("secrets", "whsec-first");
    let mut process = Process::start(&[
        ("HARKARA__INGRESS__SECRETS_POLL_MS", "10"),
        ("HARKARA__ENDPOINTS__LIVE__SECRETS_FILE", &file),
    ])
    .await;

    folder.write("secrets", "");
    let failed = r#"harkara_ingress_secrets_reloads_total{outcome="failed"}"#;
    until_metric(process.admin, failed, |n_reads| n_reads >= 5).await;
    folder.write("secrets", "whsec-second\nwhsec-first");
    let replaced = process.log.until("Webhook secrets were replaced").await;
    let fingerprint = Fingerprint::of(&Secret::new("whsec-second"));
    assert!(replaced.contains(fingerprint.as_str()), "{replaced}");
    let lines = process.log.lines();
    let count = |message: &str| lines.iter().filter(|line| line.contains(message)).count();
    assert_eq!(count("keeping the previous secrets"), 1, "{lines:#?}");
    assert_eq!(count("at least one secret"), 1, "{lines:#?}");
    assert_eq!(count("whsec"), 0, "{lines:#?}");
    process.child.kill().await.unwrap();
}
