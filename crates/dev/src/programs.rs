//! Finding the servers' programs: on the path, and in the versioned folders of the distributions,
//! newest first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Result;

/// The oldest Redis with `XAUTOCLAIM`.
const REDIS_OLDEST: (u32, u32) = (6, 2);

/// The oldest whose `WAITAOF` confirms no more than it has fsynced.
const WAITAOF_SOUND_SINCE: (u32, u32) = (8, 0);

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
pub(crate) struct Postgres {
    /// Makes the data folder.
    pub(crate) initdb: PathBuf,
    /// The server.
    pub(crate) server: PathBuf,
    /// Its major version, such as 15.
    pub(crate) major: u32,
}

impl Postgres {
    /// The folder that holds them.
    pub(crate) fn folder(&self) -> &Path {
        self.server.parent().unwrap_or(Path::new("/"))
    }
}

/// `redis-server`, or nothing where there is none. A Redis that is too old is an error.
pub(crate) fn find_redis() -> Result<Option<PathBuf>> {
    let Some(server) = redis_folders()
        .map(|folder| folder.join("redis-server"))
        .find(|program| program.is_file())
    else {
        return Ok(None);
    };
    let answer = version_of(&server).unwrap_or_default();
    match redis_version(&answer) {
        Some(version) if version < REDIS_OLDEST => Err(format!(
            "{} is version {}.{}, and Harkara needs {}.{} or later; install a newer Redis or put one first on the path",
            server.display(),
            version.0,
            version.1,
            REDIS_OLDEST.0,
            REDIS_OLDEST.1,
        )
        .into()),
        // A version that cannot be read is given a try.
        _ => Ok(Some(server)),
    }
}

/// A Redis whose `WAITAOF` can be trusted, on this machine or in a `further` folder.
pub(crate) fn find_redis_with_waitaof(further: &Path) -> Option<PathBuf> {
    redis_folders()
        .chain([further.to_owned()])
        .map(|folder| folder.join("redis-server"))
        .filter(|program| program.is_file())
        .find(|program| {
            let version = version_of(program).and_then(|answer| redis_version(&answer));
            version.is_some_and(|version| version >= WAITAOF_SOUND_SINCE)
        })
}

fn redis_folders() -> impl Iterator<Item = PathBuf> {
    path_folders()
        .into_iter()
        .chain(REDIS_FOLDERS.map(PathBuf::from))
}

/// Every PostgreSQL of this machine: the path's first, then the newest first.
pub(crate) fn find_postgres() -> Vec<Postgres> {
    let mut versioned: Vec<PathBuf> = POSTGRES_FOLDERS.into_iter().flat_map(expand).collect();
    versioned.sort_by_key(|folder| std::cmp::Reverse(version_in(&folder.to_string_lossy())));
    path_folders()
        .into_iter()
        .chain(versioned)
        .filter_map(|folder| {
            let (initdb, server) = (folder.join("initdb"), folder.join("postgres"));
            if !initdb.is_file() || !server.is_file() {
                return None;
            }
            let major = postgres_major(&version_of(&server)?)?;
            Some(Postgres {
                initdb,
                server,
                major,
            })
        })
        .collect()
}

/// `promtool`, on the path or in a `further` folder.
pub(crate) fn find_promtool(further: &Path) -> Option<PathBuf> {
    path_folders()
        .into_iter()
        .chain([further.to_owned()])
        .map(|folder| folder.join("promtool"))
        .find(|program| program.is_file() && version_of(program).is_some())
}

/// Whether a program is on the path.
pub(crate) fn is_on_path(program: &str) -> bool {
    path_folders()
        .iter()
        .any(|folder| folder.join(program).is_file())
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
    node_version(&version_of(Path::new("node"))?)
}

fn path_folders() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// The folders that a pattern with one `*` names.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let after = after.trim_start_matches('/');
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(after))
        .filter(|folder| folder.is_dir())
        .collect()
}

fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last number in a path, which is its version: `/opt/homebrew/opt/postgresql@16/bin` gives 16.
fn version_in(path: &str) -> u32 {
    let numbers = path.split(|character: char| !character.is_ascii_digit());
    numbers
        .filter_map(|digits| digits.parse().ok())
        .next_back()
        .unwrap_or(0)
}

/// 15 from `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn postgres_major(answer: &str) -> Option<u32> {
    let (_, after) = answer.split_once("(PostgreSQL) ")?;
    after
        .split(|character: char| !character.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// 20 from `v20.18.1`.
fn node_version(answer: &str) -> Option<u32> {
    let (major, _) = answer.trim().strip_prefix('v')?.split_once('.')?;
    major.parse().ok()
}

/// (7, 0) from `Redis server v=7.0.15 sha=00000000:0 …`.
fn redis_version(answer: &str) -> Option<(u32, u32)> {
    let (_, after) = answer.split_once("v=")?;
    let mut numbers = after.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_programs_answers() {
        assert_eq!(
            postgres_major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(postgres_major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(
            redis_version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc\n"),
            Some((7, 0))
        );
        assert_eq!(redis_version(""), None);
        assert_eq!(node_version("v20.18.1\n"), Some(20));
        assert_eq!(node_version("20"), None);
    }

    #[test]
    fn newer_folders_sort_by_number() {
        assert_eq!(version_in("/usr/lib/postgresql/15/bin"), 15);
        assert_eq!(version_in("/opt/homebrew/opt/postgresql@9/bin"), 9);
        assert_eq!(version_in("/opt/homebrew/opt/postgresql/bin"), 0);
    }
}
