//! The two services as their real binaries.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use harkara_testkit::{
    Folder, TestDatabase, ask_admin, binaries_beside, free_port, is_ready, wait_until,
};
use tokio::process::{Child, Command};

use crate::harkara::Harkara;

/// The secret of the endpoint `default`.
pub(crate) const SECRET: &str = "whsec-of-the-processes";

pub(crate) const INGRESS: &str = "harkara-ingress";
pub(crate) const WORKER: &str = "harkara-worker";

const BOUND: Duration = Duration::from_secs(20);

/// What an ingress and a worker on the same stores are started with.
pub(crate) struct Site {
    pub(crate) ingress: SocketAddr,
    pub(crate) ingress_admin: SocketAddr,
    pub(crate) worker_admin: SocketAddr,
    environment: Vec<(String, String)>,
    logs: Folder,
}

impl Site {
    /// One on these stores, with these variables besides; a later one of the same name goes before.
    pub(crate) fn at(redis_url: &str, postgres_url: &str, variables: &[(&str, &str)]) -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (ingress, ingress_admin, worker_admin) = (address(), address(), address());
        let settings = [
            ("REDIS__URL", redis_url),
            ("POSTGRES__URL", postgres_url),
            ("INGRESS__BIND", &ingress.to_string()),
            ("INGRESS__ADMIN_BIND", &ingress_admin.to_string()),
            ("INGRESS__THREADS", "1"),
            ("WORKER__ADMIN_BIND", &worker_admin.to_string()),
            ("ENDPOINTS__DEFAULT__SECRETS", SECRET),
        ];
        let settings = settings.map(|(name, value)| (format!("HARKARA__{name}"), value.to_owned()));
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            ingress,
            ingress_admin,
            worker_admin,
            environment: settings.into_iter().chain(variables).collect(),
            logs: Folder::new(),
        }
    }

    /// Starts one of the binaries; it ends with what is returned.
    pub(crate) fn start(&self, binary: &str) -> Child {
        let folder = binaries_beside(env!("CARGO_BIN_EXE_harkara"));
        Command::new(folder.join(binary))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.logs.path().join(binary)).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// What a binary has written to standard error since its last start.
    pub(crate) fn log(&self, binary: &str) -> String {
        std::fs::read_to_string(self.logs.path().join(binary)).unwrap()
    }

    /// A command line with the same environment.
    pub(crate) fn harkara(&self) -> Harkara {
        let variables = self.environment.iter();
        variables.fold(Harkara::default(), |harkara, (name, value)| {
            harkara.with(name, value)
        })
    }
}

/// An ingress and a worker on stores of their own, until this is dropped.
pub(crate) struct Processes {
    pub(crate) ingress: SocketAddr,
    pub(crate) ingress_admin: SocketAddr,
    pub(crate) worker_admin: SocketAddr,
    site: Site,
    _database: TestDatabase,
    _children: [Child; 2],
}

impl Processes {
    /// Starts both with these variables besides their settings, and waits until they are ready.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        let database = TestDatabase::migrated().await;
        let redis_url = harkara_testkit::redis_database().await;
        let site = Site::at(&redis_url, &database.url, variables);
        let children = [INGRESS, WORKER].map(|binary| site.start(binary));
        let (ingress_admin, worker_admin) = (site.ingress_admin, site.worker_admin);
        for admin in [ingress_admin, worker_admin] {
            wait_until("it is ready", BOUND, async || is_ready(admin).await).await;
        }
        Self {
            ingress: site.ingress,
            ingress_admin,
            worker_admin,
            site,
            _database: database,
            _children: children,
        }
    }

    /// What ingress and worker have written to standard error so far.
    pub(crate) fn logs(&self) -> [String; 2] {
        [INGRESS, WORKER].map(|binary| self.site.log(binary))
    }

    /// A command line with the same environment.
    pub(crate) fn harkara(&self) -> Harkara {
        self.site.harkara()
    }
}

/// What an admin port shows on `/metrics` to whoever asks for nothing special.
pub(crate) async fn metrics(admin: SocketAddr) -> String {
    let answer = ask_admin(admin, "/metrics").await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}
