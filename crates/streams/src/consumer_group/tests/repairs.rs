//! What somebody did to a lane by hand.

use harkara_core::entry::EntryRef;
use harkara_core::lane::Lane;
use harkara_testkit::{RedisServer, redis_database, wait_until};
use redis::Value;

use super::{BOUND, claimed_as, entry, group_on, own_pending};
use crate::consumer_group::{Group, Repaired};
use crate::test_redis::TestRedis;

/// What a repair of the lane `normal` finds, with ids as text.
async fn repaired(group: &Group) -> (bool, u64, Vec<String>) {
    let Repaired {
        was_ahead,
        deleted_unread,
        skipped,
    } = group.repair(Lane::Normal, 100, 1_000_000).await.unwrap();
    let skipped = skipped.iter().map(ToString::to_string).collect();
    (was_ahead, deleted_unread, skipped)
}

/// A group on a lane with five entries, of which this consumer has claimed three, after some commands.
async fn group_after(url: &str, commands: &[&str]) -> (Group, TestRedis) {
    let (group, mut redis) = group_on(url).await;
    redis
        .append(Lane::Normal, (1..=5).map(|n| format!("1-{n}")))
        .await;
    redis.claim("me", Lane::Normal, 3).await;
    for command in commands {
        let _: Value = redis.run(command).await;
    }
    (group, redis)
}

#[tokio::test]
async fn entries_that_the_group_has_skipped_become_pending() {
    for (commands, was_ahead, expected) in [
        (&[][..], false, &[][..]),
        (&["XGROUP SETID normal GROUP 0"], false, &[]),
        (&["XACK normal GROUP 1-1 1-2"], false, &["1-1", "1-2"]),
        (
            &["XGROUP DELCONSUMER normal GROUP me"],
            false,
            &["1-1", "1-2", "1-3"],
        ),
        (&["XGROUP SETID normal GROUP $"], false, &["1-4", "1-5"]),
        (
            &[
                "XGROUP SETID normal GROUP $",
                "XACK normal GROUP 1-1 1-2 1-3",
                "XDEL normal 1-1 1-2 1-3",
            ],
            false,
            &["1-4", "1-5"],
        ),
        (
            &[
                "XGROUP SETID normal GROUP 9-0",
                "XACK normal GROUP 1-1 1-2 1-3",
                "XDEL normal 1-1 1-2 1-3",
            ],
            true,
            &["1-4", "1-5"],
        ),
    ] {
        let (group, mut redis) = group_after(&redis_database().await, commands).await;
        let (ahead, deleted, skipped) = repaired(&group).await;
        assert_eq!((ahead, deleted), (was_ahead, 0), "{commands:?}");
        assert_eq!(skipped, expected, "{commands:?}");
        assert_eq!(
            repaired(&group).await,
            (false, 0, Vec::new()),
            "{commands:?}"
        );
        let pending = own_pending(&group, Lane::Normal).await;
        for entry in &pending {
            let is_skipped = skipped.contains(&entry.id.to_string());
            assert_eq!(entry.claims, u64::from(!is_skipped), "{commands:?}");
        }
        // New entries are delivered.
        redis.append(Lane::Normal, ["2-0"]).await;
        redis.claim("me", Lane::Normal, 10).await;
        let last = own_pending(&group, Lane::Normal).await.pop().unwrap();
        assert_eq!(last.id, entry(Lane::Normal, "2-0").id, "{commands:?}");
    }
}

#[tokio::test]
async fn skipped_entries_are_adopted_in_parts() {
    let commands = ["XGROUP DELCONSUMER normal GROUP me"];
    let (group, _redis) = group_after(&redis_database().await, &commands).await;
    for (entries_max, bytes_max, expected) in [(1, 100, 1), (100, 1, 1), (100, 100, 1), (9, 9, 0)] {
        let repaired = group.repair(Lane::Normal, entries_max, bytes_max).await;
        assert_eq!(repaired.unwrap().skipped.len(), expected);
        let own = own_pending(&group, Lane::Normal).await;
        group
            .remove_all(
                &own.iter()
                    .map(|pending| EntryRef {
                        lane: Lane::Normal,
                        id: pending.id,
                    })
                    .collect::<Vec<_>>(),
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn entries_deleted_before_they_were_read_are_counted_once() {
    let server = RedisServer::start_with_waitaof(&[]).await;
    for (commands, expected) in [
        (&["XDEL normal 1-5"][..], 1),
        (&["XDEL normal 1-4", "XDEL normal 1-5"], 2),
        // Three of them are pending, and are reported when they are reclaimed.
        (&["XTRIM normal MAXLEN = 1"], 1),
        (&["XTRIM normal MAXLEN = 0"], 2),
        (&["XDEL normal 1-2"], 0),
        (&["XACK normal GROUP 1-1", "XDEL normal 1-1"], 0),
    ] {
        let (group, mut redis) = group_after(&server.url(), commands).await;
        assert_eq!(
            repaired(&group).await,
            (false, expected, Vec::new()),
            "{commands:?}"
        );
        assert_eq!(repaired(&group).await.1, 0, "{commands:?}");
        redis.append(Lane::Normal, ["2-0", "2-1"]).await;
        redis.claim("me", Lane::Normal, 10).await;
        assert_eq!(repaired(&group).await.1, 0, "{commands:?}");
        let () = redis.run("XTRIM normal MAXLEN = 0").await;
        assert_eq!(repaired(&group).await.1, 0, "{commands:?}");
        let () = redis.run("FLUSHALL").await;
    }
}

/// Redis before 7.4 forgets with a restart how many entries were read since its file was rewritten.
#[tokio::test]
async fn after_a_restart_of_redis_no_entry_counts_as_deleted() {
    let persistent = ["--appendonly", "yes"];
    for mut server in [
        RedisServer::start(&persistent).await,
        RedisServer::start_with_waitaof(&persistent).await,
    ] {
        let (group, mut redis) = group_on(&server.url()).await;
        let committed = claimed_as(&mut redis, Lane::Normal, &["1-0", "2-0"]).await;
        group.remove_all(&committed).await.unwrap();
        let () = redis.run("BGREWRITEAOF").await;
        wait_until("the file is rewritten", BOUND, async || {
            let info: String = redis.run("INFO persistence").await;
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
        })
        .await;
        let committed = claimed_as(&mut redis, Lane::Normal, &["3-0", "4-0", "5-0"]).await;
        group.remove_all(&committed).await.unwrap();
        server.kill();
        server.resume().await;
        wait_until("Redis answers", BOUND, async || {
            group.heartbeat().await.is_ok()
        })
        .await;
        assert_eq!(repaired(&group).await, (false, 0, Vec::new()));
    }
}
