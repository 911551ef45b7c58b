//! A private PostgreSQL, reachable from this machine only. Its one database and role are both `harkara`; the
//! role owns the database and is no superuser, as in production.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::cannot;
use crate::{Account, LaunchError};

/// The role and its database.
const NAME: &str = "harkara";

/// A PostgreSQL server.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// The folder of `initdb` and `postgres`.
    pub programs: PathBuf,
    /// The folder that holds the data folder.
    pub home: PathBuf,
    /// The account that runs it, if not ours.
    pub account: Option<Account>,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Settings, each `name=value`, that differ from the defaults.
    pub settings: Vec<String>,
}

impl Postgres {
    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Creates the home, private to the account.
    pub fn create_home(&self) -> Result<(), LaunchError> {
        let home = &self.home;
        fs::create_dir_all(home).map_err(cannot(format!("create {}", home.display())))?;
        self.give(home, 0o700)
    }

    /// Creates the data folder, with the role and the database. `pg_hba` says who may connect.
    ///
    /// It is created under another name and renamed once complete, so that an interrupted attempt leaves none.
    pub fn create_data(&self, pg_hba: &str) -> Result<(), LaunchError> {
        let unfinished = self.home.join("data.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .map_err(cannot(format!("remove {}", unfinished.display())))?;
        }
        let mut initdb = self.program("initdb");
        initdb.arg("--pgdata").arg(&unfinished).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run(initdb, "")?;
        self.write(&unfinished.join("pg_hba.conf"), pg_hba)?;
        let mut single = self.program("postgres");
        single
            .args(["--single", "-D"])
            .arg(&unfinished)
            .args(["-c", "fsync=off", "postgres"]);
        let statements =
            format!("create role {NAME} login createdb\ncreate database {NAME} owner {NAME}\n");
        run(single, &statements)?;
        let data = self.data();
        fs::rename(&unfinished, &data).map_err(cannot(format!("create {}", data.display())))
    }

    /// Replaces or adds a file in the data folder, readable by the server alone.
    pub fn write_file(&self, name: &str, content: &str) -> Result<(), LaunchError> {
        self.write(&self.data().join(name), content)
    }

    /// The command that runs the server.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        let fixed = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            &port,
        ];
        let settings = self.settings.iter().map(String::as_str);
        for setting in fixed.into_iter().chain(settings) {
            command.args(["-c", setting]);
        }
        command
    }

    /// Whether the server with this process id takes connections, as it notes in its data folder.
    #[must_use]
    pub fn is_ready(&self, id: u32) -> bool {
        fs::read_to_string(self.data().join("postmaster.pid"))
            .is_ok_and(|status| says_ready(&status, id))
    }

    /// The URL of its database for the plain role.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_for(NAME)
    }

    /// The URL of its database for a role.
    #[must_use]
    pub fn url_for(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{NAME}", self.port)
    }

    /// One of PostgreSQL's programs, run by the account in a folder that it can read, without the `PG…`
    /// variables of the environment.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .current_dir(&self.home)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
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

    fn write(&self, path: &Path, content: &str) -> Result<(), LaunchError> {
        fs::write(path, content).map_err(cannot(format!("write {}", path.display())))?;
        self.give(path, 0o600)
    }

    fn give(&self, path: &Path, mode: u32) -> Result<(), LaunchError> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(cannot(format!("set the permissions of {}", path.display())))?;
        self.account.map_or(Ok(()), |account| account.own(path))
    }
}

/// `postmaster.pid` holds the server's process id in its first line and its state in its last.
fn says_ready(status: &str, id: u32) -> bool {
    let mut lines = status.lines().map(str::trim);
    lines.next() == Some(id.to_string().as_str()) && lines.next_back() == Some("ready")
}

/// Runs a program with this input.
fn run(mut command: Command, input: &str) -> Result<(), LaunchError> {
    let program = command.get_program().display().to_string();
    let running = || cannot(format!("run {program}"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(running())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early does not read; its status says so.
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child.wait_with_output().map_err(running())?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    // In single-user mode a statement that failed does not change the exit status.
    if output.status.success() && !stderr.contains("ERROR:") {
        return Ok(());
    }
    Err(LaunchError::ProgramFailed {
        program,
        status: output.status,
        stderr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_server_is_ready() {
        let status = "17\n/data\n1700000000\n15432\n\n127.0.0.1\n 123 4\nready   \n";
        assert!(says_ready(status, 17));
        assert!(!says_ready(status, 18));
        assert!(!says_ready(&status.replace("ready   ", "starting"), 17));
        assert!(!says_ready("", 17));
    }
}
