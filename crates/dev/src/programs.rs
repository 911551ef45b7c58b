//! Finds installed programs: on the path, and in the versioned folders of the distributions, newest first.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

/// A major and a minor version.
type Version = (u32, u32);

/// The oldest Redis with `XAUTOCLAIM`.
const REDIS_OLDEST: Version = (6, 2);

/// The oldest whose `WAITAOF` confirms only what it has fsynced.
const WAITAOF_SOUND_SINCE: Version = (8, 0);

/// The oldest PgBouncer that can keep prepared statements, which tests turn on and off.
const PGBOUNCER_OLDEST: Version = (1, 21);

/// Folders of PostgreSQL's programs; a `*` stands for a version.
const POSTGRES_FOLDERS: [&str; 7] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/opt/local/lib/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// Folders of `redis-server` beside those of the path.
const REDIS_FOLDERS: [&str; 5] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/redis/bin",
];

/// The programs of one PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostgresPrograms {
    /// The folder of `initdb` and `postgres`.
    pub(crate) folder: PathBuf,
    /// The major version, such as 15.
    pub(crate) major: u32,
}

/// `redis-server`, if installed. A Redis that is too old is an error.
pub(crate) fn find_redis() -> Result<Option<PathBuf>> {
    let Some(server) = redis_servers().next() else {
        return Ok(None);
    };
    // One whose version cannot be read gets a chance.
    if let Some((major, minor)) = version(&server) {
        let (oldest_major, oldest_minor) = REDIS_OLDEST;
        ensure!(
            (major, minor) >= REDIS_OLDEST,
            "{} is version {major}.{minor}, and Harkara needs {oldest_major}.{oldest_minor} or later; install a newer \
             Redis or put one first on the path",
            server.display(),
        );
    }
    Ok(Some(server))
}

/// A Redis whose `WAITAOF` can be trusted, installed or in another folder.
pub(crate) fn find_redis_with_waitaof(folder: &Path) -> Option<PathBuf> {
    let is_sound = |version| version >= WAITAOF_SOUND_SINCE;
    redis_servers()
        .chain(file(folder, "redis-server"))
        .find(|server| version(server).is_some_and(is_sound))
}

fn redis_servers() -> impl Iterator<Item = PathBuf> {
    let folders = path_folders().chain(REDIS_FOLDERS.map(PathBuf::from));
    folders.filter_map(|folder| file(&folder, "redis-server"))
}

/// Every installed PostgreSQL: the path's first, then the newest first.
pub(crate) fn find_postgres() -> Vec<PostgresPrograms> {
    let matching = POSTGRES_FOLDERS
        .into_iter()
        .filter_map(|it| glob::glob(it).ok());
    let mut versioned: Vec<PathBuf> = matching.flatten().flatten().collect();
    versioned.sort_by_key(|folder| Reverse(numbers(&folder.to_string_lossy()).last()));
    let programs = |folder: PathBuf| {
        file(&folder, "initdb")?;
        let (major, _) = version(&file(&folder, "postgres")?)?;
        Some(PostgresPrograms { folder, major })
    };
    path_folders()
        .chain(versioned)
        .filter_map(programs)
        .collect()
}

/// `promtool`, on the path or in another folder.
pub(crate) fn find_promtool(folder: &Path) -> Option<PathBuf> {
    path_folders()
        .chain([folder.to_owned()])
        .filter_map(|folder| file(&folder, "promtool"))
        .find(|program| version(program).is_some())
}

/// `pgbouncer`, on the path, where the distributions have it, or in another folder.
pub(crate) fn find_pgbouncer(folder: &Path) -> Option<PathBuf> {
    let is_new = |version| version >= PGBOUNCER_OLDEST;
    path_folders()
        .chain(["/usr/sbin".into(), folder.to_owned()])
        .filter_map(|folder| file(&folder, "pgbouncer"))
        .find(|program| version(program).is_some_and(is_new))
}

/// Whether a program is on the path.
pub(crate) fn is_on_path(program: &str) -> bool {
    path_folders().any(|folder| file(&folder, program).is_some())
}

/// Whether cargo-nextest is installed and runs.
pub(crate) fn has_nextest() -> bool {
    is_on_path("cargo-nextest")
        && Command::new("cargo-nextest")
            .args(["nextest", "--version"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

/// The major version of the Node.js on the path, such as 20.
pub(crate) fn node_major() -> Option<u32> {
    version(Path::new("node")).map(|(major, _)| major)
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.into_iter()
}

fn file(folder: &Path, name: &str) -> Option<PathBuf> {
    Some(folder.join(name)).filter(|path| path.is_file())
}

/// The version that a program prints; one without a minor version is (18, 0).
fn version(program: &Path) -> Option<Version> {
    let mut command = Command::new(program);
    let output = command
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    version_in(&String::from_utf8_lossy(&output.stdout))
}

/// The first two numbers.
fn version_in(text: &str) -> Option<Version> {
    // `postgres (PostgreSQL) 18beta1` has no minor version, and neither is 1.
    let word = text
        .split_whitespace()
        .find(|word| word.contains(|it: char| it.is_ascii_digit()))?;
    let (major, minor) = word.split_once('.').unwrap_or((word, "0"));
    Some((
        numbers(major).next()?,
        numbers(minor).next().unwrap_or_default(),
    ))
}

/// The numbers in a text; that of `/opt/homebrew/opt/postgresql@16/bin` is 16.
fn numbers(text: &str) -> impl Iterator<Item = u32> {
    let digits = text.split(|it: char| !it.is_ascii_digit());
    digits.filter_map(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_programs_output() {
        for (output, expected) in [
            (
                "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                Some((15, 14)),
            ),
            ("postgres (PostgreSQL) 18beta1\n", Some((18, 0))),
            (
                "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc\n",
                Some((7, 0)),
            ),
            ("v20.18.1\n", Some((20, 18))),
            ("promtool, version 2.42.0 (branch: debian)\n", Some((2, 42))),
            ("PgBouncer 1.24.1\nlibevent 2.1.13-stable\n", Some((1, 24))),
            ("", None),
            ("Redis server", None),
        ] {
            assert_eq!(version_in(output), expected, "{output}");
        }
    }

    #[test]
    fn folders_have_the_last_number_as_their_version() {
        for (folder, version) in [
            ("/usr/lib/postgresql/15/bin", Some(15)),
            ("/opt/homebrew/opt/postgresql@9/bin", Some(9)),
            ("/opt/homebrew/opt/postgresql/bin", None),
        ] {
            assert_eq!(numbers(folder).last(), version);
        }
    }
}
