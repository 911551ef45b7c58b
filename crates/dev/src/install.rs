//! Installs missing servers with the system's package manager, after saying so.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};
use harkara_launcher::log_tail;

use crate::programs::{self, PostgresPrograms};
use crate::report::{self, Step};
use crate::task::succeeds_logged;

/// How long apt-get waits for another package manager, in seconds.
const DPKG_LOCK_WAIT: &str = "DPkg::Lock::Timeout=120";

/// The servers' programs.
pub(crate) struct Programs {
    /// `redis-server`.
    pub(crate) redis: PathBuf,
    /// Every installed PostgreSQL, the preferred one first; at least one.
    pub(crate) postgres: Vec<PostgresPrograms>,
}

impl Programs {
    /// The folder of the preferred PostgreSQL.
    pub(crate) fn postgres_folder(&self) -> &Path {
        &self.postgres[0].folder
    }
}

/// A server that may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Redis,
    Postgres,
}

/// Finds the programs, installing what is missing if `allowed`. The package manager's output goes to
/// `install.log` in the folder `logs`.
pub(crate) fn find_or_install(allowed: bool, logs: &Path) -> Result<Programs> {
    let log = logs.join("install.log");
    let missing = match find()? {
        Ok(programs) => return Ok(programs),
        Err(missing) => missing,
    };
    let manager = Manager::find();
    let Some(manager) = manager.filter(|_| allowed) else {
        bail!(refusal(&missing, manager));
    };
    install(manager, &missing, &log)?;
    match find()? {
        Ok(programs) => Ok(programs),
        Err(missing) => bail!(
            "{} still missing after the installation; see {}",
            names(&missing),
            log.display()
        ),
    }
}

/// The programs, or the servers that are missing.
fn find() -> Result<Result<Programs, Vec<Server>>> {
    let (redis, postgres) = (programs::find_redis()?, programs::find_postgres());
    let mut missing = Vec::new();
    missing.extend(redis.is_none().then_some(Server::Redis));
    missing.extend(postgres.is_empty().then_some(Server::Postgres));
    let found = redis.filter(|_| missing.is_empty());
    Ok(found
        .map(|redis| Programs { redis, postgres })
        .ok_or(missing))
}

/// A package manager that we can call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manager {
    /// Debian's and Ubuntu's, as root.
    AptAsRoot,
    /// The same through sudo.
    AptWithSudo,
    /// Homebrew.
    Brew,
}

impl Manager {
    fn find() -> Option<Self> {
        if programs::is_on_path("apt-get") {
            if rustix::process::geteuid().is_root() {
                return Some(Self::AptAsRoot);
            }
            if programs::is_on_path("sudo") {
                return Some(Self::AptWithSudo);
            }
        }
        programs::is_on_path("brew").then_some(Self::Brew)
    }

    fn packages(self, missing: &[Server]) -> Vec<&'static str> {
        let package = |server: &Server| match (self, server) {
            (Self::Brew, Server::Redis) => "redis",
            (Self::Brew, Server::Postgres) => "postgresql@17",
            (_, Server::Redis) => "redis-server",
            (_, Server::Postgres) => "postgresql",
        };
        missing.iter().map(package).collect()
    }

    /// The command that a person would type.
    fn typed(self, missing: &[Server]) -> String {
        let command = match self {
            Self::AptAsRoot => "apt-get install",
            Self::AptWithSudo => "sudo apt-get install",
            Self::Brew => "brew install",
        };
        format!("{command} {}", self.packages(missing).join(" "))
    }

    /// A command with the rights to install, which asks no questions.
    fn command(self, words: &[&str]) -> Command {
        let mut command = Command::new("env");
        command
            .args((self == Self::AptWithSudo).then_some("sudo"))
            .args(["env", "DEBIAN_FRONTEND=noninteractive"])
            .args(words);
        command
    }
}

fn names(missing: &[Server]) -> &'static str {
    match missing {
        [Server::Redis] => "Redis is",
        [Server::Postgres] => "PostgreSQL is",
        _ => "Redis and PostgreSQL are",
    }
}

fn refusal(missing: &[Server], manager: Option<Manager>) -> String {
    let names = names(missing);
    match manager {
        Some(manager) => format!(
            "{names} not installed; run `{}`, then try again",
            manager.typed(missing)
        ),
        None => format!(
            "{names} not installed and there is no apt-get (as root or with sudo) or brew to do it; install Redis \
             6.2 or later and PostgreSQL so that redis-server, initdb and postgres are on the path, then try again"
        ),
    }
}

fn install(manager: Manager, missing: &[Server], log: &Path) -> Result<()> {
    let (names, typed) = (names(missing), manager.typed(missing));
    report::say(format!(
        "{names} not installed; installing now: {typed} (this may take a minute)"
    ));
    let step = Step::start();
    let is_apt = manager != Manager::Brew;
    let mut words = vec!["brew", "install"];
    if is_apt {
        // An old list of packages names versions that no longer exist. If it cannot be updated, the installation
        // itself reports the problem.
        let apt_get = ["apt-get", "-o", DPKG_LOCK_WAIT];
        let update = [&apt_get[..], &["update"]].concat();
        succeeds_logged(&mut manager.command(&update), log)?;
        words = [&apt_get[..], &["install", "-y", "--no-install-recommends"]].concat();
    }
    words.extend(manager.packages(missing));
    ensure!(
        succeeds_logged(&mut manager.command(&words), log)?,
        "`{typed}` failed{}",
        log_tail(log)
    );
    if is_apt {
        stop_services(manager, missing, log)?;
    }
    step.done(format!("installed with `{typed}`"));
    Ok(())
}

/// Debian starts what it installs. Nobody asked for these services, so they are stopped again; a machine that
/// already had them is never changed, because nothing is installed there.
fn stop_services(manager: Manager, installed: &[Server], log: &Path) -> Result<()> {
    let has_systemd = Path::new("/run/systemd/system").is_dir();
    for service in manager.packages(installed) {
        let script = format!("/etc/init.d/{service}");
        let words: &[&str] = if has_systemd {
            &["systemctl", "disable", "--now", service]
        } else if Path::new(&script).exists() {
            &[&script, "stop"]
        } else {
            continue;
        };
        // A service that is not running cannot be stopped, and need not be: our ports are our own.
        succeeds_logged(&mut manager.command(words), log)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_names_exactly_what_is_missing() {
        assert_eq!(
            refusal(&[Server::Redis], Some(Manager::AptWithSudo)),
            "Redis is not installed; run `sudo apt-get install redis-server`, then try again"
        );
        let both = refusal(&[Server::Redis, Server::Postgres], Some(Manager::Brew));
        assert!(
            both.contains("`brew install redis postgresql@17`"),
            "{both}"
        );
    }
}
