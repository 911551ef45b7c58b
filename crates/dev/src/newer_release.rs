//! Programs of a later release of the distribution, fetched with its libraries where this machine's are missing or
//! older: a Redis whose `WAITAOF` confirms only what it has fsynced, and a PgBouncer that can keep statements.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::fetched::{Fetched, Source};
use crate::programs;

/// The server of this machine, or a fetched one.
pub(crate) const NEWER_REDIS: Fetched = Fetched {
    name: "a Redis of version 8.0 or later",
    folder: "redis-8",
    remedy: "put a redis-server of version 8.0 or later on the path",
    find: programs::find_redis_with_waitaof,
    package: "redis-server",
    source: || archive().map(Source::Release),
    finish: |folder| write_script(folder, "bin", "redis-server"),
};

/// The pooler of this machine, or a fetched one.
pub(crate) const PGBOUNCER: Fetched = Fetched {
    name: "a PgBouncer of version 1.21 or later",
    folder: "pgbouncer",
    remedy: "put a pgbouncer of version 1.21 or later on the path",
    find: programs::find_pgbouncer,
    package: "pgbouncer",
    source: || archive().map(Source::Release),
    finish: |folder| write_script(folder, "sbin", "pgbouncer"),
};

/// Runs a fetched program with its fetched libraries.
const SCRIPT: &str = r#"#!/bin/sh
folder=${0%/*}
libraries=$(echo "$folder"/usr/lib/*-linux-gnu*)
exec "$libraries"/ld-linux-*.so.* --library-path "$libraries" "$folder"/usr/PROGRAM "$@"
"#;

/// What apt-get prints about an archive.
const ARCHIVE_FORMAT: &str = "$(ORIGIN) $(REPO_URI)";

/// The releases with both, and their components that contain them.
const RELEASES: [(&str, &str); 2] = [
    ("Debian", "trixie main"),
    ("Ubuntu", "resolute main universe"),
];

/// Writes the script of a program into the folder with the unpacked files.
fn write_script(folder: &Path, programs: &str, name: &str) -> Result<()> {
    let script = folder.join(name);
    let text = SCRIPT.replace("PROGRAM", &format!("{programs}/{name}"));
    fs::write(&script, text)
        .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", script.display()))
}

/// A line of `sources.list` for the later release, at the mirror of this machine.
fn archive() -> Option<String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", ARCHIVE_FORMAT])
        .arg("Created-By: Packages")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(source)
}

/// That line, from one of apt-get's about an archive.
fn source(archive: &str) -> Option<String> {
    let (origin, mirror) = archive.split_once(' ')?;
    let (_, release) = RELEASES.iter().find(|(other, _)| *other == origin)?;
    // The archive of security fixes has no complete release.
    (!mirror.contains("security")).then(|| format!("deb {mirror} {release}\n"))
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn a_later_release_comes_from_the_mirror_of_this_machine() {
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
