//! The two services as their real binaries.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use harkara_testkit::{
    Folder, TestDatabase, ask_admin, binaries_beside, free_port, is_ready, wait_until,
};
use tokio::process::{Child, Command};

use crate::harkara::Harkara;

/// The secret of the endpoint `default`.
pub(crate) const SECRET: &str = "whsec-of-the-processes";

const BINARIES: [&str; 2] = ["harkara-ingress", "harkara-worker"];

const BOUND: Duration = Duration::from_secs(20);

/// An ingress and a worker on stores of their own, until this is dropped.
pub(crate) struct Processes {
    pub(crate) ingress: SocketAddr,
    pub(crate) ingress_admin: SocketAddr,
    pub(crate) worker_admin: SocketAddr,
    environment: Vec<(String, String)>,
    logs: Folder,
    _database: TestDatabase,
    _children: [Child; 2],
}

impl Processes {
    /// Starts both with these variables besides their settings, and waits until they are ready.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        let database = TestDatabase::migrated().await;
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (public, ingress_admin, worker_admin) = (address(), address(), address());
        let settings = [
            ("REDIS__URL", harkara_testkit::redis_database().await),
            ("POSTGRES__URL", database.url.clone()),
            ("INGRESS__BIND", public.to_string()),
            ("INGRESS__ADMIN_BIND", ingress_admin.to_string()),
            ("INGRESS__THREADS", "1".to_owned()),
            ("WORKER__ADMIN_BIND", worker_admin.to_string()),
            ("ENDPOINTS__DEFAULT__SECRETS", SECRET.to_owned()),
        ];
        let settings = settings.map(|(name, value)| (format!("HARKARA__{name}"), value));
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment: Vec<_> = settings.into_iter().chain(variables).collect();
        let folder = binaries_beside(env!("CARGO_BIN_EXE_harkara"));
        let logs = Folder::new();
        let start = |name: &str| spawn(&folder.join(name), &environment, &logs.path().join(name));
        let children = BINARIES.map(start);
        for admin in [ingress_admin, worker_admin] {
            wait_until("it is ready", BOUND, async || is_ready(admin).await).await;
        }
        Self {
            ingress: public,
            ingress_admin,
            worker_admin,
            environment,
            logs,
            _database: database,
            _children: children,
        }
    }

    /// What ingress and worker have written to standard error so far.
    pub(crate) fn logs(&self) -> [String; 2] {
        BINARIES.map(|name| std::fs::read_to_string(self.logs.path().join(name)).unwrap())
    }

    /// A command line with the same environment.
    pub(crate) fn harkara(&self) -> Harkara {
        let variables = self.environment.iter();
        variables.fold(Harkara::default(), |harkara, (name, value)| {
            harkara.with(name, value)
        })
    }
}

/// What an admin port shows on `/metrics` to whoever asks for nothing special.
pub(crate) async fn metrics(admin: SocketAddr) -> String {
    let answer = ask_admin(admin, "/metrics").await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

fn spawn(binary: &Path, environment: &[(String, String)], log: &Path) -> Child {
    Command::new(binary)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
