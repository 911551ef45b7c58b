//! The binary itself: what it prints and how it ends.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use harkara_core::secret::{Fingerprint, Secret};
use harkara_testkit::{
    Folder, Signal, free_port, full_pipe, is_ready, redis_database, send_signal, wait_until,
};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::BOUND;
use crate::http::{Request, connected, metric, until_metric};
use crate::ingress::SECRET;

const BINARY: &str = env!("CARGO_BIN_EXE_harkara-ingress");

/// The binary, without the environment of this process.
fn binary() -> Command {
    with_environment(Command::new(BINARY))
}

fn with_environment(mut command: Command) -> Command {
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
        Self::start_by(Command::new(BINARY), variables).await
    }

    /// The same by another command.
    async fn start_by(command: Command, variables: &[(&str, &str)]) -> Self {
        let log = Log(Folder::new());
        let child = with_environment(command)
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

    /// Starts the binary by a shell, which first runs this command.
    pub(crate) async fn start_after(shell: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{shell}; exec \"$0\"")]);
        command.arg(BINARY);
        Self::start_by(command, variables).await
    }

    /// The number of log lines with this text.
    pub(crate) fn n_logged(&self, text: &str) -> usize {
        let lines = self.log.lines();
        lines.iter().filter(|line| line.contains(text)).count()
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
async fn signals_that_ask_for_a_stop_end_it_with_exit_code_0_and_others_do_nothing() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let mut process = Process::start(&[]).await;
        for other in [Signal::USR1, Signal::USR2, Signal::PIPE, Signal::XFSZ] {
            send_signal(&process.child, other);
        }
        for other in ["SIGUSR1", "SIGUSR2"] {
            process.log.until(other).await;
        }
        send_signal(&process.child, signal);
        // A closed terminal hangs up twice, and some supervisors do so after SIGTERM.
        send_signal(&process.child, Signal::HUP);
        assert_eq!(exit_code(&mut process.child).await, 0, "{signal:?}");
        process.log.until("Stopped.").await;
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_with_exit_code_130_and_is_logged() {
    let mut process = Process::start(&[]).await;
    let unfinished = Request::post().declaring(100).bytes();
    let _unfinished = connected(process.public, &unfinished).await;
    let in_flight = "harkara_ingress_in_flight";
    until_metric(process.admin, in_flight, |n| n == 1).await;
    send_signal(&process.child, Signal::TERM);
    process.log.until("Stopping").await;
    send_signal(&process.child, Signal::TERM);
    assert_eq!(exit_code(&mut process.child).await, 130);
    process.log.until("Stopped immediately").await;
}

#[tokio::test]
async fn under_nohup_it_outlives_its_terminal() {
    let mut process = Process::start_after("trap '' HUP", &[]).await;
    send_signal(&process.child, Signal::HUP);
    // It comes after SIGHUP, so that would have been acted on.
    send_signal(&process.child, Signal::USR1);
    process.log.until("SIGUSR1").await;
    let answer = Request::delivery("{}").send(process.public).await;
    assert_eq!(answer.status, 200);
    send_signal(&process.child, Signal::TERM);
    assert_eq!(exit_code(&mut process.child).await, 0);
    assert_eq!(process.n_logged("SIGHUP"), 0);
}

/// Starts the binary with a log that nobody reads, as detailed as can be.
async fn start_unread() -> (Child, PipeReader, [SocketAddr; 2]) {
    let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let [public, admin] = [address(), address()];
    let (reader, writer) = full_pipe();
    let child = binary()
        .env("HARKARA__REDIS__URL", redis_database().await)
        .env("HARKARA__ENDPOINTS__DEFAULT__SECRETS", SECRET)
        .env("HARKARA__INGRESS__DURABILITY", "appended")
        .env("HARKARA__INGRESS__BIND", public.to_string())
        .env("HARKARA__INGRESS__ADMIN_BIND", admin.to_string())
        .env("RUST_LOG", "actix_http=trace,info")
        .stderr(writer)
        .spawn()
        .unwrap();
    wait_until("it is ready", BOUND, async || is_ready(admin).await).await;
    (child, reader, [public, admin])
}

/// Delivers until log lines are dropped.
async fn deliver_until_dropped(public: SocketAddr, admin: SocketAddr) -> u64 {
    let mut n_dropped = 0;
    wait_until("lines are dropped", BOUND, async || {
        for _ in 0..20 {
            let answer = Request::delivery("{}").send(public).await;
            assert_eq!(answer.status, 200);
        }
        n_dropped = metric(admin, "harkara_log_lines_dropped_total")
            .await
            .unwrap();
        n_dropped > 0
    })
    .await;
    n_dropped
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing_and_later_tells_what_it_lacks() {
    let (mut child, reader, [public, admin]) = start_unread().await;
    let n_dropped = deliver_until_dropped(public, admin).await;

    let (sender, mut lines) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        lines.for_each(|line| drop(sender.send(line)));
    });
    let told = async {
        loop {
            let line = lines.recv().await.expect("the log goes on");
            if line.contains("Dropped log lines") {
                break line;
            }
        }
    };
    let told = timeout(BOUND, told).await.expect("it is told");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told["lines"].as_u64().unwrap() >= n_dropped, "{told}");
    send_signal(&child, Signal::TERM);
    assert_eq!(exit_code(&mut child).await, 0);
    let mut last = String::new();
    while let Some(line) = lines.recv().await {
        last = line;
    }
    assert!(last.contains("Stopped."), "{last}");
}

#[tokio::test]
async fn sigterm_ends_it_while_nobody_reads_its_log() {
    let (mut child, _reader, [public, admin]) = start_unread().await;
    deliver_until_dropped(public, admin).await;
    send_signal(&child, Signal::TERM);
    assert_eq!(exit_code(&mut child).await, 0);
}

#[tokio::test]
async fn an_error_at_the_end_waits_for_no_reader() {
    let (_reader, writer) = full_pipe();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = binary()
        .env("HARKARA__REDIS__URL", redis_database().await)
        .env("HARKARA__ENDPOINTS__DEFAULT__SECRETS", SECRET)
        .env("HARKARA__INGRESS__DURABILITY", "appended")
        .env(
            "HARKARA__INGRESS__BIND",
            taken.local_addr().unwrap().to_string(),
        )
        .stderr(writer)
        .spawn()
        .unwrap();
    assert_eq!(exit_code(&mut child).await, 1);
}

async fn exit_code(child: &mut Child) -> i32 {
    let status = timeout(BOUND, child.wait()).await;
    let status = status.expect("it ends in time").unwrap();
    status.code().unwrap_or_else(|| panic!("{status}"))
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
