//! The context of a run of the benchmark.

use std::cell::RefCell;
use std::env;
use std::sync::Arc;

use anyhow::{Context, Result};
use harkara_core::secret::Secret;
use harkara_load::{Corpus, Mix};
use harkara_runtime::clock;
use harkara_settings::Settings;

use crate::figures::Role;
use crate::generator::{Model, Traffic};
use crate::peer::Peer;
use crate::postgres_server::{Database, PostgresServer};
use crate::process::Pid;
use crate::product::Product;
use crate::redis_server::{AppendFsync, RedisServer};
use crate::scale::Scale;

const REDIS_URL: &str = "HARKARA_BENCH_REDIS_URL";
const POSTGRES_URL: &str = "HARKARA_BENCH_POSTGRES_URL";

/// The seed of the deliveries, the same in every run.
pub(crate) const SEED: u64 = 2026;

/// The webhook secret that they are signed with.
pub(crate) const SECRET: &str = "bench-webhook-secret";

/// Maximum deliveries prepared together; each takes some 1.8 kB of memory.
pub(crate) const PREPARED_MAX: usize = 1_200_000;

/// The servers, the programs, and the deliveries.
pub(crate) struct Bench {
    pub(crate) scale: Scale,
    pub(crate) redis: RedisServer,
    pub(crate) postgres: PostgresServer,
    pub(crate) product: Product,
    /// `None` if the peer cannot run here.
    pub(crate) peer: Option<Peer>,
    corpora: RefCell<Vec<(Mix, Arc<Corpus>)>>,
    /// When deliveries are signed, so that the same can be prepared again.
    now_seconds: i64,
}

impl Bench {
    /// Connects to the servers and creates the database that every run copies.
    pub(crate) async fn prepare(scale: Scale) -> Result<Self> {
        let redis_url = server_url(REDIS_URL, "redis.url")?;
        let product = Product::find(&redis_url)?;
        let redis = RedisServer::connect(&redis_url).await?;
        let postgres = PostgresServer::connect(&server_url(POSTGRES_URL, "postgres.url")?).await?;
        product.migrate(&postgres.create_template().await?).await?;
        Ok(Self {
            scale,
            redis,
            postgres,
            product,
            peer: Peer::find(),
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
        let secret = Secret::new(SECRET);
        Corpus::prepare(mix, deliveries, &secret, seed, self.now_seconds)
    }

    /// Traffic at full speed.
    pub(crate) fn closed(&self, mix: Mix) -> Traffic {
        Traffic {
            mix,
            model: Model::Closed,
            duration: self.scale.closed,
        }
    }

    /// An empty Redis with a policy, and an empty database.
    pub(crate) async fn fresh(&self, policy: AppendFsync) -> Result<Database> {
        self.fresh_redis(policy).await?;
        self.postgres.fresh().await
    }

    /// An empty Redis with a policy.
    pub(crate) async fn fresh_redis(&self, policy: AppendFsync) -> Result<()> {
        if !self.scale.shared_servers {
            self.redis.set_appendfsync(policy).await?;
        }
        self.redis.flush().await
    }

    /// Redis, for counting its usage.
    pub(crate) fn redis_process(&self) -> (Role, Pid) {
        (Role::Redis, self.redis.pid)
    }

    /// PostgreSQL, for counting its usage.
    pub(crate) fn postgres_process(&self) -> (Role, Pid) {
        (Role::Postgres, self.postgres.pid)
    }
}

/// The URL in a variable, as the settings accept it: a driver's message could quote a part of the password.
fn server_url(variable: &str, setting: &str) -> Result<String> {
    let url = env::var(variable).with_context(|| {
        format!("{variable} is not set; start the benchmark with `cargo dev bench`")
    })?;
    Settings::from_pairs([(setting, url.as_str())])?;
    Ok(url)
}
