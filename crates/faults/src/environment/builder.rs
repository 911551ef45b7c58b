//! Builds the product's processes, each with settings that lead over its links.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use harkara_testkit::{Binaries, Proxy, free_port};

use super::local;
use crate::process::Process;
use crate::scale::Scale;

/// The secret of the endpoint.
pub(crate) const SECRET: &str = "a secret of the fault suite";

/// How long an ingress that stops still takes requests, as in Kubernetes: more than its balancer needs to notice.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// How often a worker looks for entries of dead workers.
const RECLAIM_EVERY_MS: &str = "500";

/// Settings without their prefix.
type Settings = Vec<(&'static str, String)>;

pub(crate) struct ProcessBuilder {
    pub(crate) binaries: Binaries,
    pub(super) folder: PathBuf,
    pub(super) scale: Scale,
    /// Variables of every process.
    pub(super) variables: Vec<(String, String)>,
    pub(super) ingress_urls: Settings,
    pub(super) worker_urls: Settings,
    pub(super) n_started: usize,
}

impl ProcessBuilder {
    /// An ingress that is not yet started, and its public address.
    pub(super) fn ingress(&mut self) -> (Process, SocketAddr) {
        let (bind, admin) = (local(free_port()), local(free_port()));
        let mut settings = self.ingress_urls.clone();
        settings.extend([
            ("INGRESS__BIND", bind.to_string()),
            ("INGRESS__ADMIN_BIND", admin.to_string()),
            ("INGRESS__DRAIN_MS", DRAIN.as_millis().to_string()),
            ("ENDPOINTS__DEFAULT__SECRETS", SECRET.to_owned()),
        ]);
        (
            self.build("ingress", self.binaries.ingress.clone(), settings, admin),
            bind,
        )
    }

    /// A worker that is not yet started.
    pub(super) fn worker(&mut self) -> Process {
        let admin = local(free_port());
        let claim_idle_ms = self.scale.claim_idle.as_millis();
        let mut settings = self.worker_urls.clone();
        settings.extend([
            ("WORKER__ADMIN_BIND", admin.to_string()),
            ("WORKER__CLAIM_IDLE_MS", claim_idle_ms.to_string()),
            ("WORKER__RECLAIM_EVERY_MS", RECLAIM_EVERY_MS.to_owned()),
        ]);
        self.build("worker", self.binaries.worker.clone(), settings, admin)
    }

    fn build(
        &mut self,
        kind: &str,
        program: PathBuf,
        settings: Settings,
        admin: SocketAddr,
    ) -> Process {
        self.n_started += 1;
        let name = format!("{kind}-{}", self.n_started);
        let settings = settings.into_iter();
        Process {
            log: self.folder.join(format!("{name}.log")),
            name,
            program,
            environment: settings
                .map(|(name, value)| (format!("HARKARA__{name}"), value))
                .chain(self.variables.iter().cloned())
                .collect(),
            admin,
            running: None,
        }
    }
}

/// Settings that lead over these links.
pub(super) fn urls(redis: &Proxy, postgres: &Proxy) -> Settings {
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
