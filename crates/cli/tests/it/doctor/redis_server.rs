//! What is found on a Redis server, and on its sentinels.

use harkara_testkit::{RedisServer, Sentinels, TestDatabase};

use super::report::{Report, away, harkara, sound_redis};
use crate::harkara::closed_port;

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
