//! `harkara doctor`: what it finds on real servers, and how it ends.

use std::time::Duration;

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_testkit::{
    Authority, Folder, PostgresServer, RedisServer, Sentinels, TestDatabase, wait_until,
};
use redis::aio::MultiplexedConnection;
use serde_json::Value;

use crate::harkara::{Harkara, Ran, closed_port};

const SECRET: (&str, &str) = (
    "HARKARA__ENDPOINTS__DEFAULT__SECRETS",
    "a-long-and-random-secret",
);

/// A pending entry may be taken over at once, so that one that is not was forgotten.
const IMPATIENT: [(&str, &str); 3] = [
    ("HARKARA__WORKER__CLAIM_IDLE_MS", "1"),
    ("HARKARA__WORKER__TAKE_OVER_EVERY_MS", "1"),
    ("HARKARA__WORKER__READ_WAIT_MS", "1"),
];

/// Longer than any wait of these tests takes.
const LIMIT: Duration = Duration::from_secs(20);

/// What a run with `--json` has found.
#[derive(Debug)]
struct Report {
    status: String,
    findings: Vec<Value>,
}

impl Report {
    async fn of(harkara: &Harkara, code: i32, arguments: &[&str]) -> Self {
        let arguments = [&["doctor", "--json"], arguments].concat();
        Self::read(&harkara.run(&arguments).await.ended_with(code))
    }

    fn read(ran: &Ran) -> Self {
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
    fn with_status(&self, status: &str) -> Vec<String> {
        let of_status = self.findings.iter().filter(|f| f["status"] == status);
        let named = |f: &Value| {
            let text = |key: &str| f[key].as_str().unwrap().to_owned();
            format!("{}: {}", text("area"), text("check"))
        };
        of_status.map(named).collect()
    }

    /// The finding of a check; there is one.
    fn find(&self, area: &str, check: &str) -> &Value {
        let mut found = self
            .findings
            .iter()
            .filter(|f| f["area"] == area && f["check"] == check);
        let one = found.next();
        assert!(found.next().is_none(), "{check} is there twice: {self:?}");
        one.unwrap_or_else(|| panic!("{area}: {check} is missing in {self:?}"))
    }

    fn tells(&self, area: &str, check: &str, words: &str) {
        let told = self.find(area, check)["told"].as_str().unwrap();
        assert!(told.contains(words), "{words:?} is missing in {told:?}");
    }

    fn has_remedy(&self, area: &str, check: &str, words: &str) {
        let remedy = self.find(area, check)["remedy"].as_str().unwrap();
        assert!(remedy.contains(words), "{words:?} is missing in {remedy:?}");
    }
}

/// A server that gives all that is asked for by default.
async fn sound_redis(more: &[&str]) -> RedisServer {
    let sound = ["--appendfsync", "always", "--maxmemory", "100mb"];
    RedisServer::start(&[&sound, more].concat()).await
}

fn harkara(redis_url: &str, postgres_url: &str) -> Harkara {
    Harkara::default()
        .with(SECRET.0, SECRET.1)
        .with("HARKARA__REDIS__URL", redis_url)
        .with("HARKARA__POSTGRES__URL", postgres_url)
}

fn away(scheme: &str) -> String {
    format!("{scheme}://keeper:hunter2@127.0.0.1:{}/0", closed_port())
}

/// What the test server of PostgreSQL is warned of: it waits for no disk.
const FSYNC_OFF: &str = "postgres: safety of commits";

async fn changes(redis: &mut MultiplexedConnection) -> String {
    let mut info = redis::cmd("INFO");
    let told: String = info.arg("persistence").query_async(redis).await.unwrap();
    let line = told.lines().find(|l| l.starts_with("rdb_changes_since"));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn a_sound_deployment_passes_strictly_and_nothing_is_written() {
    let redis = sound_redis(&[]).await;
    let postgres = PostgresServer::start(&["max_connections=50"]).await;
    let harkara = harkara(&redis.url(), &postgres.url());
    harkara.run(&["migrate"]).await.done();
    let mut connection = redis.connection().await;
    let before = changes(&mut connection).await;

    let report = Report::of(&harkara, 0, &["--strict", "--workers", "3"]).await;
    assert_eq!(report.status, "ok", "{report:?}");
    for finding in &report.findings {
        assert_eq!(finding["status"], "ok", "{finding}");
        assert_eq!(finding["remedy"], Value::Null, "{finding}");
    }
    report.tells("redis", "version", &format!("127.0.0.1:{}", redis.port));
    report.tells("redis", "durability", "fsyncs before it answers");
    report.tells("redis", "takes deliveries", "allowed");
    report.tells("schema", "indexes", "all are there");
    // 47 are left for us; 2 of an ingress, 3 × 8 of the workers, 2 of a command.
    report.tells("postgres", "connections", "28 in all, 47 are allowed");
    assert_eq!(changes(&mut connection).await, before);
    let keys: u64 = redis::cmd("DBSIZE")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(keys, 0);

    let report = Report::of(&harkara, 1, &["--workers", "6"]).await;
    assert_eq!(report.with_status("problem"), ["postgres: connections"]);
    report.has_remedy("postgres", "connections", "max_connections");
}

#[tokio::test]
async fn people_get_a_line_for_each_check_and_a_remedy_below_it() {
    let redis = sound_redis(&["--maxmemory-policy", "allkeys-lru"]).await;
    let db = TestDatabase::migrated().await;
    let ran = harkara(&redis.url(), &db.url).run(&["doctor"]).await;
    let ran = ran.ended_with(1);
    let told = ran.stdout();
    for part in [
        "STATUS   AREA       CHECK",
        "ok       settings   valid",
        "PROBLEM  redis      maxmemory-policy",
        "    → set it to noeviction",
        "warning  postgres   safety of commits",
        "    → set fsync to on",
    ] {
        assert!(told.contains(part), "{part:?} is missing in\n{told}");
    }
    let summary = told.lines().last().unwrap();
    assert!(summary.starts_with("1 problem, "), "{told}");
    assert!(!told.contains(SECRET.1), "{told}");
}

#[tokio::test]
async fn a_policy_that_drops_deliveries_hides_nothing_of_the_rest() {
    let redis = sound_redis(&["--maxmemory-policy", "allkeys-lru"]).await;
    let db = TestDatabase::migrated().await;
    let report = Report::of(&harkara(&redis.url(), &db.url), 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["redis: maxmemory-policy"]);
    report.tells("redis", "maxmemory-policy", "allkeys-lru");
    report.tells("redis", "memory", "of 100.0 MiB");
    report.tells("streams", "lane default", "no entries");
    assert_eq!(
        report.find("clocks", "Redis and this machine")["status"],
        "ok"
    );
}

#[tokio::test]
async fn durability_that_redis_does_not_give_is_a_problem() {
    let redis = RedisServer::start(&["--appendonly", "no"]).await;
    let db = TestDatabase::migrated().await;
    let harkara = harkara(&redis.url(), &db.url);
    let report = Report::of(&harkara, 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["redis: durability"]);
    report.has_remedy("redis", "durability", "appendfsync always");
    report.has_remedy("redis", "persistence", "appendonly yes");
    report.tells("redis", "memory", "no maxmemory");

    let less = harkara.with("HARKARA__INGRESS__DURABILITY", "appended");
    let report = Report::of(&less, 0, &[]).await;
    assert_eq!(report.status, "warning", "{report:?}");
}

#[tokio::test]
async fn while_redis_is_away_postgresql_is_still_told_of_and_no_password_is() {
    let db = TestDatabase::migrated().await;
    let redis_url = away("redis");
    let ran = harkara(&redis_url, &db.url)
        .run(&["doctor", "--json"])
        .await
        .ended_with(1);
    assert!(!ran.stdout().contains("hunter2"), "{ran:?}");
    let report = Report::read(&ran);
    assert_eq!(report.with_status("problem"), ["redis: reachable"]);
    report.has_remedy("redis", "reachable", "redis.url");
    report.tells("schema", "version", "as this binary needs it");
}

#[tokio::test]
async fn while_postgresql_is_away_redis_is_still_told_of_and_no_password_is() {
    let redis = sound_redis(&[]).await;
    let ran = harkara(&redis.url(), &away("postgres"))
        .run(&["doctor", "--json"])
        .await
        .ended_with(1);
    assert!(!ran.stdout().contains("hunter2"), "{ran:?}");
    let report = Report::read(&ran);
    assert_eq!(report.with_status("problem"), ["postgres: reachable"]);
    report.tells("postgres", "reachable", "127.0.0.1:");
    report.tells("redis", "takes deliveries", "allowed");
    report.tells("streams", "consumers", "0 workers");
}

#[tokio::test]
async fn servers_that_say_nothing_are_given_up_whatever_the_settings_allow() {
    // Connections to them are taken by the system, and nobody ever reads from them.
    let silent = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (redis, postgres) = (silent(), silent());
    let redis_url = format!("redis://{}", redis.local_addr().unwrap());
    let postgres_url = format!("postgres://u@{}/d", postgres.local_addr().unwrap());
    let patient = [
        "HARKARA__REDIS__CONNECT_TIMEOUT_MS",
        "HARKARA__REDIS__RESPONSE_TIMEOUT_MS",
        "HARKARA__POSTGRES__CONNECT_TIMEOUT_MS",
    ];
    let harkara = patient
        .into_iter()
        .fold(harkara(&redis_url, &postgres_url), |harkara, variable| {
            harkara.with(variable, "60000")
        });
    let report = Report::of(&harkara, 1, &[]).await;
    let unreachable = ["redis: reachable", "postgres: reachable"];
    assert_eq!(report.with_status("problem"), unreachable);
    report.tells("redis", "reachable", "no answer within 8 s");
    report.tells("postgres", "reachable", "no answer within 8 s");
}

#[tokio::test]
async fn a_schema_that_is_missing_is_told_with_its_remedy_alone() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::empty().await;
    let harkara = harkara(&redis.url(), &db.url);
    let report = Report::of(&harkara, 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["schema: version"]);
    report.has_remedy("schema", "version", "harkara migrate");
    assert!(report.findings.iter().all(|f| f["check"] != "indexes"));

    harkara.run(&["migrate"]).await.done();
    let report = Report::of(&harkara, 0, &[]).await;
    assert_eq!(report.with_status("warning"), [FSYNC_OFF]);
}

#[tokio::test]
async fn indexes_that_are_missing_or_invalid_are_named() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    // An index made on the parent alone is invalid until every partition has its part.
    db.execute(
        "DROP INDEX payment_refunds_payment; DROP INDEX webhook_events_due; \
         CREATE INDEX webhook_events_due ON ONLY webhook_events (next_attempt_at) WHERE status = 'pending'; \
         ALTER TABLE event_identities DROP CONSTRAINT event_identities_body_sha256_key",
    )
    .await;
    let report = Report::of(&harkara(&redis.url(), &db.url), 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["schema: indexes"; 3]);
    let told: Vec<&str> = report
        .findings
        .iter()
        .filter(|f| f["check"] == "indexes")
        .map(|f| f["told"].as_str().unwrap())
        .collect();
    assert!(told[0].contains("event_identities_body_sha256_key") && told[0].contains("twice"));
    assert!(told[1].contains("payment_refunds_payment of payment_refunds is missing"));
    assert!(told[2].contains("webhook_events_due of webhook_events is INVALID"));
}

#[tokio::test]
async fn months_without_partitions_are_a_warning_since_a_worker_makes_them() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    db.execute(
        "DO $$ BEGIN EXECUTE 'DROP TABLE audit_logs_' \
           || to_char((now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYY_MM'); END $$; \
         INSERT INTO audit_logs (at, actor, action, entity_type, entity_id) \
           VALUES ('2020-01-01', 'nobody', 'replay', 'event', 'x')",
    )
    .await;
    let harkara = harkara(&redis.url(), &db.url);
    let report = Report::of(&harkara, 0, &[]).await;
    let partitions = ["schema: partitions"; 2];
    assert_eq!(
        report.with_status("warning"),
        [&[FSYNC_OFF], &partitions[..]].concat()
    );
    Report::of(&harkara, 1, &["--strict"]).await;
}

#[tokio::test]
async fn a_database_that_only_reads_is_a_problem_and_is_enough_to_look_at_it() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    db.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
           current_database()); END $$",
    )
    .await;
    let report = Report::of(&harkara(&redis.url(), &db.url), 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["postgres: role"]);
    report.has_remedy("postgres", "role", "default_transaction_read_only");
    // Everything else was answered: nothing that is asked writes.
    assert_eq!(report.with_status("warning"), [FSYNC_OFF]);
}

#[tokio::test]
async fn a_consumer_that_is_gone_with_its_entries_is_named() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    let mut connection = redis.connection().await;
    let key = Lane::Medium.stream_key(0);
    let mut ask = async |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec_async(&mut connection).await.unwrap();
    };
    for _ in 0..3 {
        ask(&["XADD", &key, "*", "f", "v"]).await;
    }
    let harkara = IMPATIENT.into_iter().fold(
        harkara(&redis.url(), &db.url),
        |harkara, (variable, value)| harkara.with(variable, value),
    );
    let report = Report::of(&harkara, 0, &[]).await;
    report.tells("streams", "lane medium", "3 entries and no consumer group");
    report.has_remedy("streams", "consumers", "start a worker");

    ask(&["XGROUP", "CREATE", &key, CONSUMER_GROUP, "0"]).await;
    let read = [
        "XREADGROUP",
        "GROUP",
        CONSUMER_GROUP,
        "gone-1",
        "COUNT",
        "2",
    ];
    ask(&[&read[..], &["STREAMS", &key, ">"]].concat()).await;
    let found = std::cell::RefCell::new(report);
    wait_until("the consumer is missed", LIMIT, async || {
        let report = Report::of(&harkara, 0, &[]).await;
        let is_stale = report.find("streams", "consumers")["status"] == "warning";
        found.replace(report);
        is_stale
    })
    .await;
    let report = found.into_inner();
    report.tells("streams", "consumers", "gone-1 has been silent");
    report.tells("streams", "consumers", "holds 2 entries");
    report.tells("streams", "lane medium", "3 entries, 2 pending, the oldest");
    report.tells("streams", "lane medium", "sign of life");
    report.tells("streams", "lane normal", "no consumer group yet");
}

#[tokio::test]
async fn a_key_of_another_kind_is_a_problem_of_its_lane_alone() {
    let redis = sound_redis(&[]).await;
    let mut connection = redis.connection().await;
    let set = [&Lane::Critical.stream_key(0), "not a stream"];
    let mut command = redis::cmd("SET");
    command.arg(&set[..]);
    command.exec_async(&mut connection).await.unwrap();
    let db = TestDatabase::migrated().await;
    let report = Report::of(&harkara(&redis.url(), &db.url), 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["streams: lane critical"]);
    report.tells("streams", "lane critical", "harkara:{0}:critical");
}

#[tokio::test]
async fn a_command_that_is_hidden_is_named() {
    let redis = sound_redis(&["--rename-command", "XAUTOCLAIM", "X-2"]).await;
    let db = TestDatabase::migrated().await;
    let report = Report::of(&harkara(&redis.url(), &db.url), 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["redis: commands"]);
    report.tells("redis", "commands", "XAUTOCLAIM");
}

#[tokio::test]
async fn a_user_without_a_right_is_told_which_and_what_is_hidden_is_a_warning() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    let mut connection = redis.connection().await;
    let rules = ["SETUSER", "op", "on", ">word", "~*", "+@all"];
    for (less, code, status, check) in [
        ("-config", 0, "warning", "persistence"),
        ("-xadd", 1, "problem", "permitted"),
    ] {
        let mut acl = redis::cmd("ACL");
        acl.arg(&rules).arg(less);
        acl.exec_async(&mut connection).await.unwrap();
        let url = format!("redis://op:word@127.0.0.1:{}", redis.port);
        let modest = harkara(&url, &db.url).with("HARKARA__INGRESS__DURABILITY", "appended");
        let report = Report::of(&modest, code, &[]).await;
        assert_eq!(report.find("redis", check)["status"], status, "{report:?}");
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_all_and_nothing_else_is() {
    let harkara = Harkara::default()
        .with("HARKARA__POSTGRES__POOL_MAX", "many")
        .with("HARKARA__REDIS__URI", "redis://127.0.0.1")
        .with("HARKARA__ENDPOINTS__LIVE__SECRETS_FILE", "/nowhere/secrets");
    let report = Report::of(&harkara, 1, &[]).await;
    assert_eq!(report.findings.len(), 3, "{report:?}");
    assert_eq!(report.with_status("problem"), ["settings: valid"; 3]);
    let told = format!("{report:?}");
    for words in ["POOL_MAX", "REDIS__URI", "/nowhere/secrets"] {
        assert!(told.contains(words), "{words:?} is missing in {told}");
    }
}

#[tokio::test]
async fn secrets_and_certificates_are_told_of_without_any_server() {
    let folder = Folder::new();
    folder.write("secrets", "newest-secret-of-all\nthe-one-before-it\n");
    let authority = Authority::new("ours");
    for (certificate, n_expired, status, words) in [
        (authority.issue(&["hooks"]), 0, "warning", "expires in 23 h"),
        (
            authority.issue_expired(&["hooks"]),
            1,
            "problem",
            "expired 1 d",
        ),
    ] {
        folder.write("tls.crt", &certificate.pem);
        folder.write("tls.key", &certificate.key_pem);
        let harkara = Harkara::default()
            .with(
                "HARKARA__ENDPOINTS__LIVE__SECRETS_FILE",
                &folder.file("secrets"),
            )
            .with(
                "HARKARA__INGRESS__TLS_CERTIFICATE_FILE",
                &folder.file("tls.crt"),
            )
            .with("HARKARA__INGRESS__TLS_KEY_FILE", &folder.file("tls.key"))
            .with("HARKARA__REDIS__URL", &away("redis"))
            .with("HARKARA__POSTGRES__URL", &away("postgres"));
        // The servers are away, which is a problem whatever the certificate.
        let report = Report::of(&harkara, 1, &[]).await;
        report.tells("endpoints", "secrets of live", "2 secrets, read from");
        let certificate = report.find("tls", "ingress certificate");
        assert_eq!(certificate["status"], status, "{certificate}");
        report.tells("tls", "ingress certificate", words);
        let n_problems = report.with_status("problem").len();
        assert_eq!(n_problems, 2 + n_expired, "{report:?}");
    }
}

#[tokio::test]
async fn sentinels_are_asked_one_by_one() {
    let primary = sound_redis(&[]).await;
    let sentinels = Sentinels::over(&primary, 1, &["--appendfsync", "always"]).await;
    let db = TestDatabase::migrated().await;
    let one_away = format!("{},127.0.0.1:{}", sentinels.addresses(), closed_port());
    let harkara = harkara("redis://redis.invalid", &db.url)
        .with("HARKARA__REDIS__SENTINELS", &one_away)
        .with("HARKARA__INGRESS__DURABILITY", "replicated");
    let report = Report::of(&harkara, 0, &[]).await;
    report.tells("sentinels", "agreement", "3 of 4 name the same primary");
    let warnings = report.with_status("warning");
    let of_sentinels = warnings.iter().filter(|w| w.starts_with("sentinels: "));
    assert_eq!(of_sentinels.count(), 1, "{warnings:?}");
    report.tells("redis", "replicas", "1 online");

    let unknown = harkara.with("HARKARA__REDIS__SENTINEL_PRIMARY", "nobody");
    let report = Report::of(&unknown, 1, &[]).await;
    assert_eq!(
        report.with_status("problem"),
        ["sentinels: agreement", "redis: reachable"]
    );
}
