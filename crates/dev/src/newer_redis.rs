//! A Redis that has `WAITAOF`, for the tests of what it confirms: 7.2 or later, or Valkey. Where the
//! distribution's Redis is older, Valkey is fetched from the distribution's own archive, which apt-get
//! checks against the keys of this machine, and unpacked under `.dev/`. Nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checkout::{self, Checkout};
use crate::failure::{Failure, Result, While as _};
use crate::report::{self, Step};
use crate::{install, programs};

/// The folder in `.dev` that holds what was fetched.
const FOLDER: &str = "valkey";

/// The folder of the programs in it.
const PROGRAMS: &str = "usr/bin";

/// The server, and the package with the program that it is a link to.
const PACKAGES: [&str; 2] = ["valkey-server", "valkey-tools"];

/// What apt-get is to tell of an archive that it knows.
const ARCHIVE_FORMAT: &str = "$(ORIGIN) $(REPO_URI) $(CODENAME)";

const REMEDY: &str = "put a redis-server of version 7.2 or later, or a valkey-server, on the path";

/// The server of this machine, or that of an earlier run, or one that is fetched now if that is `allowed`.
/// Nothing where fetching has failed, which is told: then the tests that need it fail, and no others.
pub(crate) fn find_or_fetch(allowed: bool, checkout: &Checkout) -> Result<Option<PathBuf>> {
    let dev = checkout.dev()?;
    let folder = dev.join(FOLDER);
    let find = || programs::find_redis_with_waitaof(&folder.join(PROGRAMS));
    if let Some(server) = find() {
        return Ok(Some(server));
    }
    if !allowed {
        return Err(format!(
            "the tests need a Redis that has WAITAOF, and there is none; {REMEDY}"
        )
        .into());
    }
    report::say(format!(
        "this machine has no Redis that has WAITAOF; fetching {} into {} now",
        PACKAGES.join(" and "),
        checkout.shown(&folder)
    ));
    let step = Step::start();
    let log = checkout.logs()?.join("fetch.log");
    let why_not = match fetch(&folder, &log) {
        Ok(()) => "what was fetched does not run here, or is too old".to_owned(),
        Err(Failure::Said(sentence)) => sentence,
        Err(interrupted) => return Err(interrupted),
    };
    let server = find();
    if server.is_some() {
        step.done("a Redis that has WAITAOF is there");
    } else {
        report::complain(&format!(
            "the tests that need a Redis that has WAITAOF will fail ({REMEDY}): {why_not}"
        ));
    }
    Ok(server)
}

/// Fetches the packages and unpacks them.
fn fetch(folder: &Path, log: &Path) -> Result<()> {
    let archive = archive().ok_or("only the archives of Debian and Ubuntu are known")?;
    // Under the name of this process until it is whole: others may be fetching too.
    let work = folder.with_extension(std::process::id().to_string());
    let unpacked = work.join("unpacked");
    let fetched = download(&archive, &work, log).and_then(|packages| {
        checkout::make_passable(&unpacked)?;
        for package in packages {
            let mut command = Command::new("dpkg-deb");
            command.arg("--extract").arg(package).arg(&unpacked);
            run(command, log)?;
        }
        remove(folder)?;
        fs::rename(&unpacked, folder).or_cannot(|| format!("make {}", folder.display()))
    });
    remove(&work)?;
    fetched
}

/// Downloads the packages into a folder and gives their paths.
fn download(archive: &str, work: &Path, log: &Path) -> Result<Vec<PathBuf>> {
    let lists = work.join("lists");
    checkout::make_passable(&lists.join("partial"))?;
    let sources = work.join("sources.list");
    fs::write(&sources, archive).or_cannot(|| format!("write {}", sources.display()))?;
    for words in [&["update"][..], &["download", PACKAGES[0], PACKAGES[1]]] {
        let mut command = Command::new("apt-get");
        command.current_dir(work).args(words);
        // Lists of its own: those of the system stay as they are, and need not be there.
        for (option, path) in [
            ("Dir::Etc::SourceList", sources.as_path()),
            ("Dir::Etc::SourceParts", Path::new("/dev/null")),
            ("Dir::State::Lists", &lists),
            ("Dir::Cache", work),
        ] {
            command.arg(format!("-o{option}={}", path.display()));
        }
        run(command, log)?;
    }
    let files = fs::read_dir(work).or_cannot(|| format!("read {}", work.display()))?;
    Ok(files
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect())
}

fn run(command: Command, log: &Path) -> Result<()> {
    let program = command.get_program().display().to_string();
    if install::run(command, log)? {
        return Ok(());
    }
    Err(format!("{program} failed{}", report::tail(log)).into())
}

/// A line for apt-get that names where this machine's distribution keeps newer packages, at the mirror
/// that this machine uses.
fn archive() -> Option<String> {
    let output = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            ARCHIVE_FORMAT,
            "Created-By: Packages",
        ])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(source)
}

/// That line, made of one of apt-get's about an archive.
fn source(told: &str) -> Option<String> {
    let mut words = told.split_whitespace();
    let (origin, mirror, codename) = (words.next()?, words.next()?, words.next()?);
    match origin {
        // Those that end so are of updates alone, in Debian's case at another place too.
        "Debian" if !codename.contains('-') => {
            Some(format!("deb {mirror} {codename}-backports main\n"))
        }
        "Ubuntu" => Some(format!(
            "deb {mirror} {codename} universe\ndeb {mirror} {codename}-updates universe\n"
        )),
        _ => None,
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_cannot(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn newer_packages_come_from_the_mirror_of_this_machine() {
        assert_eq!(
            source("Debian http://mirror/debian/ bookworm").as_deref(),
            Some("deb http://mirror/debian/ bookworm-backports main\n")
        );
        assert_eq!(
            source("Ubuntu http://mirror/ubuntu/ noble").as_deref(),
            Some(
                "deb http://mirror/ubuntu/ noble universe\ndeb http://mirror/ubuntu/ noble-updates universe\n"
            )
        );
        for other in [
            "Debian http://mirror/security/ bookworm-security",
            "Somebody http://mirror/apt/ stable",
            "",
        ] {
            assert_eq!(source(other), None);
        }
    }
}
