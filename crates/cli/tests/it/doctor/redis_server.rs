//! What is found on a Redis server, and on its sentinels.

use harkara_testkit::{RedisServer, Sentinels, TestDatabase};

use super::{Report, harkara, sound, sound_redis};
use crate::harkara::{REDIS_URL, nowhere};

const DURABILITY: &str = "HARKARA__INGRESS__DURABILITY";

#[tokio::test]
async fn durability_that_redis_cannot_provide_is_a_problem() {
    let redis = RedisServer::start(&["--appendonly", "no"]).await;
    let database = TestDatabase::migrated().await;
    let harkara = harkara(&redis.url(), &database.url);
    let report = Report::of(&harkara, 1, "").await;
    assert_eq!(report.with_status("problem"), ["redis: durability"]);
    report.has_remedy("redis: durability", "appendfsync always");
    report.has_remedy("redis: persistence", "appendonly yes");
    report.finds("redis: memory", "no maxmemory");

    let report = Report::of(&harkara.with(DURABILITY, "appended"), 0, "").await;
    assert_eq!(report.status, "warning", "{report:?}");
}

#[tokio::test]
async fn a_hidden_command_is_named() {
    let redis = sound_redis(&["--rename-command", "XAUTOCLAIM", "X-2"]).await;
    let database = TestDatabase::migrated().await;
    let report = Report::of(&harkara(&redis.url(), &database.url), 1, "").await;
    assert_eq!(report.with_status("problem"), ["redis: commands"]);
    report.finds("redis: commands", "XAUTOCLAIM");
}

#[tokio::test]
async fn a_missing_permission_is_a_problem_and_a_hidden_setting_a_warning() {
    let (redis, _database, harkara) = sound().await;
    let mut connection = redis.connection().await;
    let rules = ["SETUSER", "op", "on", ">word", "~*", "+@all"];
    let url = format!("redis://op:word@127.0.0.1:{}", redis.port);
    let harkara = harkara.with(DURABILITY, "appended").with(REDIS_URL, &url);
    for (less, code, status, check) in [
        ("-config", 0, "warning", "redis: persistence"),
        ("-xadd", 1, "problem", "redis: permitted"),
    ] {
        let mut acl = redis::cmd("ACL");
        acl.arg(&rules).arg(less);
        acl.exec_async(&mut connection).await.unwrap();
        let report = Report::of(&harkara, code, "").await;
        assert_eq!(report.find(check)["status"], status, "{report:?}");
    }
}

#[tokio::test]
async fn sentinels_are_asked_one_by_one() {
    let primary = sound_redis(&[]).await;
    let sentinels = Sentinels::over(&primary, 1, &["--appendfsync", "always"]).await;
    let database = TestDatabase::migrated().await;
    let (_, unavailable) = nowhere("redis");
    let addresses = format!("{},{unavailable}", sentinels.addresses());
    let harkara = harkara("redis://redis.invalid", &database.url)
        .with("HARKARA__REDIS__SENTINELS", &addresses)
        .with(DURABILITY, "replicated");
    let report = Report::of(&harkara, 0, "").await;
    report.finds("sentinels: agreement", "3 of 4 name the same primary");
    let warnings = report.with_status("warning");
    let of_sentinels = warnings.iter().filter(|w| w.starts_with("sentinels: "));
    assert_eq!(of_sentinels.count(), 1, "{warnings:?}");
    report.finds("redis: replicas", "1 online");

    let unknown = harkara.with("HARKARA__REDIS__SENTINEL_PRIMARY", "nobody");
    let report = Report::of(&unknown, 1, "").await;
    let problems = ["sentinels: agreement", "redis: reachable"];
    assert_eq!(report.with_status("problem"), problems);
}
