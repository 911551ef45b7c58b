//! The temporary folder and the private servers of one test run. Both end with it; what a killed
//! run left is ended and removed by the next.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result, While as _};
use crate::install::Programs;
use crate::service::{Kind, Places, Services};
use crate::unprivileged::Account;
use crate::{addresses, pid_file, postgres, redis, report};

/// Each test takes a logical database of its own.
const REDIS_DATABASES: u32 = 4096;
/// A port found free may be taken by somebody else before the server has it; then another is tried.
const START_ATTEMPTS: u32 = 3;
/// The name of every such folder, followed by the number of the process that made it.
const NAME: &str = "harkara-test-";
/// The file in it that its process holds locked as long as it lives.
const LOCK: &str = "lock";

/// The folder of one test run; removed when dropped.
#[must_use = "the folder is removed when this is dropped"]
pub(crate) struct Sandbox {
    folder: PathBuf,
    account: Option<Account>,
    _lock: File,
}

impl Sandbox {
    /// Makes a folder, after removing those that killed runs have left.
    pub(crate) fn make() -> Result<Self> {
        let account = Account::for_postgres()?;
        let parent = parent(account);
        sweep(&parent);
        let folder = parent.join(format!("{NAME}{}", std::process::id()));
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
            _lock: lock,
        })
    }

    /// Starts both servers and waits until they are ready.
    pub(crate) fn start(&self, programs: &Programs) -> Result<TestServers> {
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

    fn start_once(&self, programs: &Programs) -> Result<TestServers> {
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
            REDIS_DATABASES,
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
            settings: &postgres::FAST,
            places: &places,
        };
        postgres::wait_until_ready(services.add(plan.start()?), &home)?;
        let redis = services.of(Kind::Redis).ok_or("Redis was not started")?;
        redis::wait_until_ready(redis, redis_port)?;
        Ok(TestServers {
            services,
            redis_url: redis::url(redis_port),
            postgres_url: postgres::url(postgres_port),
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

/// Running servers for tests; they end when dropped.
pub(crate) struct TestServers {
    /// The processes.
    pub(crate) services: Services,
    /// Where tests find Redis.
    pub(crate) redis_url: String,
    /// Where tests find PostgreSQL.
    pub(crate) postgres_url: String,
}

impl TestServers {
    /// The variables that tell the tests where the servers are.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 2] {
        [
            ("HARKARA_TEST_REDIS_URL", &self.redis_url),
            ("HARKARA_TEST_POSTGRES_URL", &self.postgres_url),
        ]
    }
}

/// The system's temporary folder, unless PostgreSQL's account cannot reach it.
fn parent(account: Option<Account>) -> PathBuf {
    let usual = std::env::temp_dir();
    let reachable = account.is_none_or(|account| account.can_reach(&usual));
    if reachable {
        usual
    } else {
        PathBuf::from("/var/tmp")
    }
}

/// Ends the servers and removes the folders of runs that are no more. Folders of other users, and
/// of runs that hold their lock, are left alone.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let folder = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(NAME)
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
                "cannot remove {}, left by a killed test run: {error}",
                folder.display()
            ));
        }
    }
}
