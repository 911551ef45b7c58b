//! `harkara doctor`: what it finds on real servers, and how it ends.

mod ends;
mod postgres;
mod redis_server;
mod streams;

use harkara_testkit::{RedisServer, TestDatabase};
use serde_json::Value;

use crate::harkara::{Harkara, POSTGRES_URL, REDIS_URL, SECRETS};

/// The findings of a run with `--json`.
#[derive(Debug)]
struct Report {
    status: String,
    findings: Vec<Value>,
}

impl Report {
    async fn of(harkara: &Harkara, code: i32, options: &str) -> Self {
        let ran = harkara.run(&format!("doctor --json {options}")).await;
        let ran = ran.ended_with(code);
        assert_eq!(ran.stderr, "", "{ran:?}");
        let report = ran.json();
        let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["findings", "status"]);
        Self {
            status: report["status"].as_str().unwrap().to_owned(),
            findings: report["findings"].as_array().unwrap().clone(),
        }
    }

    /// `area: check` of every finding with a status.
    fn with_status(&self, status: &str) -> Vec<String> {
        let of_status = self.findings.iter().filter(|f| f["status"] == status);
        of_status.map(name).collect()
    }

    /// The one finding of a check, named `area: check`.
    fn find(&self, check: &str) -> &Value {
        let found = self.findings.iter().filter(|f| name(f) == check);
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), 1, "{check} in {self:?}");
        found[0]
    }

    fn finds(&self, check: &str, words: &str) {
        let found = self.find(check)["told"].as_str().unwrap();
        assert!(found.contains(words), "{words:?} is missing in {found:?}");
    }

    fn has_remedy(&self, check: &str, words: &str) {
        let remedy = self.find(check)["remedy"].as_str().unwrap();
        assert!(remedy.contains(words), "{words:?} is missing in {remedy:?}");
    }
}

fn name(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap();
    format!("{}: {}", text("area"), text("check"))
}

/// A server that meets the default settings.
pub(crate) async fn sound_redis(more: &[&str]) -> RedisServer {
    let sound = ["--appendfsync", "always", "--maxmemory", "100mb"];
    RedisServer::start(&[&sound, more].concat()).await
}

pub(crate) fn harkara(redis_url: &str, postgres_url: &str) -> Harkara {
    Harkara::default()
        .with(SECRETS, "a-long-and-random-secret")
        .with(REDIS_URL, redis_url)
        .with(POSTGRES_URL, postgres_url)
}

/// A sound Redis, a migrated database and a command line on them.
async fn sound() -> (RedisServer, TestDatabase, Harkara) {
    let (redis, database) = (sound_redis(&[]).await, TestDatabase::migrated().await);
    let harkara = harkara(&redis.url(), &database.url);
    (redis, database, harkara)
}

/// The warnings about the test PostgreSQL: `fsync` and `full_page_writes` are off there.
const RISKS: [&str; 2] = ["postgres: safety of commits"; 2];
