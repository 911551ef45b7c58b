//! The temporary folder and the private servers of one run of the tests or of the benchmark. Both
//! end with it; what a killed run left is ended and removed by the next.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result, While as _};
use crate::install::Programs;
use crate::service::{Kind, Places, Services};
use crate::unprivileged::Account;
use crate::{addresses, memory_disk, pid_file, postgres, redis, report};

/// A port found free may be taken by somebody else before the server has it; then another is tried.
const START_ATTEMPTS: u32 = 3;
/// The file in it that its process holds locked as long as it lives.
const LOCK: &str = "lock";

/// What a sandbox is for, which decides its place and its servers' settings.
pub(crate) struct Profile {
    /// The name of its folders, followed by the number of the process that made each.
    name: &'static str,
    /// Settings of Redis.
    redis: &'static [redis::Setting],
    /// Settings of PostgreSQL.
    postgres: &'static [&'static str],
    /// Whether what is written must reach a disk.
    needs_disk: bool,
}

/// For tests: fast servers for many at once.
pub(crate) const TESTS: Profile = Profile {
    name: "harkara-test-",
    redis: &redis::FOR_TESTS,
    postgres: &postgres::FAST,
    needs_disk: false,
};

/// For the benchmark: durable servers, as in production.
pub(crate) const BENCHMARK: Profile = Profile {
    name: "harkara-bench-",
    redis: &redis::MEASURED,
    postgres: &postgres::MEASURED,
    needs_disk: true,
};

/// The folder of one run; removed when dropped.
#[must_use = "the folder is removed when this is dropped"]
pub(crate) struct Sandbox {
    folder: PathBuf,
    account: Option<Account>,
    profile: &'static Profile,
    _lock: File,
}

impl Sandbox {
    /// Makes a folder, after removing those that killed runs have left.
    pub(crate) fn make(profile: &'static Profile) -> Result<Self> {
        let account = Account::for_postgres()?;
        let parent = parent(profile, account);
        sweep(&parent, profile);
        let folder = parent.join(format!("{}{}", profile.name, std::process::id()));
        let making = || format!("make the folder {}", folder.display());
        fs::create_dir(&folder).or_cannot(making)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).or_cannot(making)?;
        // The lock appears under its name only when it is held, so nobody takes the folder for a
        // killed run's in between.
        let unheld = folder.join("lock.unheld");
        let lock = File::create_new(&unheld).or_cannot(making)?;
        lock.lock().or_cannot(making)?;
        fs::rename(&unheld, folder.join(LOCK)).or_cannot(making)?;
        Ok(Self {
            folder,
            account,
            profile,
            _lock: lock,
        })
    }

    /// Starts both servers and waits until they are ready.
    pub(crate) fn start(&self, programs: &Programs) -> Result<PrivateServers> {
        let mut attempt = 1;
        loop {
            match self.start_once(programs) {
                Err(Failure::Said(sentence)) if attempt < START_ATTEMPTS => {
                    report::say(format!("trying other ports, because {sentence}"));
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn start_once(&self, programs: &Programs) -> Result<PrivateServers> {
        let places = Places {
            logs: &self.folder,
            run: &self.folder,
        };
        let (redis_port, postgres_port) = (addresses::free_port()?, addresses::free_port()?);
        let mut services = Services::none(false);
        let data = self.folder.join("redis");
        services.add(redis::start(
            &programs.redis,
            &data,
            redis_port,
            self.profile.redis,
            &places,
        )?);
        let home = self.folder.join("postgres");
        postgres::make_home(&home, self.account)?;
        let programs = programs.postgres.first().ok_or("there is no PostgreSQL")?;
        let plan = postgres::Plan {
            programs,
            home: &home,
            account: self.account,
            port: postgres_port,
            settings: self.profile.postgres,
            places: &places,
        };
        postgres::wait_until_ready(services.add(plan.start()?), &home)?;
        let redis = services.of(Kind::Redis).ok_or("Redis was not started")?;
        redis::wait_until_ready(redis, redis_port)?;
        Ok(PrivateServers {
            services,
            redis_url: redis::url(redis_port),
            postgres_url: postgres::url(postgres_port),
            postgres_programs: programs.folder().to_owned(),
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            report::complain(&format!("cannot remove {}: {error}", self.folder.display()));
        }
    }
}

/// Running servers; they end when dropped.
pub(crate) struct PrivateServers {
    /// The processes.
    pub(crate) services: Services,
    /// Where Redis is found.
    pub(crate) redis_url: String,
    /// Where PostgreSQL is found.
    pub(crate) postgres_url: String,
    /// The folder of its programs, for tests that start a server of their own.
    pub(crate) postgres_programs: PathBuf,
}

/// The system's temporary folder, unless PostgreSQL's account cannot reach it, or it is in memory
/// where a disk is needed.
fn parent(profile: &Profile, account: Option<Account>) -> PathBuf {
    let usual = std::env::temp_dir();
    let other = PathBuf::from("/var/tmp");
    let reachable = |folder: &Path| account.is_none_or(|account| account.can_reach(folder));
    let suits =
        |folder: &Path| reachable(folder) && !(profile.needs_disk && memory_disk::holds(folder));
    if suits(&usual) {
        return usual;
    }
    if profile.needs_disk && !suits(&other) {
        report::say(format!(
            "{} and {} are in memory, where waiting for the disk costs nothing: the figures of what is made \
             durable will be too good; set TMPDIR to a folder on a disk",
            usual.display(),
            other.display()
        ));
    }
    other
}

/// Ends the servers and removes the folders of runs that are no more. Folders of other users, and
/// of runs that hold their lock, are left alone.
fn sweep(parent: &Path, profile: &Profile) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let folder = entry.path();
        let ours = entry
            .file_name()
            .to_string_lossy()
            .starts_with(profile.name)
            && fs::symlink_metadata(&folder)
                .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own);
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            continue;
        };
        if !ours || lock.try_lock().is_err() {
            continue;
        }
        for remembered in pid_file::read_all(&folder) {
            if let Err(Failure::Said(sentence)) = remembered.end(&folder) {
                report::complain(&sentence);
            }
        }
        if let Err(error) = fs::remove_dir_all(&folder) {
            report::complain(&format!(
                "cannot remove {}, left by a killed run: {error}",
                folder.display()
            ));
        }
    }
}
