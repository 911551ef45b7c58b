//! The stage of one fault: servers, the product's processes, and links between them that can be broken.

mod clock;
mod consumers;
mod links;
mod maker;
mod small_disk;
mod time;

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use harkara_testkit::{
    Binaries, Folder, PostgresPlan, PostgresServer, Proxy, RedisServer, Sentinels,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use crate::extent::Extent;
use crate::finding::Finding;
use crate::load::{Load, Order};
use crate::process::Process;
use crate::recovery;

use clock::{Clock, Clocks};
pub(crate) use consumers::RECLAIMED;
pub(crate) use links::Links;
use links::local;
use maker::{Maker, SECRET};
use small_disk::SmallDisk;

/// Workers at the start.
const WORKERS: usize = 2;

/// Replicas where there are sentinels.
pub(crate) const REPLICAS: usize = 2;

/// The ingress' counter of deliveries, whatever became of them.
const DELIVERIES: &str = "harkara_ingress_deliveries_total";

/// How long after their claims have run out entries of workers that are gone may be on their way.
const LATE: Duration = Duration::from_secs(2);

/// How long a load may be prepared.
const FIRST_DELIVERY_BOUND: Duration = Duration::from_mins(2);

/// Time between two looks at whether it has begun.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Servers, processes and links.
pub(crate) struct Scene {
    pub(crate) redis: RedisServer,
    pub(crate) sentinels: Option<Sentinels>,
    pub(crate) postgres: PostgresServer,
    pub(crate) disk: Option<SmallDisk>,
    pub(crate) clocks: Option<Clocks>,
    /// Where the ingress is reached.
    pub(crate) front: Proxy,
    pub(crate) redis_links: Links,
    pub(crate) postgres_links: Links,
    pub(crate) ingress: Process,
    pub(crate) workers: Vec<Process>,
    pub(crate) extent: Extent,
    /// Draws moments and victims.
    pub(crate) random: StdRng,
    seed: u64,
    maker: Maker,
}

/// What differs from one fault to another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    /// Whether Redis has two replicas, which must have every delivery, and sentinels, who tell its
    /// address: no link leads to it then.
    pub(crate) sentinels: bool,
    /// Whether PostgreSQL has a small disk of its own.
    pub(crate) small_disk: bool,
    /// Whether the clocks of all processes can jump.
    pub(crate) clocks: bool,
}

impl Scene {
    /// Starts servers, links, an ingress and workers, and waits until all are ready.
    pub(crate) async fn stand(
        folder: &Folder,
        binaries: &Binaries,
        extent: Extent,
        seed: u64,
        layout: Layout,
    ) -> Result<Self> {
        let clocks = layout
            .clocks
            .then(|| Clocks::make(folder.path()))
            .transpose()?;
        let lives_by = |of: fn(&Clocks) -> &Clock| match &clocks {
            Some(clocks) => of(clocks).environment().to_vec(),
            None => Vec::new(),
        };
        let disk = layout
            .small_disk
            .then(|| SmallDisk::mount(folder.path()))
            .transpose()?;
        let fsync = ["--appendfsync", "always"];
        let redis = RedisServer::start_in(&lives_by(|clocks| &clocks.redis), &fsync).await;
        let sentinels = if layout.sentinels {
            Some(Sentinels::over(&redis, REPLICAS, &fsync).await)
        } else {
            None
        };
        let postgres = PostgresServer::start_with(&PostgresPlan {
            parent: disk.as_ref().map(SmallDisk::path),
            environment: &lives_by(|clocks| &clocks.postgres),
            ..PostgresPlan::default()
        })
        .await;
        binaries.migrate(&postgres.url()).await?;
        let redis_links = Links::to(local(redis.port)).await;
        let postgres_links = Links::to(local(postgres.port)).await;
        let mut environment = lives_by(|clocks| &clocks.product);
        environment.extend(sentinels.iter().flat_map(follow));
        let mut maker = Maker::new(
            binaries,
            folder.path(),
            extent,
            environment,
            &redis_links,
            &postgres_links,
        );
        let (mut ingress, address) = maker.ingress();
        ingress.start()?;
        let mut scene = Self {
            redis,
            sentinels,
            postgres,
            disk,
            clocks,
            front: Proxy::to(address).await,
            redis_links,
            postgres_links,
            ingress,
            workers: Vec::new(),
            extent,
            random: StdRng::seed_from_u64(seed),
            seed,
            maker,
        };
        for _ in 0..WORKERS {
            scene.add_worker()?;
        }
        scene.ready().await?;
        Ok(scene)
    }

    /// Waits until every process is ready.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        self.ingress.ready().await?;
        for worker in &mut self.workers {
            worker.ready().await?;
        }
        Ok(())
    }

    /// Delivers for a while in which `fault` happens, and audits. What `fault` breaks it also mends.
    pub(crate) async fn under_load(
        &mut self,
        lasts: Duration,
        fault: impl AsyncFnOnce(&mut Self) -> Result<()>,
    ) -> Result<Finding> {
        let Extent { before, after, .. } = self.extent;
        let load = Load::start(&Order {
            harkara: &self.maker.binaries.harkara(),
            url: format!("http://{}/webhooks/razorpay", self.front.address()),
            secret: SECRET,
            postgres_url: &self.postgres.url(),
            seed: self.seed,
            rate_per_s: self.extent.rate_per_s,
            duration: before + lasts + after,
            settle: self.extent.settle,
            again_after: self.extent.claim_idle + LATE,
            retry_after: self.extent.retry_after,
        })?;
        self.first_delivery().await?;
        let moment = self.random.random_range(0.5..1.0);
        sleep(before.mul_f64(moment)).await;
        fault(self).await.context("the fault cannot be made")?;
        let ended = SystemTime::now();
        let verdict = load.verdict().await?;
        self.ingress.check_alive()?;
        for worker in &mut self.workers {
            worker.check_alive()?;
        }
        let recovered_after = recovery::after(&self.postgres.url(), ended).await?;
        Ok(Finding::new(verdict, recovered_after))
    }

    /// Waits until deliveries arrive: a load is prepared before it is sent.
    async fn first_delivery(&self) -> Result<()> {
        let until = Instant::now() + FIRST_DELIVERY_BOUND;
        while self.ingress.counted(DELIVERIES).await? < 1.0 {
            ensure!(Instant::now() < until, "harkara load sends nothing");
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Starts one more worker, without waiting until it is ready.
    pub(crate) fn add_worker(&mut self) -> Result<()> {
        let mut worker = self.maker.worker();
        worker.start()?;
        self.workers.push(worker);
        Ok(())
    }

    /// Starts another ingress, sends new connections to it once it is ready, and then tells the old one
    /// to end.
    pub(crate) async fn replace_ingress(&mut self) -> Result<()> {
        let (mut new, address) = self.maker.ingress();
        new.start()?;
        new.ready().await?;
        self.front.turn_to(address);
        std::mem::replace(&mut self.ingress, new).stop().await
    }
}

/// What a process needs in its environment to ask the sentinels, and to ask all replicas to have a
/// delivery: then whichever is promoted has it.
fn follow(sentinels: &Sentinels) -> [(String, String); 3] {
    [
        ("REDIS__SENTINELS", sentinels.addresses()),
        ("INGRESS__DURABILITY", "replicated".to_owned()),
        ("INGRESS__REPLICAS_MIN", REPLICAS.to_string()),
    ]
    .map(|(name, value)| (format!("HARKARA__{name}"), value))
}
