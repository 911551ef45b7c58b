//! What every part of the benchmark works with.

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::Result;
use harkara_core::secret::Secret;
use harkara_load::{Corpus, Mix};
use harkara_runtime::clock;

use crate::extent::Extent;
use crate::peer::Peer;
use crate::process::Pid;
use crate::product::{Product, Stores};
use crate::servers::postgres::{Database, Server};
use crate::servers::redis::{AppendFsync, Redis};
use crate::{figures::Role, servers};

/// The same deliveries in every run of the benchmark.
pub(crate) const SEED: u64 = 2026;

/// The webhook secret that they are signed with.
pub(crate) const SECRET: &str = "bench-webhook-secret";

/// Most deliveries that are prepared at once; one takes some 1.8 kB of memory.
pub(crate) const PREPARED_MAX: usize = 1_200_000;

/// The servers, the programs, and what is sent.
pub(crate) struct Bench {
    pub(crate) extent: Extent,
    pub(crate) redis: Redis,
    pub(crate) postgres: Server,
    pub(crate) product: Product,
    /// `None` where the peer cannot run here.
    pub(crate) peer: Option<Peer>,
    pub(crate) secret: Secret,
    corpora: RefCell<Vec<(Mix, Arc<Corpus>)>>,
    /// When deliveries are signed, so that the same can be prepared again.
    now_seconds: i64,
}

impl Bench {
    /// Connects to the servers and makes the database that every run copies.
    pub(crate) async fn prepare(extent: Extent) -> Result<Self> {
        let product = Product::find()?;
        let (redis, postgres) = servers::connect().await?;
        let template = postgres.make_template().await?;
        product.migrate(&template).await?;
        Ok(Self {
            extent,
            redis,
            postgres,
            product,
            peer: Peer::find(),
            secret: Secret::new(SECRET),
            corpora: RefCell::default(),
            now_seconds: clock::now().millis() / 1000,
        })
    }

    /// At least `deliveries` of a mix, prepared once.
    pub(crate) fn corpus(&self, mix: Mix, deliveries: usize) -> Arc<Corpus> {
        let mut corpora = self.corpora.borrow_mut();
        let fitting = |(of, corpus): &&(Mix, Arc<Corpus>)| *of == mix && corpus.len() >= deliveries;
        if let Some((_, corpus)) = corpora.iter().find(fitting) {
            return Arc::clone(corpus);
        }
        corpora.retain(|(of, _)| *of != mix);
        eprintln!("preparing {deliveries} signed deliveries");
        let corpus = Arc::new(self.other_corpus(mix, deliveries, 0));
        corpora.push((mix, Arc::clone(&corpus)));
        corpus
    }

    /// Deliveries other than those of [`Bench::corpus`] for each `series` above 0, not kept.
    pub(crate) fn other_corpus(&self, mix: Mix, deliveries: usize, series: u64) -> Corpus {
        let seed = SEED + series;
        Corpus::prepare(mix, deliveries, &self.secret, seed, self.now_seconds)
    }

    /// An empty Redis with a policy, and an empty database.
    pub(crate) async fn fresh(&self, policy: AppendFsync) -> Result<Database> {
        self.fresh_redis(policy).await?;
        self.postgres.fresh().await
    }

    /// An empty Redis with a policy.
    pub(crate) async fn fresh_redis(&self, policy: AppendFsync) -> Result<()> {
        if !self.extent.shared_servers {
            self.redis.set_appendfsync(policy).await?;
        }
        self.redis.flush().await
    }

    pub(crate) fn stores<'a>(&'a self, database: &'a Database) -> Stores<'a> {
        Stores {
            redis_url: &self.redis.url,
            postgres_url: &database.url,
            telemetry: None,
        }
    }

    /// Redis, to be watched.
    pub(crate) fn redis_process(&self) -> (Role, Pid) {
        (Role::Redis, self.redis.pid)
    }

    /// PostgreSQL, to be watched.
    pub(crate) fn postgres_process(&self) -> (Role, Pid) {
        (Role::Postgres, self.postgres.pid)
    }
}
