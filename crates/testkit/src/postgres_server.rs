//! A PostgreSQL server of a test's own, which it may stop, kill or misconfigure.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::free_port::free_port;
use crate::servers::postgres_programs;
use crate::wait_until;

/// Recovery after a crash under load takes seconds.
const START_BOUND: Duration = Duration::from_mins(1);

/// How long a stop may take; a fast one writes a checkpoint.
const STOP_BOUND: Duration = Duration::from_secs(30);

/// How often a server that is to end is looked at where nothing can be awaited.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The role and its database; the role is a plain one, as it should be in production.
const NAME: &str = "harkara";

/// Who may connect: everybody from this machine, without a password.
const CLIENTS: &str = "host all all 127.0.0.1/32 trust\n";

/// A server process with a data folder of its own; both end with this value.
///
/// It has the database and the role `harkara`, and the superuser `postgres`, and the durability of
/// production unless the arguments say otherwise. Where the tests run as root it runs as an account
/// without privileges, because PostgreSQL refuses to run as root.
pub struct PostgresServer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    account: Option<(u32, u32)>,
    process: Option<Child>,
}

/// How a server is started.
#[derive(Default)]
pub struct PostgresPlan<'a> {
    /// Settings, each `name=value`.
    pub arguments: &'a [&'a str],
    /// Files (name, content) that are in its data folder first.
    pub files: &'a [(&'a str, &'a str)],
    /// What the environment of its processes has besides ours.
    pub environment: &'a [(String, String)],
    /// Where its folder is made, if not in the temporary folder.
    pub parent: Option<&'a Path>,
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresStop {
    /// Sessions are closed, transactions rolled back, a checkpoint written.
    Fast,
    /// Everything is dropped, as in a crash; the next start recovers from the log.
    Immediate,
    /// SIGKILL of the main process. Sessions notice by themselves that it has gone.
    Kill,
}

impl PostgresServer {
    /// Starts a server on a free port with these settings, each `name=value`.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_with_files(arguments, &[]).await
    }

    /// The same, with files (name, content) in its data folder first, where settings that name files
    /// look for them, readable by the server alone. A `pg_hba.conf` among them decides who may connect.
    pub async fn start_with_files(arguments: &[&str], files: &[(&str, &str)]) -> Self {
        Self::start_with(&PostgresPlan {
            arguments,
            files,
            ..PostgresPlan::default()
        })
        .await
    }

    /// The same, with more than arguments and files.
    pub async fn start_with(plan: &PostgresPlan<'_>) -> Self {
        let port = free_port();
        let name = format!("harkara-postgres-{}-{port}", std::process::id());
        let mut server = Self {
            port,
            arguments: plan.arguments.iter().map(|a| (*a).to_owned()).collect(),
            environment: plan.environment.to_vec(),
            folder: plan
                .parent
                .map_or_else(std::env::temp_dir, Path::to_owned)
                .join(name),
            account: unprivileged_account(),
            process: None,
        };
        server.make_data(plan.files).await;
        server.resume().await;
        server
    }

    /// Starts the server again, with the data it had. What sessions of a killed one still hold is
    /// waited for.
    pub async fn resume(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let mut process = self.spawn();
        let status = self.data().join("postmaster.pid");
        wait_until("PostgreSQL is ready", START_BOUND, async || {
            if process.try_wait().expect("a child has a state").is_some() {
                process = self.spawn();
            }
            let id = process.id().map(|id| id.to_string());
            fs::read_to_string(&status).is_ok_and(|text| {
                let mut lines = text.lines().map(str::trim);
                lines.next() == id.as_deref() && lines.next_back() == Some("ready")
            })
        })
        .await;
        self.process = Some(process);
    }

    /// Starts the server again if it has ended by itself.
    pub async fn resume_if_ended(&mut self) {
        let process = self.process.as_mut().expect("the server was started");
        if process.try_wait().expect("a child has a state").is_some() {
            self.process = None;
            self.resume().await;
        }
    }

    /// Ends the server and waits until it has.
    pub async fn stop(&mut self, how: PostgresStop) {
        self.signal(how.signal());
        let mut process = self.process.take().expect("the server runs");
        tokio::time::timeout(STOP_BOUND, process.wait())
            .await
            .expect("PostgreSQL ends in time")
            .expect("a child can be waited for");
    }

    /// Tells the running server to read its configuration files again.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Replaces a file of its data folder, or adds one.
    pub fn write_file(&self, name: &str, content: &str) {
        self.give(&self.data().join(name), content);
    }

    /// The URL of its database as the plain role.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{NAME}@127.0.0.1:{}/{NAME}", self.port)
    }

    /// The URL of its database as the superuser.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{NAME}", self.port)
    }

    /// What it has written to its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    async fn make_data(&self, files: &[(&str, &str)]) {
        fs::create_dir_all(&self.folder).expect("a folder can be made");
        self.own(&self.folder, 0o700);
        let mut initdb = self.command("initdb");
        initdb.arg("--pgdata").arg(self.data()).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run(initdb, "").await;
        self.write_file("pg_hba.conf", CLIENTS);
        for (name, content) in files {
            self.write_file(name, content);
        }
        let mut single = self.command("postgres");
        single.args(["--single", "-D"]).arg(self.data());
        single.args(["-c", "fsync=off", "postgres"]);
        let statements =
            format!("create role {NAME} login createdb\ncreate database {NAME} owner {NAME}\n");
        run(single, &statements).await;
    }

    fn spawn(&self) -> Child {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("the log can be written");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        let own = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            &port,
        ];
        for setting in own
            .into_iter()
            .chain(self.arguments.iter().map(String::as_str))
        {
            command.args(["-c", setting]);
        }
        command
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("PostgreSQL can be run")
    }

    /// A program of PostgreSQL, run by the right account, blind to the developer's own `PG…` variables.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(postgres_programs().join(program));
        command
            .current_dir(&self.folder)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some((user, group)) = self.account {
            command.gid(group).uid(user);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn give(&self, path: &Path, content: &str) {
        fs::write(path, content).expect("a file can be written");
        self.own(path, 0o600);
    }

    fn own(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
        if let Some((user, group)) = self.account {
            chown(path, Some(user), Some(group)).expect("root may give files away");
        }
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server runs");
        kill_process(pid(process).expect("the server runs"), signal).expect("a child is ours");
    }
}

impl PostgresStop {
    fn signal(self) -> Signal {
        match self {
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
            Self::Kill => Signal::KILL,
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take()
            && let Some(pid) = pid(&process)
        {
            // A server that is killed outright would leave a segment of shared memory.
            let told = kill_process(pid, Signal::QUIT).is_ok();
            let told_at = Instant::now();
            while told && told_at.elapsed() < STOP_BOUND && matches!(process.try_wait(), Ok(None)) {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn pid(process: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process.id()?).ok()?)
}

/// Runs a program of PostgreSQL with this input, and fails with its words.
async fn run(mut command: Command, input: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("PostgreSQL can be run");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    // A program that ended early does not read; its own words tell why.
    stdin.write_all(input.as_bytes()).await.ok();
    drop(stdin);
    let output = child.wait_with_output().await.expect("a child has an end");
    let words = String::from_utf8_lossy(&output.stderr);
    // In single-user mode a statement that failed does not change the exit code.
    assert!(
        output.status.success() && !words.contains("ERROR:"),
        "{command:?} failed: {words}"
    );
}

/// User and group to run as, where we are root.
fn unprivileged_account() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    let account = |name: &str| {
        let line = passwd.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let found = account("postgres").or_else(|| account("nobody"));
    Some(found.expect("`postgres` or `nobody` is in /etc/passwd"))
}
