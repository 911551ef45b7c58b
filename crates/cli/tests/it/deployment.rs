//! The two services as their real binaries, and what the command line does with them.

mod corruption;
mod health;
mod load;
mod logs;
mod metrics_export;
mod probe;
mod roles;
mod rotated_logins;
mod scraped;
mod starts;
mod traced;
mod trigger;
mod unread_logs;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::{
    Folder, TestDatabase, ask_admin, binaries_beside, free_port, is_ready, redis_database,
    wait_until,
};
use tokio::process::Child;

use crate::harkara::{Harkara, POSTGRES_URL, REDIS_URL, SECRETS};

/// The secret of the endpoint `default`.
const SECRET: &str = "whsec-of-the-ingress";

const INGRESS: &str = "harkara-ingress";
const WORKER: &str = "harkara-worker";

/// Longest wait for anything that the services do.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// An ingress and a worker on the same stores. They end with this value.
struct Deployment {
    ingress: SocketAddr,
    ingress_admin: SocketAddr,
    worker_admin: SocketAddr,
    database: TestDatabase,
    redis_url: String,
    harkara: Harkara,
    logs: Folder,
    children: Vec<Child>,
}

impl Deployment {
    /// Both services, ready, on stores of their own. Variables override the settings of before.
    async fn start(variables: &[(&str, &str)]) -> Self {
        let mut deployment = Self::with_ingress(variables).await;
        deployment.up(WORKER).await;
        deployment
    }

    /// The same without the worker.
    async fn with_ingress(variables: &[(&str, &str)]) -> Self {
        let (redis_url, database) = (redis_database().await, TestDatabase::migrated().await);
        let mut deployment = Self::on(redis_url, database, variables);
        deployment.up(INGRESS).await;
        deployment
    }

    /// One on these stores of which nothing runs yet.
    fn on(redis_url: String, database: TestDatabase, variables: &[(&str, &str)]) -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (ingress, ingress_admin, worker_admin) = (address(), address(), address());
        let settings = [
            (REDIS_URL, redis_url.as_str()),
            (POSTGRES_URL, &database.url),
            ("HARKARA__INGRESS__BIND", &ingress.to_string()),
            ("HARKARA__INGRESS__ADMIN_BIND", &ingress_admin.to_string()),
            ("HARKARA__INGRESS__THREADS", "1"),
            ("HARKARA__WORKER__ADMIN_BIND", &worker_admin.to_string()),
            (SECRETS, SECRET),
        ];
        let all = settings.iter().chain(variables);
        let with = |harkara: Harkara, (name, value): &(&str, &str)| harkara.with(name, value);
        Self {
            ingress,
            ingress_admin,
            worker_admin,
            harkara: all.fold(Harkara::default(), with),
            database,
            redis_url,
            logs: Folder::new(),
            children: Vec::new(),
        }
    }

    /// Starts one of the binaries; it ends with the child.
    fn spawn(&self, binary: &str) -> Child {
        let log = File::create(self.logs.path().join(binary)).unwrap();
        self.spawn_with_log(binary, log)
    }

    /// The same with a given standard error.
    fn spawn_with_log(&self, binary: &str, log: impl Into<Stdio>) -> Child {
        let folder = binaries_beside(env!("CARGO_BIN_EXE_harkara"));
        let mut command = self.harkara.command(folder.join(binary));
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Starts one of the binaries, and waits until it is ready.
    async fn up(&mut self, binary: &str) {
        let child = self.spawn(binary);
        self.until_ready(binary, child).await;
    }

    /// Keeps a child, and waits until it is ready.
    async fn until_ready(&mut self, binary: &str, child: Child) {
        self.children.push(child);
        let admin = match binary {
            INGRESS => self.ingress_admin,
            _ => self.worker_admin,
        };
        wait_until("it is ready", BOUND, async || is_ready(admin).await).await;
    }

    /// What a binary has written to standard error since its last start.
    fn log(&self, binary: &str) -> String {
        std::fs::read_to_string(self.logs.path().join(binary)).unwrap()
    }

    /// A command line with the same environment.
    fn harkara(&self) -> Harkara {
        self.harkara.clone()
    }

    /// Where the ingress takes deliveries of the endpoint `default`.
    fn url(&self) -> String {
        format!("http://{}/webhooks/razorpay", self.ingress)
    }

    /// How many entries all lanes hold.
    async fn n_entries(&self) -> usize {
        let client = redis::Client::open(self.redis_url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut lengths = redis::pipe();
        for lane in Lane::ALL {
            lengths.cmd("XLEN").arg(RedisKeys::default().stream(lane));
        }
        let lengths: Vec<usize> = lengths.query_async(&mut connection).await.unwrap();
        lengths.iter().sum()
    }
}

/// What an admin port answers to `/metrics`.
async fn metrics(admin: SocketAddr) -> String {
    let answer = ask_admin(admin, "/metrics").await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}
