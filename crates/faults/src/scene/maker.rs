//! Makes the product's processes, each with settings that lead over its links.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use harkara_testkit::{Binaries, Proxy, free_port};

use super::links::{Links, local};
use crate::extent::Extent;
use crate::process::Process;

/// The secret of the endpoint.
pub(super) const SECRET: &str = "a secret of the fault suite";

/// How often a worker looks for entries of those that are gone.
const RECLAIM_EVERY_MS: &str = "500";

pub(super) struct Maker {
    pub(super) binaries: Binaries,
    folder: PathBuf,
    extent: Extent,
    /// What every process gets besides its settings.
    environment: Vec<(String, String)>,
    ingress_urls: Urls,
    worker_urls: Urls,
    n_ingresses: usize,
    n_workers: usize,
}

/// Where a process finds the stores.
struct Urls {
    redis: String,
    postgres: String,
}

impl Maker {
    pub(super) fn new(
        binaries: &Binaries,
        folder: &Path,
        extent: Extent,
        environment: Vec<(String, String)>,
        redis: &Links,
        postgres: &Links,
    ) -> Self {
        Self {
            binaries: binaries.clone(),
            folder: folder.to_owned(),
            extent,
            environment,
            ingress_urls: Urls::over(&redis.ingress, &postgres.ingress),
            worker_urls: Urls::over(&redis.workers, &postgres.workers),
            n_ingresses: 0,
            n_workers: 0,
        }
    }

    /// An ingress that is not yet started, and where it will receive.
    pub(super) fn ingress(&mut self) -> (Process, SocketAddr) {
        self.n_ingresses += 1;
        let (bind, admin) = (local(free_port()), local(free_port()));
        let settings = [
            ("INGRESS__BIND", bind.to_string()),
            ("INGRESS__ADMIN_BIND", admin.to_string()),
            ("ENDPOINTS__DEFAULT__SECRETS", SECRET.to_owned()),
        ];
        let name = format!("ingress-{}", self.n_ingresses);
        let program = self.binaries.ingress();
        let environment = self.ingress_urls.and(settings, &self.environment);
        (
            Process::new(&name, &program, environment, admin, &self.folder),
            bind,
        )
    }

    /// A worker that is not yet started.
    pub(super) fn worker(&mut self) -> Process {
        self.n_workers += 1;
        let admin = local(free_port());
        let claim_idle_ms = self.extent.claim_idle.as_millis();
        let settings = [
            ("WORKER__ADMIN_BIND", admin.to_string()),
            ("WORKER__CLAIM_IDLE_MS", claim_idle_ms.to_string()),
            ("WORKER__RECLAIM_EVERY_MS", RECLAIM_EVERY_MS.to_owned()),
        ];
        let name = format!("worker-{}", self.n_workers);
        let program = self.binaries.worker();
        let environment = self.worker_urls.and(settings, &self.environment);
        Process::new(&name, &program, environment, admin, &self.folder)
    }
}

impl Urls {
    fn over(redis: &Proxy, postgres: &Proxy) -> Self {
        Self {
            redis: format!("redis://{}", redis.address()),
            postgres: format!("postgres://harkara@{}/harkara", postgres.address()),
        }
    }

    /// These and other settings, as environment variables, and what is given besides.
    fn and<const N: usize>(
        &self,
        more: [(&str, String); N],
        besides: &[(String, String)],
    ) -> Vec<(String, String)> {
        let urls = [
            ("REDIS__URL", self.redis.clone()),
            ("POSTGRES__URL", self.postgres.clone()),
            ("LOG__FORMAT", "json".to_owned()),
        ];
        let all = urls.into_iter().chain(more);
        all.map(|(name, value)| (format!("HARKARA__{name}"), value))
            .chain(besides.iter().cloned())
            .collect()
    }
}
