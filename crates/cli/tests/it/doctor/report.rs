//! What a run has found, and servers to run it on.

use harkara_testkit::RedisServer;
use serde_json::Value;

use crate::harkara::{Harkara, Ran, closed_port};

pub(crate) const SECRET: (&str, &str) = (
    "HARKARA__ENDPOINTS__DEFAULT__SECRETS",
    "a-long-and-random-secret",
);

/// What a run with `--json` has found.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) status: String,
    pub(crate) findings: Vec<Value>,
}

impl Report {
    pub(crate) async fn of(harkara: &Harkara, code: i32, arguments: &[&str]) -> Self {
        let arguments = [&["doctor", "--json"], arguments].concat();
        Self::read(&harkara.run(&arguments).await.ended_with(code))
    }

    pub(crate) fn read(ran: &Ran) -> Self {
        assert_eq!(ran.stderr, "", "{ran:?}");
        let report: Value = serde_json::from_str(&ran.stdout()).unwrap();
        let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["findings", "status"]);
        Self {
            status: report["status"].as_str().unwrap().to_owned(),
            findings: report["findings"].as_array().unwrap().clone(),
        }
    }

    /// Area and check of every finding with a status.
    pub(crate) fn with_status(&self, status: &str) -> Vec<String> {
        let of_status = self.findings.iter().filter(|f| f["status"] == status);
        let named = |f: &Value| {
            let text = |key: &str| f[key].as_str().unwrap().to_owned();
            format!("{}: {}", text("area"), text("check"))
        };
        of_status.map(named).collect()
    }

    /// The finding of a check; there is one.
    pub(crate) fn find(&self, area: &str, check: &str) -> &Value {
        let mut found = self
            .findings
            .iter()
            .filter(|f| f["area"] == area && f["check"] == check);
        let one = found.next();
        assert!(found.next().is_none(), "{check} is there twice: {self:?}");
        one.unwrap_or_else(|| panic!("{area}: {check} is missing in {self:?}"))
    }

    pub(crate) fn tells(&self, area: &str, check: &str, words: &str) {
        let told = self.find(area, check)["told"].as_str().unwrap();
        assert!(told.contains(words), "{words:?} is missing in {told:?}");
    }

    pub(crate) fn has_remedy(&self, area: &str, check: &str, words: &str) {
        let remedy = self.find(area, check)["remedy"].as_str().unwrap();
        assert!(remedy.contains(words), "{words:?} is missing in {remedy:?}");
    }
}

/// A server that gives all that is asked for by default.
pub(crate) async fn sound_redis(more: &[&str]) -> RedisServer {
    let sound = ["--appendfsync", "always", "--maxmemory", "100mb"];
    RedisServer::start(&[&sound, more].concat()).await
}

pub(crate) fn harkara(redis_url: &str, postgres_url: &str) -> Harkara {
    Harkara::default()
        .with(SECRET.0, SECRET.1)
        .with("HARKARA__REDIS__URL", redis_url)
        .with("HARKARA__POSTGRES__URL", postgres_url)
}

pub(crate) fn away(scheme: &str) -> String {
    format!("{scheme}://keeper:hunter2@127.0.0.1:{}/0", closed_port())
}

/// What the test server of PostgreSQL is warned of: `fsync` and `full_page_writes` are off there.
pub(crate) const RISKS: [&str; 2] = ["postgres: safety of commits"; 2];
