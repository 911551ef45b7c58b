//! A PostgreSQL server of a test's own, which it may stop, kill or misconfigure.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harkara_launcher::{Account, Postgres, Process};
use rustix::process::Signal;

use crate::servers::postgres_programs;
use crate::{free_port, wait_until};

/// Recovery after a crash under load takes seconds.
const START_BOUND: Duration = Duration::from_mins(1);

/// How long a stop may take; a fast one writes a checkpoint.
const STOP_BOUND: Duration = Duration::from_secs(30);

/// Who may connect: everybody from this machine, without a password.
const CLIENTS: &str = "host all all 127.0.0.1/32 trust\n";

/// A server process with a data folder of its own; both end with this value.
///
/// It has the database and the role `harkara`, and the superuser `postgres`, and the durability of
/// production unless the arguments say otherwise. Where the tests run as root it runs as an unprivileged
/// account, because PostgreSQL refuses to run as root.
pub struct PostgresServer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    postgres: Postgres,
    environment: Vec<(String, String)>,
    process: Option<Process>,
}

/// How a server is started.
#[derive(Default)]
pub struct PostgresPlan<'a> {
    /// Settings, each `name=value`.
    pub arguments: &'a [&'a str],
    /// Files (name, content) that are in its data folder first, where settings that name files look for them,
    /// readable by the server alone. A `pg_hba.conf` among them decides who may connect.
    pub files: &'a [(&'a str, &'a str)],
    /// Variables that its processes get besides ours.
    pub environment: &'a [(String, String)],
    /// Where its folder is created, if not in the temporary folder.
    pub parent: Option<&'a Path>,
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresStop {
    /// Sessions are closed, transactions rolled back, a checkpoint written.
    Fast,
    /// SIGKILL of the main process. Sessions notice by themselves that it has gone.
    Kill,
}

impl PostgresServer {
    /// Starts a server on a free port with these settings, each `name=value`.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_with(&PostgresPlan {
            arguments,
            ..PostgresPlan::default()
        })
        .await
    }

    /// Starts a server whose messages are German, also for a role that is no superuser and so cannot choose.
    /// With the locale `C.UTF-8` the server follows `LANGUAGE`.
    pub async fn german() -> Self {
        Self::start_with(&PostgresPlan {
            arguments: &["lc_messages=C.UTF-8", "fsync=off"],
            environment: &[("LANGUAGE".to_owned(), "de".to_owned())],
            ..PostgresPlan::default()
        })
        .await
    }

    /// The same, with more than settings.
    pub async fn start_with(plan: &PostgresPlan<'_>) -> Self {
        let port = free_port();
        let parent = plan.parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let postgres = Postgres {
            programs: postgres_programs(),
            home: parent.join(format!("harkara-postgres-{}-{port}", std::process::id())),
            account: Account::for_postgres().expect("an account for PostgreSQL"),
            port,
            settings: plan.arguments.iter().map(|&a| a.to_owned()).collect(),
        };
        let mut server = Self {
            port,
            postgres,
            environment: plan.environment.to_vec(),
            process: None,
        };
        let postgres = &server.postgres;
        postgres
            .create_home()
            .and_then(|()| postgres.create_data(CLIENTS))
            .expect("a data folder");
        for (name, content) in plan.files {
            server.write_file(name, content);
        }
        server.resume().await;
        server
    }

    /// Starts the server again, with the data it had. Waits for sessions of a killed one to end.
    pub async fn resume(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let mut process = self.spawn();
        wait_until("PostgreSQL is ready", START_BOUND, async || {
            if !process.is_running() {
                process = self.spawn();
            }
            self.postgres.is_ready(process.id())
        })
        .await;
        self.process = Some(process);
    }

    /// Starts the server again if it has ended by itself.
    pub async fn resume_if_ended(&mut self) {
        let process = self.process.as_mut().expect("the server was started");
        if !process.is_running() {
            self.process = None;
            self.resume().await;
        }
    }

    /// Ends the server and waits until it has.
    pub async fn stop(&mut self, how: PostgresStop) {
        self.signal(match how {
            PostgresStop::Fast => Signal::INT,
            PostgresStop::Kill => Signal::KILL,
        });
        let mut process = self.process.take().expect("the server runs");
        wait_until("PostgreSQL has ended", STOP_BOUND, async || {
            !process.is_running()
        })
        .await;
    }

    /// Makes the running server read its configuration files again.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Replaces a file of its data folder, or adds one.
    pub fn write_file(&self, name: &str, content: &str) {
        self.postgres
            .write_file(name, content)
            .expect("a file can be written");
    }

    /// The URL of its database for the plain role.
    #[must_use]
    pub fn url(&self) -> String {
        self.postgres.url()
    }

    /// The URL of its database for the superuser.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        self.postgres.url_for("postgres")
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Not in the home, so that a full disk there is still logged.
    fn log_file(&self) -> PathBuf {
        let name = format!("harkara-postgres-{}-{}.log", std::process::id(), self.port);
        std::env::temp_dir().join(name)
    }

    fn spawn(&self) -> Process {
        let mut command = self.postgres.command();
        command.envs(self.environment.iter().cloned());
        Process::start(&mut command, &self.log_file()).expect("PostgreSQL can be run")
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server runs");
        process.signal(signal).expect("a child takes signals");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // One that is killed outright would leave a segment of shared memory.
            process.stop(&[(Signal::QUIT, STOP_BOUND)]);
        }
        fs::remove_dir_all(&self.postgres.home).ok();
        fs::remove_file(self.log_file()).ok();
    }
}
