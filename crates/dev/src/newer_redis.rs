//! A Redis whose `WAITAOF` confirms no more than it has fsynced, for the tests of what it confirms. Where
//! the distribution's Redis is older, that of a later release is fetched from the same archive, with the
//! libraries it needs. apt-get checks it all against the keys of this machine; nothing is installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checkout::{self, Checkout};
use crate::failure::{Failure, Result, While as _};
use crate::report::{self, Step};
use crate::{install, programs};

/// The folder in `.dev` that holds what was fetched.
const FOLDER: &str = "redis-8";

/// The program in it, which runs the fetched one with the libraries that were fetched with it.
const PROGRAM: &str = "redis-server";
const SCRIPT: &str = r#"#!/bin/sh
folder=${0%/*}
libraries=$(echo "$folder"/usr/lib/*-linux-gnu*)
exec "$libraries"/ld-linux-*.so.* --library-path "$libraries" "$folder"/usr/bin/redis-server "$@"
"#;

/// What apt-get is to tell of an archive that it knows.
const ARCHIVE_FORMAT: &str = "$(ORIGIN) $(REPO_URI)";

/// The releases with Redis 8, and the parts of them that hold it.
const RELEASES: [(&str, &str); 2] = [
    ("Debian", "trixie main"),
    ("Ubuntu", "resolute main universe"),
];

/// Without what some machines would fetch besides.
const NO_EXTRAS: [&str; 2] = [
    "-oAcquire::Languages=none",
    "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
];

const REMEDY: &str = "put a redis-server of version 8.0 or later on the path";

/// The server of this machine, or that of an earlier run, or one that is fetched now if that is `allowed`.
/// Nothing where fetching has failed, which is told: then the tests that need it fail, and no others.
pub(crate) fn find_or_fetch(allowed: bool, checkout: &Checkout) -> Result<Option<PathBuf>> {
    let folder = checkout.dev()?.join(FOLDER);
    let find = || programs::find_redis_with_waitaof(&folder);
    if let Some(server) = find() {
        return Ok(Some(server));
    }
    if !allowed {
        return Err(format!("some tests need a newer Redis than there is; {REMEDY}").into());
    }
    report::say(format!(
        "the Redis of this machine is older than 8.0; fetching a newer one for some tests into {} now",
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
        step.done("a newer Redis is there");
    } else {
        report::complain(&format!(
            "the tests that need a newer Redis will fail ({REMEDY}): {why_not}"
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
    let fetched = download(&archive, &work, log)
        .and_then(|packages| unpack(&packages, &unpacked, log))
        .and_then(|()| remove(folder))
        .and_then(|()| {
            fs::rename(&unpacked, folder).or_cannot(|| format!("make {}", folder.display()))
        });
    remove(&work)?;
    fetched
}

/// Downloads Redis and all it needs, and gives the packages' paths.
fn download(archive: &str, work: &Path, log: &Path) -> Result<Vec<PathBuf>> {
    let (lists, packages) = (work.join("lists"), work.join("packages"));
    for folder in [&lists, &packages] {
        checkout::make_passable(&folder.join("partial"))?;
    }
    let (sources, installed) = (work.join("sources.list"), work.join("status"));
    fs::write(&sources, archive).or_cannot(|| format!("write {}", sources.display()))?;
    // As if nothing were installed: this machine's libraries are too old.
    fs::write(&installed, "").or_cannot(|| format!("write {}", installed.display()))?;
    for words in [
        &["update"][..],
        &[
            "install",
            "--download-only",
            "--yes",
            "--no-install-recommends",
            "redis-server",
        ],
    ] {
        let mut command = Command::new("apt-get");
        command.args(words).args(NO_EXTRAS);
        // Lists of its own: those of the system stay as they are, and need not be there.
        for (option, path) in [
            ("Dir::Etc::SourceList", sources.as_path()),
            ("Dir::Etc::SourceParts", Path::new("/dev/null")),
            ("Dir::State", work),
            ("Dir::State::status", &installed),
            ("Dir::State::Lists", &lists),
            ("Dir::Cache", work),
            ("Dir::Cache::archives", &packages),
        ] {
            command.arg(format!("-o{option}={}", path.display()));
        }
        run(command, log)?;
    }
    let files = fs::read_dir(&packages).or_cannot(|| format!("read {}", packages.display()))?;
    Ok(files
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect())
}

fn unpack(packages: &[PathBuf], folder: &Path, log: &Path) -> Result<()> {
    checkout::make_passable(folder)?;
    for package in packages {
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(package).arg(folder);
        run(command, log)?;
    }
    let program = folder.join(PROGRAM);
    let writing = || format!("write {}", program.display());
    fs::write(&program, SCRIPT).or_cannot(writing)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).or_cannot(writing)
}

fn run(command: Command, log: &Path) -> Result<()> {
    let program = command.get_program().display().to_string();
    if install::run(command, log)? {
        return Ok(());
    }
    Err(format!("{program} failed{}", report::tail(log)).into())
}

/// A line for apt-get that names the release with a newer Redis, at the mirror that this machine uses.
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
    let (origin, mirror) = told.split_once(' ')?;
    let (_, release) = RELEASES.iter().find(|(other, _)| *other == origin)?;
    // Fixes of security flaws have an archive of their own, where no release is whole.
    (!mirror.contains("security")).then(|| format!("deb {mirror} {release}\n"))
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
    fn a_newer_redis_comes_from_the_mirror_of_this_machine() {
        assert_eq!(
            source("Debian http://mirror/debian/").as_deref(),
            Some("deb http://mirror/debian/ trixie main\n")
        );
        for other in [
            "Debian http://mirror/debian-security/",
            "Somebody http://mirror/",
            "",
        ] {
            assert_eq!(source(other), None);
        }
    }
}
