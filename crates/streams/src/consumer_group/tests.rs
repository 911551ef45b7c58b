use std::time::Duration;

use crate::pool;
use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_settings::Settings;
use harkara_testkit::{redis_database, wait_until};
use redis::aio::MultiplexedConnection;
use redis::cmd;

use super::Group;

/// A group on a Redis of its own, as the consumer `me` sees it.
async fn group() -> (Group, MultiplexedConnection) {
    let url = redis_database().await;
    let settings = Settings::from_pairs([("redis.url", &url)]).expect("the settings are sound");
    let group = Group::new(pool(&settings.redis), 0, "me".to_owned());
    assert_eq!(group.ensure().await.expect("the groups are created"), 4);
    let client = redis::Client::open(url).expect("the URL is valid");
    (
        group,
        client
            .get_multiplexed_async_connection()
            .await
            .expect("the test Redis answers"),
    )
}

/// This consumer's own pending entries of a lane.
async fn own_pending(group: &Group, lane: Lane) -> Vec<super::PendingEntry> {
    group.own_pending(lane, None).await.expect("asked")
}

/// Appends an entry and lets a consumer claim it.
async fn claimed_by(redis: &mut MultiplexedConnection, consumer: &str, lane: Lane) {
    let key = lane.stream_key(0);
    let () = cmd("XADD")
        .arg(&[&key, "*", "a", "b"])
        .query_async(redis)
        .await
        .expect("XADD");
    let () = cmd("XREADGROUP")
        .arg(&["GROUP", CONSUMER_GROUP, consumer, "STREAMS", &key, ">"])
        .query_async(redis)
        .await
        .expect("XREADGROUP");
}

/// For how long the one consumer of the lane `critical` has been idle.
async fn idle(redis: &mut MultiplexedConnection) -> Duration {
    let reply: redis::streams::StreamInfoConsumersReply = cmd("XINFO")
        .arg(&["CONSUMERS", &Lane::Critical.stream_key(0), CONSUMER_GROUP])
        .query_async(redis)
        .await
        .expect("XINFO");
    let millis = reply.consumers[0].idle;
    Duration::from_millis(u64::try_from(millis).expect("a time is not negative"))
}

async fn consumers(redis: &mut MultiplexedConnection, lane: Lane) -> Vec<String> {
    let reply: redis::streams::StreamInfoConsumersReply = cmd("XINFO")
        .arg(&["CONSUMERS", &lane.stream_key(0), CONSUMER_GROUP])
        .query_async(redis)
        .await
        .expect("XINFO");
    reply
        .consumers
        .into_iter()
        .map(|consumer| consumer.name)
        .collect()
}

#[tokio::test]
async fn idle_consumers_are_removed_unless_something_is_pending_with_them() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "holding", Lane::Default).await;
    for name in ["empty", "me"] {
        let () = cmd("XGROUP")
            .arg(&[
                "CREATECONSUMER",
                &Lane::Default.stream_key(0),
                CONSUMER_GROUP,
                name,
            ])
            .query_async(&mut redis)
            .await
            .expect("CREATECONSUMER");
    }
    assert_eq!(
        group
            .retire_idle_consumers(Duration::from_hours(1))
            .await
            .expect("asked"),
        0
    );
    assert_eq!(
        group
            .retire_idle_consumers(Duration::ZERO)
            .await
            .expect("asked"),
        1
    );
    assert_eq!(
        consumers(&mut redis, Lane::Default).await,
        ["holding", "me"]
    );
}

#[tokio::test]
async fn a_consumer_that_gets_nothing_shows_life_and_claims_nothing() {
    const QUIET: Duration = Duration::from_millis(500);
    let (group, mut redis) = group().await;
    group.show_life().await.expect("the group exists");
    wait_until("it looks idle", QUIET * 20, async || {
        idle(&mut redis).await >= QUIET
    })
    .await;
    append(&mut redis, Lane::Critical, "1-1").await;
    group.show_life().await.expect("the group exists");
    assert!(idle(&mut redis).await < QUIET);
    let held = own_pending(&group, Lane::Critical).await;
    assert!(held.is_empty());
}

#[tokio::test]
async fn a_consumer_leaves_only_the_lanes_on_which_nothing_is_pending_with_it() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "me", Lane::Default).await;
    let () = cmd("XGROUP")
        .arg(&[
            "CREATECONSUMER",
            &Lane::Critical.stream_key(0),
            CONSUMER_GROUP,
            "me",
        ])
        .query_async(&mut redis)
        .await
        .expect("CREATECONSUMER");
    group.deregister().await.expect("asked");
    assert_eq!(consumers(&mut redis, Lane::Default).await, ["me"]);
    assert_eq!(consumers(&mut redis, Lane::Critical).await, [""; 0]);
}

#[tokio::test]
async fn a_pending_entry_that_was_deleted_from_the_stream_is_let_go_of() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "me", Lane::Normal).await;
    let pending = own_pending(&group, Lane::Normal).await;
    let () = cmd("XDEL")
        .arg(Lane::Normal.stream_key(0))
        .arg(pending[0].id.to_string())
        .query_async(&mut redis)
        .await
        .expect("XDEL");
    let claimed = group
        .claim_again(Lane::Normal, &[pending[0].id])
        .await
        .expect("asked");
    assert!(claimed.is_empty());
    assert!(own_pending(&group, Lane::Normal).await.is_empty());
}

#[tokio::test]
async fn an_entry_that_another_consumer_claimed_afresh_stays_with_it() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "me", Lane::Normal).await;
    let stale = own_pending(&group, Lane::Normal).await;
    let key = Lane::Normal.stream_key(0);
    let () = cmd("XGROUP")
        .arg(&["DESTROY", &key, CONSUMER_GROUP])
        .query_async(&mut redis)
        .await
        .expect("DESTROY");
    group.ensure().await.expect("the group is created anew");
    // Not pending with anyone: nothing is claimed, and nothing is taken out of the others' reach.
    let ids = [stale[0].id];
    assert!(
        group
            .claim_again(Lane::Normal, &ids)
            .await
            .expect("asked")
            .is_empty()
    );
    let () = cmd("XREADGROUP")
        .arg(&["GROUP", CONSUMER_GROUP, "other", "STREAMS", &key, ">"])
        .query_async(&mut redis)
        .await
        .expect("XREADGROUP");
    let forgotten: u64 = super::scripts::FORGET_DELETED
        .key(&key)
        .arg(CONSUMER_GROUP)
        .arg(ids[0].to_string())
        .invoke_async(&mut redis)
        .await
        .expect("asked");
    assert_eq!(forgotten, 0);
    let (pending, ..): (u64, redis::Value, redis::Value, redis::Value) = cmd("XPENDING")
        .arg(&[&key, CONSUMER_GROUP])
        .query_async(&mut redis)
        .await
        .expect("XPENDING");
    assert_eq!(pending, 1);
}

#[tokio::test]
async fn an_entry_handed_back_looks_idle_and_only_an_untried_one_is_uncounted() {
    let (group, mut redis) = group().await;
    claimed_by(&mut redis, "me", Lane::Normal).await;
    claimed_by(&mut redis, "me", Lane::Normal).await;
    let pending = own_pending(&group, Lane::Normal).await;
    let first = pending[0].id;
    group
        .hand_back(
            Lane::Normal,
            &pending,
            |entry| entry.id == first,
            Duration::from_hours(1),
        )
        .await
        .expect("handed back");
    let claims = |pending: &[super::PendingEntry]| -> Vec<u64> {
        pending.iter().map(|entry| entry.claims).collect()
    };
    let pending = own_pending(&group, Lane::Normal).await;
    assert_eq!(claims(&pending), [0, 1]);
    let (_, taken) = group
        .reclaim_idle(Lane::Normal, Duration::from_mins(59), "0-0", 10)
        .await
        .expect("asked");
    assert_eq!(taken.len(), 2);
}

/// Appends entries of given ids to a lane and lets this consumer claim them.
async fn claimed_as(redis: &mut MultiplexedConnection, lane: Lane, ids: &[&str]) -> Vec<EntryRef> {
    for id in ids {
        append(redis, lane, id).await;
    }
    let () = cmd("XREADGROUP")
        .arg(&["GROUP", CONSUMER_GROUP, "me", "STREAMS"])
        .arg(&[&lane.stream_key(0), ">"])
        .query_async(redis)
        .await
        .expect("XREADGROUP");
    let id = |id: &&str| EntryId::parse(id).expect("it is an id");
    let entry = |id| EntryRef { lane, id };
    ids.iter().map(id).map(entry).collect()
}

async fn append(redis: &mut MultiplexedConnection, lane: Lane, id: &str) {
    let () = cmd("XADD")
        .arg(&[&lane.stream_key(0), id, "a", "b"])
        .query_async(redis)
        .await
        .expect("XADD");
}

/// The ids in a lane's stream.
async fn stream(redis: &mut MultiplexedConnection, lane: Lane) -> Vec<String> {
    let reply: redis::streams::StreamRangeReply = cmd("XRANGE")
        .arg(&[&lane.stream_key(0), "-", "+"])
        .query_async(redis)
        .await
        .expect("XRANGE");
    reply.ids.into_iter().map(|entry| entry.id).collect()
}

#[tokio::test]
async fn committed_entries_of_several_lanes_are_removed_and_their_neighbours_stay() {
    let (group, mut redis) = group().await;
    let normal: Vec<String> = (1..=1500).map(|n| format!("1-{n}")).collect();
    let normal: Vec<&str> = normal.iter().map(String::as_str).collect();
    let mut committed = claimed_as(&mut redis, Lane::Normal, &normal).await;
    committed.extend(claimed_as(&mut redis, Lane::Critical, &["5-0", "7-0", "10-0"]).await);
    append(&mut redis, Lane::Normal, "2-0").await;
    let kept = committed.pop().expect("there are entries");
    assert_eq!(group.remove_all(&committed).await.expect("removed"), 1502);
    assert_eq!(stream(&mut redis, Lane::Normal).await, ["2-0"]);
    assert_eq!(stream(&mut redis, Lane::Critical).await, ["10-0"]);
    let pending = own_pending(&group, Lane::Critical).await;
    assert_eq!(pending[0].id, kept.id);
    assert_eq!(group.remove_all(&committed).await.expect("again"), 0);
}

#[tokio::test]
async fn an_entry_appended_anew_under_the_id_of_a_committed_one_is_not_deleted() {
    let (group, mut redis) = group().await;
    let committed = claimed_as(&mut redis, Lane::Normal, &["5-0", "6-0", "7-0"]).await;
    // Redis fails over to a replica that has not got them yet, and whose clock is behind.
    let key = Lane::Normal.stream_key(0);
    let () = cmd("DEL")
        .arg(&key)
        .query_async(&mut redis)
        .await
        .expect("DEL");
    append(&mut redis, Lane::Normal, "6-0").await;
    // Neither before its group is there, nor when it is.
    assert_eq!(group.remove_all(&committed).await.expect("asked"), 0);
    group.ensure().await.expect("the group is created anew");
    assert_eq!(group.remove_all(&committed).await.expect("asked"), 0);
    assert_eq!(stream(&mut redis, Lane::Normal).await, ["6-0"]);
    // Nor does it matter that the group is about to come so far.
    append(&mut redis, Lane::Normal, "6-1").await;
    let () = cmd("XREADGROUP")
        .arg(&["GROUP", CONSUMER_GROUP, "me", "COUNT", "1", "STREAMS"])
        .arg(&[&key, ">"])
        .query_async(&mut redis)
        .await
        .expect("XREADGROUP");
    let later = EntryRef {
        lane: Lane::Normal,
        id: EntryId::parse("6-1").expect("it is an id"),
    };
    assert_eq!(group.remove_all(&[later]).await.expect("asked"), 0);
    assert_eq!(stream(&mut redis, Lane::Normal).await, ["6-0", "6-1"]);
}
