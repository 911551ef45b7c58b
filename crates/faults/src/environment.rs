//! The environment of one fault: servers, the product's processes, and links between them that can be broken.

mod builder;
mod clock;
mod small_disk;
mod stores;
mod table_lock;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use harkara_testkit::{
    Binaries, Link, PostgresPlan, PostgresServer, Proxy, RedisServer, Sentinels,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::finding::Finding;
use crate::load::Load;
use crate::process::Process;
use crate::scale::Scale;

pub(crate) use builder::{DRAIN, SECRET};
use builder::{ProcessBuilder, urls};
use clock::{Clock, Clocks};
use small_disk::SmallDisk;
pub(crate) use stores::RECLAIMED;

/// Workers at the start.
const WORKERS: usize = 2;

/// Replicas if there are sentinels.
pub(crate) const REPLICAS: usize = 2;

/// Strangers for each connection that the ingress takes, if it takes few.
const STRANGERS_PER_SLOT: usize = 4;

/// The ingress's counter of deliveries, whatever their outcome.
pub(crate) const DELIVERIES: &str = "harkara_ingress_deliveries_total";

/// How long a balancer needs to notice that an ingress is not ready.
const NOTICED_AFTER: Duration = Duration::from_secs(1);

/// How long the load may take to prepare.
const FIRST_DELIVERY_BOUND: Duration = Duration::from_mins(2);

/// Time between two checks whether it has started.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// Servers, processes and links.
pub(crate) struct Environment {
    pub(crate) redis: RedisServer,
    pub(crate) sentinels: Option<Sentinels>,
    pub(crate) postgres: PostgresServer,
    pub(crate) disk: Option<SmallDisk>,
    pub(crate) clocks: Option<Clocks>,
    /// Where the first ingress receives.
    pub(crate) public: SocketAddr,
    /// The link from the load to the ingress.
    pub(crate) front: Proxy,
    pub(crate) redis_links: Links,
    pub(crate) postgres_links: Links,
    pub(crate) ingress: Process,
    pub(crate) workers: Vec<Process>,
    pub(crate) scale: Scale,
    /// Draws moments and victims.
    pub(crate) random: StdRng,
    pub(crate) seed: u64,
    pub(crate) builder: ProcessBuilder,
}

/// What differs from one fault to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Plain,
    /// Redis has two replicas, which must confirm every delivery, and sentinels, which name its address; then no
    /// link leads to it.
    Sentinels,
    /// PostgreSQL has a small disk of its own.
    SmallDisk,
    /// The clocks of all processes can jump.
    Clocks,
    /// The ingress takes fewer connections than there are strangers.
    FewConnections,
}

/// The links to one server: one for the ingress, and one for all workers.
pub(crate) struct Links {
    pub(crate) ingress: Proxy,
    pub(crate) workers: Proxy,
}

impl Links {
    async fn to_port(port: u16) -> Self {
        Self {
            ingress: Proxy::to_port(port).await,
            workers: Proxy::to_port(port).await,
        }
    }

    /// Breaks or repairs both.
    pub(crate) fn set(&self, link: Link) {
        self.ingress.set(link);
        self.workers.set(link);
    }
}

impl Environment {
    /// Starts servers, links, an ingress and workers, and waits until all are ready.
    pub(crate) async fn start(
        folder: &Path,
        binaries: &Binaries,
        scale: Scale,
        seed: u64,
        layout: Layout,
    ) -> Result<Self> {
        let clocks = (layout == Layout::Clocks).then(|| Clocks::create(folder));
        let clocks = clocks.transpose()?;
        let clock_of = |select: fn(&Clocks) -> &Clock| match &clocks {
            Some(clocks) => select(clocks).environment().to_vec(),
            None => Vec::new(),
        };
        let disk = (layout == Layout::SmallDisk).then(|| SmallDisk::mount(folder));
        let disk = disk.transpose()?;
        let fsync = ["--appendfsync", "always"];
        let redis = RedisServer::start_in(&clock_of(|clocks| &clocks.redis), &fsync).await;
        let sentinels = if layout == Layout::Sentinels {
            Some(Sentinels::over(&redis, REPLICAS, &fsync).await)
        } else {
            None
        };
        let postgres = PostgresServer::start_with(&PostgresPlan {
            parent: disk.as_ref().map(SmallDisk::path),
            environment: &clock_of(|clocks| &clocks.postgres),
            ..PostgresPlan::default()
        })
        .await;
        binaries.migrate(&postgres.url()).await?;
        let redis_links = Links::to_port(redis.port).await;
        let postgres_links = Links::to_port(postgres.port).await;
        let mut variables = clock_of(|clocks| &clocks.product);
        variables.extend(sentinels.iter().flat_map(sentinel_settings));
        let mut ingress_urls = urls(&redis_links.ingress, &postgres_links.ingress);
        if layout == Layout::FewConnections {
            let n = scale.strangers / STRANGERS_PER_SLOT;
            ingress_urls.push(("INGRESS__CONNECTIONS_MAX", n.to_string()));
        }
        let mut builder = ProcessBuilder {
            binaries: binaries.clone(),
            folder: folder.to_owned(),
            scale,
            variables,
            ingress_urls,
            worker_urls: urls(&redis_links.workers, &postgres_links.workers),
            n_started: 0,
        };
        let (mut ingress, address) = builder.ingress();
        ingress.start()?;
        let mut environment = Self {
            redis,
            sentinels,
            postgres,
            disk,
            clocks,
            public: address,
            front: Proxy::to_port(address.port()).await,
            redis_links,
            postgres_links,
            ingress,
            workers: Vec::new(),
            scale,
            random: StdRng::seed_from_u64(seed),
            seed,
            builder,
        };
        for _ in 0..WORKERS {
            environment.add_worker()?;
        }
        environment.ready().await?;
        Ok(environment)
    }

    /// Waits until every process is ready.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        self.ingress.ready().await?;
        for worker in &mut self.workers {
            worker.ready().await?;
        }
        Ok(())
    }

    /// Delivers for as long as a fault that lasts this long needs, and returns at the moment to inject it.
    pub(crate) async fn load(&mut self, fault_lasts: Duration) -> Result<Load> {
        let Scale { before, after, .. } = self.scale;
        let load = Load::start(self, before + fault_lasts + after)?;
        self.first_delivery().await?;
        let moment = self.random.random_range(0.5..1.0);
        sleep(before.mul_f64(moment)).await;
        Ok(load)
    }

    /// Audits a load, once the fault has ended and is repaired.
    pub(crate) async fn audit(&mut self, load: Load) -> Result<Finding> {
        let ended = SystemTime::now();
        let verdict = load.verdict().await?;
        self.ingress.check_running()?;
        for worker in &mut self.workers {
            worker.check_running()?;
        }
        Ok(Finding::new(verdict, self.recovery_time(ended).await?))
    }

    /// Waits for the first delivery: a load takes time to prepare.
    async fn first_delivery(&self) -> Result<()> {
        let deadline = Instant::now() + FIRST_DELIVERY_BOUND;
        while self.ingress.counter(DELIVERIES).await? < 1.0 {
            ensure!(Instant::now() < deadline, "harkara load sends nothing");
            sleep(CHECK_EVERY).await;
        }
        Ok(())
    }

    /// Starts one more worker, without waiting until it is ready.
    pub(crate) fn add_worker(&mut self) -> Result<()> {
        let mut worker = self.builder.worker();
        worker.start()?;
        self.workers.push(worker);
        Ok(())
    }

    /// Starts another ingress, asks the old one to stop once it is ready, and directs new connections to it a little
    /// after the old one has turned unready, as a balancer does. Returns how many deliveries the old one has taken in
    /// between.
    pub(crate) async fn replace_ingress(&mut self) -> Result<f64> {
        let (mut new, address) = self.builder.ingress();
        new.start()?;
        new.ready().await?;
        let mut old = std::mem::replace(&mut self.ingress, new);
        old.signal(Signal::TERM)?;
        old.unready().await?;
        let before = old.counter(DELIVERIES).await?;
        sleep(NOTICED_AFTER).await;
        let while_draining = old.counter(DELIVERIES).await? - before;
        self.front.turn_to_port(address.port());
        old.ended().await?;
        Ok(while_draining)
    }
}

/// Settings that make a process ask the sentinels, and require all replicas to confirm a delivery: then whichever
/// is promoted has it.
fn sentinel_settings(sentinels: &Sentinels) -> [(String, String); 3] {
    [
        ("REDIS__SENTINELS", sentinels.addresses()),
        ("INGRESS__DURABILITY", "replicated".to_owned()),
        ("INGRESS__REPLICAS_MIN", REPLICAS.to_string()),
    ]
    .map(|(name, value)| (format!("HARKARA__{name}"), value))
}

/// A port of this machine.
fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
