use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_settings::Settings;
use harkara_testkit::{TestDatabase, redis_database};
use redis::aio::MultiplexedConnection;

use super::*;
use crate::GroupError;
use crate::connect::connect;
use crate::consumer_group::Group;
use crate::shared::connect_shared;
use crate::test_redis::TestRedis;

fn settings(url: &str, changed: &[(&str, &str)]) -> Settings {
    let pairs = [&[("redis.url", url)], changed].concat();
    Settings::from_pairs(pairs).unwrap()
}

/// A deployment whose ledger is that of a database.
async fn of(settings: &Settings, database: &TestDatabase) -> Deployment {
    let deployment = Deployment::of(settings);
    deployment.identify(&database.pool()).await.unwrap();
    deployment
}

async fn claims(deployment: &Deployment, redis: &mut MultiplexedConnection) -> bool {
    let claimed = deployment.claim_streams_over(redis).await;
    claimed.unwrap().is_ok()
}

#[tokio::test]
async fn the_first_deployment_gets_the_streams_and_keeps_them() {
    let url = redis_database().await;
    let [first, second] = [
        TestDatabase::migrated().await,
        TestDatabase::migrated().await,
    ];
    let (usual, renamed) = (
        settings(&url, &[]),
        settings(&url, &[("deployment.name", "other")]),
    );
    let mut redis = connect(&usual.redis).await.unwrap();
    // Who does not know its ledger marks nothing.
    assert!(claims(&Deployment::of(&usual), &mut redis).await);
    assert_eq!(
        of(&usual, &first)
            .await
            .read_mark(&mut redis)
            .await
            .unwrap(),
        None
    );

    for (settings, database, is_own) in [
        (&usual, Some(&first), true),
        (&usual, Some(&second), false),
        (&renamed, Some(&first), false),
        (&usual, Some(&first), true),
        (&usual, None, true),
        (&renamed, None, false),
    ] {
        let deployment = match database {
            Some(database) => of(settings, database).await,
            None => Deployment::of(settings),
        };
        assert_eq!(
            claims(&deployment, &mut redis).await,
            is_own,
            "{:?}",
            deployment.mark()
        );
    }
    let other_prefix = settings(&url, &[("redis.prefix", "other")]);
    assert!(claims(&of(&other_prefix, &second).await, &mut redis).await);
}

#[tokio::test]
async fn a_mark_that_is_gone_is_written_again() {
    let (url, database) = (redis_database().await, TestDatabase::migrated().await);
    let settings = settings(&url, &[]);
    let deployment = of(&settings, &database).await;
    let mut redis = connect(&settings.redis).await.unwrap();
    for _ in 0..2 {
        assert!(claims(&deployment, &mut redis).await);
        let found = deployment.read_mark(&mut redis).await.unwrap();
        assert_eq!(found, deployment.mark());
        let () = cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
    }
}

#[tokio::test]
async fn a_foreign_mark_that_is_lost_gives_the_streams_to_nobody_who_saw_it() {
    let (url, database) = (redis_database().await, TestDatabase::migrated().await);
    let settings = settings(&url, &[]);
    let deployment = of(&settings, &database).await;
    let mut redis = TestRedis::at(&url, 0).await;
    let mut connection = connect(&settings.redis).await.unwrap();
    let () = redis.run("SET harkara:{0}:deployment other").await;
    assert!(!claims(&deployment, &mut connection).await);
    let () = redis.run("DEL harkara:{0}:deployment").await;
    assert!(!claims(&deployment.clone(), &mut connection).await);
    let found = deployment.read_mark(&mut connection).await;
    assert_eq!(found.unwrap(), None);

    let own = deployment.mark().unwrap();
    let adopted = deployment.replace_mark(&mut connection, &own).await;
    adopted.unwrap();
    assert!(claims(&deployment, &mut connection).await);
    let () = redis.run("DEL harkara:{0}:deployment").await;
    assert!(claims(&deployment, &mut connection).await);
    let found = deployment.read_mark(&mut connection).await;
    assert_eq!(found.unwrap(), Some(own));
}

#[tokio::test]
async fn a_new_connection_to_foreign_streams_is_not_used() {
    let url = redis_database().await;
    let settings = settings(&url, &[]);
    let mut redis = TestRedis::at(&url, 0).await;
    let () = redis.run("SET harkara:{0}:deployment other").await;
    let deployment = Deployment::of(&settings);
    let shared = connect_shared(&settings.redis, &deployment);
    let refused = shared.handle().await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("belong to"), "{refused}");

    // Without a check of the owner before.
    let group = Group::new(&settings.redis, deployment, "me".to_owned());
    let pending = group.own_pending(Lane::Normal, None).await;
    assert!(matches!(pending, Err(GroupError::Foreign(_))));
}

#[tokio::test]
async fn a_group_of_foreign_streams_creates_and_reads_nothing() {
    let url = redis_database().await;
    let [first, second] = [
        TestDatabase::migrated().await,
        TestDatabase::migrated().await,
    ];
    let settings = settings(&url, &[]);
    let group = async |database| {
        let deployment = of(&settings, database).await;
        Group::new(&settings.redis, deployment, "me".to_owned())
    };
    let (owner, other) = (group(&first).await, group(&second).await);
    // Before it is known whose they are.
    let mut early = other.reader(&settings.redis, Duration::ZERO).await.unwrap();
    let mut redis = TestRedis::at(&url, 0).await;
    let () = redis.run("DEL harkara:{0}:deployment").await;

    assert_eq!(owner.ensure().await.unwrap(), 4);
    redis.append(Lane::Normal, ["1-1"]).await;
    assert!(matches!(other.ensure().await, Err(GroupError::Foreign(_))));
    let connected = other.reader(&settings.redis, Duration::ZERO).await;
    assert!(matches!(connected, Err(GroupError::Foreign(_))));
    let bounds = crate::consumer_group::ReadBounds {
        entries: 1,
        reply_bytes: None,
        block: None,
    };
    let read = other.read(&mut early, &[Lane::Normal], bounds).await;
    assert!(
        matches!(read, Err(GroupError::Foreign(_))),
        "it is known by now"
    );
    let foreign = other.foreign().await;
    let text = format!("{foreign}; {}", foreign.remedy());
    for part in [
        "harkara:{0}:*",
        "belong to the deployment harkara with",
        "redis.prefix",
        "harkara adopt",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
