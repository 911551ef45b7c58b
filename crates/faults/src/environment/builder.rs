//! Builds the product's processes, each with settings that lead over its links.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use harkara_testkit::{Binaries, Proxy, free_port};

use super::{Links, local};
use crate::process::Process;
use crate::scale::Scale;

/// The secret of the endpoint.
pub(crate) const SECRET: &str = "a secret of the fault suite";

/// How often a worker looks for entries of dead workers.
const RECLAIM_EVERY_MS: &str = "500";

/// Settings without their prefix.
type Settings = Vec<(&'static str, String)>;

pub(super) struct ProcessBuilder {
    binaries: Binaries,
    folder: PathBuf,
    scale: Scale,
    /// Variables of every process.
    variables: Vec<(String, String)>,
    ingress_urls: Settings,
    worker_urls: Settings,
    n_ingresses: usize,
    n_workers: usize,
}

impl ProcessBuilder {
    pub(super) fn new(
        binaries: &Binaries,
        folder: &Path,
        scale: Scale,
        variables: Vec<(String, String)>,
        (redis, postgres): (&Links, &Links),
    ) -> Self {
        Self {
            binaries: binaries.clone(),
            folder: folder.to_owned(),
            scale,
            variables,
            ingress_urls: urls(&redis.ingress, &postgres.ingress),
            worker_urls: urls(&redis.workers, &postgres.workers),
            n_ingresses: 0,
            n_workers: 0,
        }
    }

    pub(super) fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// An ingress that is not yet started, and its public address.
    pub(super) fn ingress(&mut self) -> (Process, SocketAddr) {
        self.n_ingresses += 1;
        let (bind, admin) = (local(free_port()), local(free_port()));
        let mut settings = self.ingress_urls.clone();
        settings.extend([
            ("INGRESS__BIND", bind.to_string()),
            ("INGRESS__ADMIN_BIND", admin.to_string()),
            ("ENDPOINTS__DEFAULT__SECRETS", SECRET.to_owned()),
        ]);
        let name = format!("ingress-{}", self.n_ingresses);
        let process = self.build(name, self.binaries.ingress(), settings, admin);
        (process, bind)
    }

    /// A worker that is not yet started.
    pub(super) fn worker(&mut self) -> Process {
        self.n_workers += 1;
        let admin = local(free_port());
        let claim_idle_ms = self.scale.claim_idle.as_millis();
        let mut settings = self.worker_urls.clone();
        settings.extend([
            ("WORKER__ADMIN_BIND", admin.to_string()),
            ("WORKER__CLAIM_IDLE_MS", claim_idle_ms.to_string()),
            ("WORKER__RECLAIM_EVERY_MS", RECLAIM_EVERY_MS.to_owned()),
        ]);
        let name = format!("worker-{}", self.n_workers);
        self.build(name, self.binaries.worker(), settings, admin)
    }

    fn build(
        &self,
        name: String,
        program: PathBuf,
        settings: Settings,
        admin: SocketAddr,
    ) -> Process {
        let settings = settings.into_iter();
        let variables = settings
            .map(|(name, value)| (format!("HARKARA__{name}"), value))
            .chain(self.variables.iter().cloned())
            .collect();
        Process::new(name, program, variables, admin, &self.folder)
    }
}

fn urls(redis: &Proxy, postgres: &Proxy) -> Settings {
    let postgres = postgres.address();
    vec![
        ("REDIS__URL", format!("redis://{}", redis.address())),
        (
            "POSTGRES__URL",
            format!("postgres://harkara@{postgres}/harkara"),
        ),
        ("LOG__FORMAT", "json".to_owned()),
    ]
}
