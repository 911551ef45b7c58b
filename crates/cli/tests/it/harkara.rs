//! Runs the binary.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use harkara_testkit::TestDatabase;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A command that takes longer hangs.
const BOUND: Duration = Duration::from_mins(1);

/// The setting of the secrets of the endpoint `default`.
pub(crate) const SECRETS: &str = "HARKARA__ENDPOINTS__DEFAULT__SECRETS";

pub(crate) const POSTGRES_URL: &str = "HARKARA__POSTGRES__URL";
pub(crate) const REDIS_URL: &str = "HARKARA__REDIS__URL";

/// The binary with an environment that holds nothing but its settings.
#[derive(Clone, Default)]
pub(crate) struct Harkara {
    environment: BTreeMap<String, String>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Harkara {
    pub(crate) fn on(database: &TestDatabase) -> Self {
        Self::default().with(POSTGRES_URL, &database.url)
    }

    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment
            .insert(variable.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, variable: &str) -> Self {
        self.environment.remove(variable);
        self
    }

    /// Runs with these arguments, split as a shell splits them.
    pub(crate) async fn run(&self, arguments: &str) -> Ran {
        Ran::of(self.spawn(arguments)).await
    }

    /// Starts the binary, so that something can be done to it while it runs.
    pub(crate) fn spawn(&self, arguments: &str) -> Child {
        self.command(env!("CARGO_BIN_EXE_harkara"))
            .args(shlex::split(arguments).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A command that runs a binary with the same environment, until it is dropped.
    pub(crate) fn command(&self, binary: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(binary);
        command.env_clear().envs(&self.environment);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// The standard output of a successful run.
    pub(crate) async fn stdout(&self, arguments: &str) -> String {
        self.run(arguments).await.ended_with(0).stdout()
    }

    /// The JSON document that a successful run prints.
    pub(crate) async fn json(&self, arguments: &str) -> Value {
        self.run(arguments).await.ended_with(0).json()
    }
}

impl Ran {
    /// Waits until a run ends.
    pub(crate) async fn of(child: Child) -> Self {
        let ended = timeout(BOUND, child.wait_with_output()).await;
        let output = ended.expect("the command ends in time").unwrap();
        Self {
            code: output.status.code().expect("no signal ended it"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Asserts that the run failed with `code` and one line that holds all of `words`, and no password.
    pub(crate) fn complains(self, code: i32, words: &[&str]) {
        let ran = self.ended_with(code);
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert!(!ran.stderr.contains(PASSWORD), "{ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is missing in {ran:?}");
        }
    }
}

/// A password or secret that nothing may print.
pub(crate) const PASSWORD: &str = "hunter2";

/// The URL of a server of this scheme at which nobody listens, and its address.
pub(crate) fn nowhere(scheme: &str) -> (String, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (format!("{scheme}://keeper:{PASSWORD}@{address}/0"), address)
}
