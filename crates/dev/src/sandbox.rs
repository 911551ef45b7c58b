//! The temporary folder and the private servers of one run of the tests or the benchmark. Both end with it; what
//! a killed run left is stopped and removed by the next.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use harkara_launcher::{Account, Postgres, free_port};

use crate::install::Programs;
use crate::interrupt::Interrupted;
use crate::report;
use crate::servers;
use crate::services::{Recorded, Services};

/// A free port may be taken by somebody else before the server has it; then another is tried.
const START_ATTEMPTS: u32 = 3;
/// The file in the folder that its process holds locked as long as it lives.
const LOCK: &str = "lock";

/// The benchmark, whose quick form is a test, reads when each transaction was committed.
const COMMIT_TIMES: &str = "track_commit_timestamp=on";

/// What a sandbox is for, which decides its place and what its servers have beyond the settings of production.
pub(crate) struct Profile {
    /// The name of its folders, followed by the process id of the run.
    name: &'static str,
    /// Whether written data must reach a disk.
    needs_disk: bool,
    /// Arguments of Redis.
    redis: &'static [&'static str],
    /// Settings of PostgreSQL.
    postgres: &'static [&'static str],
}

/// For tests, which throw the data away, so that nothing waits for the disk. Many connect at the same time, and
/// each takes a logical Redis database of its own.
pub(crate) const TESTS: &Profile = &Profile {
    name: "harkara-test-",
    needs_disk: false,
    redis: &["--databases", "4096"],
    postgres: &[
        COMMIT_TIMES,
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=300",
    ],
};

/// For the benchmark: durable as in production, with room enough that no eviction, checkpoint or rewrite of the
/// append-only file in the middle of a run distorts its figure.
pub(crate) const BENCHMARK: &Profile = &Profile {
    name: "harkara-bench-",
    needs_disk: true,
    redis: &["--auto-aof-rewrite-percentage", "0"],
    postgres: &[
        COMMIT_TIMES,
        "shared_buffers=1GB",
        "max_wal_size=8GB",
        "checkpoint_timeout=30min",
        "max_connections=100",
    ],
};

/// The folder of one run; removed when dropped.
#[must_use = "the folder is removed when this is dropped"]
pub(crate) struct Sandbox {
    folder: PathBuf,
    account: Option<Account>,
    profile: &'static Profile,
    _lock: File,
}

/// Running servers; they end when dropped.
pub(crate) struct PrivateServers {
    /// The processes.
    pub(crate) services: Services,
    /// The URL of Redis.
    pub(crate) redis_url: String,
    /// The URL of PostgreSQL.
    pub(crate) postgres_url: String,
}

impl Sandbox {
    /// Creates a folder, after removing those that killed runs have left.
    pub(crate) fn create(profile: &'static Profile) -> Result<Self> {
        let account = Account::for_postgres()?;
        let parent = parent(profile, account);
        sweep(&parent, profile);
        let folder = parent.join(format!("{}{}", profile.name, std::process::id()));
        let creating = || format!("cannot create {}", folder.display());
        fs::create_dir(&folder).with_context(creating)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).with_context(creating)?;
        // The lock gets its name only once it is held, so that nobody mistakes the folder for a killed run's.
        let unheld = folder.join("lock.unheld");
        let lock = File::create_new(&unheld).with_context(creating)?;
        lock.lock().with_context(creating)?;
        fs::rename(&unheld, folder.join(LOCK)).with_context(creating)?;
        Ok(Self {
            folder,
            account,
            profile,
            _lock: lock,
        })
    }

    /// Starts both servers and waits until they are ready.
    pub(crate) fn start(&self, programs: &Programs) -> Result<PrivateServers> {
        for _ in 1..START_ATTEMPTS {
            match self.start_once(programs) {
                Err(error) if !error.is::<Interrupted>() => {
                    report::say(format!("trying other ports: {error:#}"));
                }
                outcome => return outcome,
            }
        }
        self.start_once(programs)
    }

    fn start_once(&self, programs: &Programs) -> Result<PrivateServers> {
        let (folder, profile) = (&self.folder, self.profile);
        let mut services = Services::new(folder, folder, false);
        let redis_port = free_port()?;
        let data = folder.join("redis");
        servers::start_redis(
            &mut services,
            &programs.redis,
            &data,
            redis_port,
            profile.redis,
        )?;
        let postgres = Postgres {
            programs: programs.postgres_folder().to_owned(),
            home: folder.join("postgres"),
            account: self.account,
            port: free_port()?,
            settings: servers::owned(profile.postgres),
        };
        postgres.create_home()?;
        servers::start_postgres(&mut services, &postgres)?;
        Ok(PrivateServers {
            services,
            redis_url: servers::redis_url(redis_port),
            postgres_url: postgres.url(),
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// The system's temporary folder, unless PostgreSQL's account cannot reach it, or it is in memory although a disk
/// is needed.
fn parent(profile: &Profile, account: Option<Account>) -> PathBuf {
    let (usual, other) = (std::env::temp_dir(), PathBuf::from("/var/tmp"));
    let suits = |folder: &Path| {
        let is_reachable = account.is_none_or(|account| account.can_reach(folder));
        is_reachable && !(profile.needs_disk && is_in_memory(folder))
    };
    if suits(&usual) {
        return usual;
    }
    if profile.needs_disk && !suits(&other) {
        report::say(format!(
            "{} and {} are in memory, where waiting for the disk costs nothing: the figures of durable writes will \
             be too good; set TMPDIR to a folder on a disk",
            usual.display(),
            other.display()
        ));
    }
    other
}

/// Whether the folder's file system keeps its files in memory. One that cannot be asked does not.
#[cfg(target_os = "linux")]
fn is_in_memory(folder: &Path) -> bool {
    // TMPFS_MAGIC of `man 2 statfs`; the type of the field differs between architectures.
    rustix::fs::statfs(folder).is_ok_and(|found| found.f_type == 0x0102_1994)
}

/// No other system keeps its temporary folder in memory by default.
#[cfg(not(target_os = "linux"))]
fn is_in_memory(_folder: &Path) -> bool {
    false
}

/// Stops the servers and removes the folders of runs that no longer exist. Folders of other users, and of runs
/// that hold their lock, are left alone.
fn sweep(parent: &Path, profile: &Profile) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let folder = entry.path();
        let name = entry.file_name();
        let is_ours = name.to_string_lossy().starts_with(profile.name)
            && fs::symlink_metadata(&folder).is_ok_and(|it| it.is_dir() && it.uid() == own);
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            continue;
        };
        if !is_ours || lock.try_lock().is_err() {
            continue;
        }
        for process in Recorded::read_all(&folder) {
            if let Err(error) = process.stop(&folder) {
                report::complain(&format!("{error:#}"));
            }
        }
        remove(&folder);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        report::complain(&format!("cannot remove {}: {error}", folder.display()));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_differs_from_disk() {
        let shared_memory = Path::new("/dev/shm");
        if shared_memory.is_dir() {
            assert!(is_in_memory(shared_memory));
        }
        assert!(!is_in_memory(Path::new("/proc")));
        assert!(!is_in_memory(Path::new("/nonexistent")));
    }
}
