//! The private PostgreSQL: one database and one plain role, both `harkara`, reachable from this
//! machine only. The role is the database's owner and no superuser, as it should be in production.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Result, While as _};
use crate::programs::Postgres;
use crate::service::{Kind, Places, Service};
use crate::unprivileged::Account;
use crate::{interrupt, report};

/// Recovery after a crash may take a while; a start otherwise takes under a second.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// The name of the role and of the database.
const NAME: &str = "harkara";

/// Who may connect: the role `harkara` from this machine, without a password, for the data is made
/// up. The superuser cannot connect at all, so no local user gets more through this server than
/// rows.
const CLIENTS: &str = "host all harkara 127.0.0.1/32 trust\n";

/// The benchmark, whose quick form is a test, reads from it when each transaction was committed.
const COMMIT_TIMES: &str = "track_commit_timestamp=on";

/// Tests throw the data away, so they do not wait for the disk, and many connect at once.
pub(crate) const FAST: [&str; 5] = [
    COMMIT_TIMES,
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
];

/// Measurements keep the durability of production, with room enough that neither eviction nor a
/// checkpoint in the middle of a run decides its figure.
pub(crate) const MEASURED: [&str; 5] = [
    COMMIT_TIMES,
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "max_connections=100",
];

/// A PostgreSQL to be started.
pub(crate) struct Plan<'a> {
    /// Its programs.
    pub(crate) programs: &'a Postgres,
    /// The folder that holds the data folder; it exists, and `account` owns it.
    pub(crate) home: &'a Path,
    /// The account that runs it, when that is not ours.
    pub(crate) account: Option<Account>,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    /// Settings beyond its defaults.
    pub(crate) settings: &'a [&'static str],
    /// Where it writes and is remembered.
    pub(crate) places: &'a Places<'a>,
}

impl Plan<'_> {
    /// Starts it, with a new data folder where there is none yet.
    pub(crate) fn start(&self) -> Result<Service> {
        let data = data(self.home);
        if !data.is_dir() {
            self.make(&data)?;
        }
        let mut command = self.command(&self.programs.server);
        command.arg("-D").arg(&data);
        let port = format!("port={}", self.port);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            &port,
        ]
        .into_iter()
        .chain(self.settings.iter().copied())
        {
            command.args(["-c", setting]);
        }
        let marks = ["postgres".to_owned(), data.display().to_string()];
        Service::start(Kind::Postgres, command, self.places, &marks)
    }

    /// Makes the data folder beside its place and moves it there when it is whole, so that an
    /// interrupted attempt is never taken for one.
    fn make(&self, data: &Path) -> Result<()> {
        let unfinished = self.home.join("data.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .or_cannot(|| format!("remove {}", unfinished.display()))?;
        }
        let log = self.places.logs.join("initdb.log");
        let mut initdb = self.command(&self.programs.initdb);
        initdb.arg("--pgdata").arg(&unfinished).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run_to_end(initdb, "", &log)?;
        let clients = unfinished.join("pg_hba.conf");
        fs::write(&clients, CLIENTS).or_cannot(|| format!("write {}", clients.display()))?;
        let mut single = self.command(&self.programs.server);
        single
            .args(["--single", "-D"])
            .arg(&unfinished)
            .args(["-c", "fsync=off", "postgres"]);
        let statements =
            format!("create role {NAME} login createdb\ncreate database {NAME} owner {NAME}\n");
        run_to_end(single, &statements, &log)?;
        fs::rename(&unfinished, data).or_cannot(|| format!("make {}", data.display()))
    }

    /// A program of PostgreSQL, run by the right account, in a folder it can read, blind to the
    /// developer's own `PG…` variables.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home).env("LC_ALL", "C");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some(account) = self.account {
            account.run(&mut command);
        }
        command
    }
}

/// Waits until it takes connections: the server says so itself in a file of its data folder.
pub(crate) fn wait_until_ready(service: &mut Service, home: &Path) -> Result<()> {
    let status = data(home).join("postmaster.pid");
    service.wait_until(READY_WITHIN, |pid| {
        fs::read_to_string(&status).is_ok_and(|text| says_ready(&text, pid))
    })
}

/// The URL of the private PostgreSQL.
pub(crate) fn url(port: u16) -> String {
    format!("postgres://{NAME}@127.0.0.1:{port}/{NAME}")
}

/// The data folder in a home.
pub(crate) fn data(home: &Path) -> PathBuf {
    home.join("data")
}

/// The major version that made the data of a home, when there is data.
pub(crate) fn major_of_data(home: &Path) -> Option<u32> {
    fs::read_to_string(data(home).join("PG_VERSION"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Makes a home, private to its account.
pub(crate) fn make_home(home: &Path, account: Option<Account>) -> Result<()> {
    fs::create_dir_all(home).or_cannot(|| format!("make the folder {}", home.display()))?;
    fs::set_permissions(home, fs::Permissions::from_mode(0o700))
        .or_cannot(|| format!("set the permissions of {}", home.display()))?;
    account.map_or(Ok(()), |account| account.own(home))
}

/// `postmaster.pid` holds the server's process number in its first line and its state in its last.
fn says_ready(text: &str, pid: u32) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.next_back() == Some("ready")
}

/// Runs a program with this input; its words go to the log, whose end is shown when it fails.
fn run_to_end(mut command: Command, input: &str, log: &Path) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = fs::File::create(log).or_cannot(|| format!("write {}", log.display()))?;
    let errors = output
        .try_clone()
        .or_cannot(|| format!("write {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .or_cannot(|| format!("run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early does not read; its own words tell why.
        stdin.write_all(input.as_bytes()).ok();
    }
    let status = child.wait().or_cannot(|| format!("wait for {program}"))?;
    // In single-user mode a statement that failed does not change the exit code.
    let complained = fs::read_to_string(log)
        .unwrap_or_default()
        .contains("ERROR:");
    if status.success() && !complained {
        return Ok(());
    }
    if interrupt::requested() {
        return Err(Failure::Interrupted);
    }
    Err(format!("{program} failed ({status}){}", report::tail(log)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_ready_only_when_this_one_says_so() {
        let file = "17\n/data\n1700000000\n15432\n\n127.0.0.1\n 123 4\nready   \n";
        assert!(says_ready(file, 17));
        assert!(!says_ready(file, 18));
        assert!(!says_ready(&file.replace("ready   ", "starting"), 17));
        assert!(!says_ready("", 17));
    }
}
