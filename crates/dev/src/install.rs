//! Installing the servers' programs with the system's package manager, after saying so.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result, While as _};
use crate::interrupt;
use crate::programs::{self, Postgres};
use crate::report::{self, Step};

/// How long apt-get waits for another package manager at work, in seconds.
const DPKG_LOCK_WAIT: &str = "DPkg::Lock::Timeout=120";

/// The servers' programs.
pub(crate) struct Programs {
    /// `redis-server`.
    pub(crate) redis: std::path::PathBuf,
    /// Every PostgreSQL there is, the preferred one first; at least one.
    pub(crate) postgres: Vec<Postgres>,
}

/// A server that may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Redis,
    Postgres,
}

/// Finds the programs, installing what is missing if that is allowed. What the package manager
/// says goes to `install.log` in the folder `logs`.
pub(crate) fn find_or_install(allowed: bool, logs: &Path) -> Result<Programs> {
    let missing = missing()?;
    if !missing.is_empty() {
        let manager = Manager::find();
        let Some(manager) = manager.filter(|_| allowed) else {
            return Err(refusal(&missing, manager).into());
        };
        install(manager, &missing, logs)?;
    }
    let redis = programs::find_redis()?;
    let postgres = programs::find_postgres();
    match redis {
        Some(redis) if !postgres.is_empty() => Ok(Programs { redis, postgres }),
        _ => Err(format!(
            "{} still missing after the installation; its words are in {}",
            names(&self::missing()?),
            logs.join("install.log").display()
        )
        .into()),
    }
}

fn missing() -> Result<Vec<Server>> {
    let mut missing = Vec::new();
    if programs::find_redis()?.is_none() {
        missing.push(Server::Redis);
    }
    if programs::find_postgres().is_empty() {
        missing.push(Server::Postgres);
    }
    Ok(missing)
}

/// A package manager we know how to ask.
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

    fn package(self, server: Server) -> &'static str {
        match (self, server) {
            (Self::AptAsRoot | Self::AptWithSudo, Server::Redis) => "redis-server",
            (Self::AptAsRoot | Self::AptWithSudo, Server::Postgres) => "postgresql",
            (Self::Brew, Server::Redis) => "redis",
            (Self::Brew, Server::Postgres) => "postgresql@17",
        }
    }

    /// The command a person would type.
    fn spoken(self, missing: &[Server]) -> String {
        let packages: Vec<&str> = missing.iter().map(|&server| self.package(server)).collect();
        let command = match self {
            Self::AptAsRoot => "apt-get install",
            Self::AptWithSudo => "sudo apt-get install",
            Self::Brew => "brew install",
        };
        format!("{command} {}", packages.join(" "))
    }

    /// The command with these words, without questions.
    fn command(self, words: &[&str]) -> Command {
        let mut command = match self {
            Self::AptAsRoot => Command::new("apt-get"),
            Self::AptWithSudo => {
                let mut command = Command::new("sudo");
                command.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
                command
            }
            Self::Brew => Command::new("brew"),
        };
        command.env("DEBIAN_FRONTEND", "noninteractive").args(words);
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
            manager.spoken(missing)
        ),
        None => format!(
            "{names} not installed and there is no apt-get (as root or with sudo) or brew to do it; install Redis \
             6.2 or later and PostgreSQL so that redis-server, initdb and postgres are on the path, then try again"
        ),
    }
}

fn install(manager: Manager, missing: &[Server], logs: &Path) -> Result<()> {
    let spoken = manager.spoken(missing);
    report::say(format!(
        "{} not installed; installing now: {spoken} (this may take a minute)",
        names(missing)
    ));
    let step = Step::start();
    let log = logs.join("install.log");
    let packages: Vec<&str> = missing
        .iter()
        .map(|&server| manager.package(server))
        .collect();
    let mut words = vec!["install"];
    if manager != Manager::Brew {
        // An old list of packages names versions that are gone. If it cannot be renewed, the
        // installation itself will say what is wrong.
        run(manager.command(&["-o", DPKG_LOCK_WAIT, "update"]), &log)?;
        words.extend(["-y", "--no-install-recommends", "-o", DPKG_LOCK_WAIT]);
    }
    words.extend(packages);
    if !run(manager.command(&words), &log)? {
        return Err(format!("`{spoken}` failed{}", report::tail(&log)).into());
    }
    if manager != Manager::Brew {
        stop_services(manager, missing, &log)?;
    }
    step.done(format!("installed with `{spoken}`"));
    Ok(())
}

/// Debian starts what it installs. Nobody asked for these services, so they end again; a machine
/// that already had them is never changed, for there nothing is installed.
fn stop_services(manager: Manager, installed: &[Server], log: &Path) -> Result<()> {
    let has_systemd = Path::new("/run/systemd/system").is_dir();
    for &server in installed {
        let service = manager.package(server);
        let script = format!("/etc/init.d/{service}");
        let words: Vec<&str> = if has_systemd {
            vec!["systemctl", "disable", "--now", service]
        } else if Path::new(&script).exists() {
            vec![&script, "stop"]
        } else {
            continue;
        };
        let mut command = match manager {
            Manager::AptWithSudo => Command::new("sudo"),
            Manager::AptAsRoot | Manager::Brew => Command::new("env"),
        };
        command.args(words);
        // A service that is not running cannot be stopped, and need not be: our ports are our own.
        run(command, log)?;
    }
    Ok(())
}

/// Runs a command with its words at the end of the log. Returns whether it succeeded.
pub(crate) fn run(mut command: Command, log: &Path) -> Result<bool> {
    let writing = || format!("write {}", log.display());
    let output = File::options()
        .create(true)
        .append(true)
        .open(log)
        .or_cannot(writing)?;
    let errors = output.try_clone().or_cannot(writing)?;
    let status = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .status()
        .or_cannot(|| format!("run {}", command.get_program().display()))?;
    if interrupt::requested() {
        return Err(Failure::Interrupted);
    }
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_names_exactly_what_is_missing() {
        let sentence = refusal(&[Server::Redis], Some(Manager::AptWithSudo));
        assert_eq!(
            sentence,
            "Redis is not installed; run `sudo apt-get install redis-server`, then try again"
        );
        let sentence = refusal(&[Server::Redis, Server::Postgres], Some(Manager::Brew));
        assert!(
            sentence.contains("`brew install redis postgresql@17`"),
            "{sentence}"
        );
    }
}
