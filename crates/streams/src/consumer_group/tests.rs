mod repairs;

use std::time::Duration;

use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::Lane;
use harkara_testkit::{redis_database, wait_until};
use redis::Value;
use redis::streams::{StreamInfoConsumersReply, StreamRangeReply};

use super::{Group, PendingEntry, ReadBounds};
use crate::test_redis::{TestRedis, settings};
use crate::{Deployment, GroupError};

const BOUND: Duration = Duration::from_secs(30);

/// A group on a Redis of its own, as the consumer `me` sees it.
async fn group() -> (Group, TestRedis) {
    group_on(&redis_database().await).await
}

async fn group_on(url: &str) -> (Group, TestRedis) {
    let settings = settings(url);
    let group = Group::new(&settings.redis, Deployment::of(&settings), "me".to_owned());
    assert_eq!(group.ensure().await.unwrap(), 4);
    (group, TestRedis::at(url, 0).await)
}

/// This consumer's own pending entries of a lane.
async fn own_pending(group: &Group, lane: Lane) -> Vec<PendingEntry> {
    group.own_pending(lane, None).await.unwrap()
}

/// Appends an entry and lets a consumer claim it.
async fn claimed_by(redis: &mut TestRedis, consumer: &str, lane: Lane) {
    redis.append(lane, ["*"]).await;
    redis.claim(consumer, lane, 1).await;
}

async fn consumers(redis: &mut TestRedis, lane: Lane) -> StreamInfoConsumersReply {
    redis.run(&format!("XINFO CONSUMERS {lane} GROUP")).await
}

async fn consumer_names(redis: &mut TestRedis, lane: Lane) -> Vec<String> {
    let consumers = consumers(redis, lane).await.consumers.into_iter();
    consumers.map(|consumer| consumer.name).collect()
}

/// How long the only consumer of the lane `critical` has been idle.
async fn idle(redis: &mut TestRedis) -> Duration {
    let millis = consumers(redis, Lane::Critical).await.consumers[0].idle;
    Duration::from_millis(millis as u64)
}

#[tokio::test]
async fn idle_consumers_are_removed_unless_something_is_pending_with_them() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "holding", Lane::Default).await;
    for name in ["empty", "me"] {
        let create = format!("XGROUP CREATECONSUMER default GROUP {name}");
        let () = redis.run(&create).await;
    }
    for (idle, retired) in [(Duration::from_hours(1), 0), (Duration::ZERO, 1)] {
        assert_eq!(group.retire_idle_consumers(idle).await.unwrap(), retired);
    }
    let left = consumer_names(&mut redis, Lane::Default).await;
    assert_eq!(left, ["holding", "me"]);
}

#[tokio::test]
async fn a_heartbeat_keeps_a_consumer_active_and_claims_nothing() {
    const QUIET: Duration = Duration::from_millis(500);
    let (group, mut redis) = group().await;
    group.heartbeat().await.unwrap();
    wait_until("it looks idle", QUIET * 20, async || {
        idle(&mut redis).await >= QUIET
    })
    .await;
    redis.append(Lane::Critical, ["1-1"]).await;
    group.heartbeat().await.unwrap();
    assert!(idle(&mut redis).await < QUIET);
    assert!(own_pending(&group, Lane::Critical).await.is_empty());
}

#[tokio::test]
async fn a_consumer_leaves_only_the_lanes_on_which_nothing_is_pending_with_it() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "me", Lane::Default).await;
    let () = redis.run("XGROUP CREATECONSUMER critical GROUP me").await;
    group.deregister().await.unwrap();
    assert_eq!(consumer_names(&mut redis, Lane::Default).await, ["me"]);
    assert_eq!(consumer_names(&mut redis, Lane::Critical).await, [""; 0]);
}

#[tokio::test]
async fn a_pending_entry_that_was_deleted_from_the_stream_is_forgotten() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "me", Lane::Normal).await;
    let [PendingEntry { id, .. }] = own_pending(&group, Lane::Normal).await[..] else {
        panic!("it is pending")
    };
    let () = redis.run(&format!("XDEL normal {id}")).await;
    let claimed = group.claim_again(Lane::Normal, &[id], 1).await.unwrap();
    assert!(claimed.entries.is_empty());
    assert_eq!((claimed.deleted, claimed.handled), (vec![id], 1));
    assert!(own_pending(&group, Lane::Normal).await.is_empty());
}

#[tokio::test]
async fn an_idle_entry_that_was_deleted_from_the_stream_is_reported_once() {
    let (group, mut redis) = group().await;
    let claimed = claimed_as(&mut redis, Lane::Normal, &["1-1", "1-2"]).await;
    let () = redis.run("XDEL normal 1-1").await;
    let mut deleted = Vec::new();
    for _ in 0..2 {
        let idle = group.reclaim_idle(Lane::Normal, Duration::ZERO, "0-0", 10);
        let idle = idle.await.unwrap();
        let again = group.claim_again(Lane::Normal, &idle.ids, 100);
        deleted.extend(idle.deleted);
        // Redis before 7.
        deleted.extend(again.await.unwrap().deleted);
    }
    assert_eq!(deleted, [claimed[0].id]);
}

#[tokio::test]
async fn entries_claimed_again_are_bounded_in_bytes() {
    let (group, mut redis) = group().await;
    let large = "x".repeat(1000);
    for _ in 0..250 {
        let _: String = redis.run(&format!("XADD normal * a {large}")).await;
    }
    redis.claim("dead", Lane::Normal, 250).await;
    let idle = group.reclaim_idle(Lane::Normal, Duration::ZERO, "0-0", 250);
    let ids = idle.await.unwrap().ids;
    for (bytes_max, n_entries) in [(1, 1), (2_000, 2), (110_000, 110), (1_000_000, 250)] {
        let claimed = group.claim_again(Lane::Normal, &ids, bytes_max).await;
        let claimed = claimed.unwrap();
        assert_eq!(claimed.entries.len(), n_entries, "{bytes_max}");
        assert_eq!(claimed.handled, n_entries, "{bytes_max}");
        assert_eq!(claimed.entries[0].entry.id, ids[0]);
    }
    let claims = own_pending(&group, Lane::Normal).await;
    let claims: Vec<u64> = claims.iter().map(|entry| entry.claims).collect();
    assert_eq!([claims[0], claims[1], claims[2], claims[249]], [5, 4, 3, 2]);
}

#[tokio::test]
async fn a_reply_larger_than_asked_for_is_not_received() {
    let (group, mut redis) = group().await;
    let settings = settings(&redis.url).redis;
    let large = "x".repeat(100_000);
    for _ in 0..20 {
        let _: String = redis.run(&format!("XADD normal * a {large}")).await;
    }
    let mut reader = group.reader(&settings, Duration::ZERO).await.unwrap();
    let bounds = |entries, reply_bytes| ReadBounds {
        entries,
        reply_bytes,
        block: None,
    };
    let few = group.read(&mut reader, &Lane::ALL, bounds(2, Some(250_000)));
    assert_eq!(few.await.unwrap().len(), 2);
    let whatever = group.read(&mut reader, &Lane::ALL, bounds(1, None));
    assert_eq!(whatever.await.unwrap().len(), 1);
    let many = group.read(&mut reader, &Lane::ALL, bounds(10, Some(250_000)));
    let refused = many.await.unwrap_err();
    assert!(
        matches!(refused, GroupError::ReplyTooLarge { .. }),
        "{refused}"
    );
    assert_eq!(own_pending(&group, Lane::Normal).await.len(), 13);
}

#[tokio::test]
async fn an_entry_that_another_consumer_claimed_as_new_stays_with_it() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "me", Lane::Normal).await;
    let id = own_pending(&group, Lane::Normal).await[0].id;
    let () = redis.run("XGROUP DESTROY normal GROUP").await;
    group.ensure().await.unwrap();
    // Not pending with anyone: nothing is claimed, and it stays claimable for others.
    let claimed = group.claim_again(Lane::Normal, &[id], 1).await.unwrap();
    assert!(claimed.entries.is_empty() && claimed.deleted.is_empty());
    redis.claim("other", Lane::Normal, 1).await;
    let pending: Vec<Value> = redis.run("XPENDING normal GROUP").await;
    assert_eq!(pending[0], Value::Int(1));
}

#[tokio::test]
async fn an_entry_handed_back_looks_idle_and_only_an_untried_one_is_uncounted() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "me", Lane::Normal).await;
    claimed_by(&mut redis, "me", Lane::Normal).await;
    let pending = own_pending(&group, Lane::Normal).await;
    let is_first = |entry: EntryRef| entry.id == pending[0].id;
    group
        .hand_back(Lane::Normal, &pending, is_first, Duration::from_hours(1))
        .await
        .unwrap();
    let handed_back = own_pending(&group, Lane::Normal).await;
    let claims: Vec<u64> = handed_back.iter().map(|entry| entry.claims).collect();
    assert_eq!(claims, [0, 1]);
    let idle = Duration::from_mins(59);
    let reclaimed = group.reclaim_idle(Lane::Normal, idle, "0-0", 10).await;
    assert_eq!(reclaimed.unwrap().ids.len(), 2);
}

/// Appends entries of given ids to a lane and lets this consumer claim them.
async fn claimed_as(redis: &mut TestRedis, lane: Lane, ids: &[&str]) -> Vec<EntryRef> {
    redis.append(lane, ids).await;
    redis.claim("me", lane, ids.len() as u64).await;
    ids.iter().map(|id| entry(lane, id)).collect()
}

fn entry(lane: Lane, id: &str) -> EntryRef {
    let id = EntryId::parse(id).unwrap();
    EntryRef { lane, id }
}

/// The ids in a lane's stream.
async fn stream(redis: &mut TestRedis, lane: Lane) -> Vec<String> {
    let reply: StreamRangeReply = redis.run(&format!("XRANGE {lane} - +")).await;
    reply.ids.into_iter().map(|entry| entry.id).collect()
}

#[tokio::test]
async fn committed_entries_of_several_lanes_are_removed_and_their_neighbours_stay() {
    let (group, mut redis) = group().await;
    let normal: Vec<String> = (1..=1500).map(|n| format!("1-{n}")).collect();
    let normal: Vec<&str> = normal.iter().map(String::as_str).collect();
    let mut committed = claimed_as(&mut redis, Lane::Normal, &normal).await;
    committed.extend(claimed_as(&mut redis, Lane::Critical, &["5-0", "7-0", "10-0"]).await);
    redis.append(Lane::Normal, ["2-0"]).await;
    let kept = committed.pop().unwrap();
    assert_eq!(group.remove_all(&committed).await.unwrap(), 1502);
    assert_eq!(stream(&mut redis, Lane::Normal).await, ["2-0"]);
    assert_eq!(stream(&mut redis, Lane::Critical).await, ["10-0"]);
    assert_eq!(own_pending(&group, Lane::Critical).await[0].id, kept.id);
    assert_eq!(group.remove_all(&committed).await.unwrap(), 0);
}

#[tokio::test]
async fn another_entry_with_the_id_of_a_committed_one_is_not_deleted() {
    let (group, mut redis) = group().await;
    let committed = claimed_as(&mut redis, Lane::Normal, &["5-0", "6-0", "7-0"]).await;
    // Redis fails over to a replica that has not got them yet, and whose clock is behind.
    let () = redis.run("DEL normal").await;
    redis.append(Lane::Normal, ["6-0"]).await;
    // Neither before its group exists nor after.
    assert_eq!(group.remove_all(&committed).await.unwrap(), 0);
    group.ensure().await.unwrap();
    assert_eq!(group.remove_all(&committed).await.unwrap(), 0);
    assert_eq!(stream(&mut redis, Lane::Normal).await, ["6-0"]);
    // Nor where the group is about to deliver the id.
    redis.append(Lane::Normal, ["6-1"]).await;
    redis.claim("me", Lane::Normal, 1).await;
    let later = entry(Lane::Normal, "6-1");
    assert_eq!(group.remove_all(&[later]).await.unwrap(), 0);
    assert_eq!(stream(&mut redis, Lane::Normal).await, ["6-0", "6-1"]);
}
