//! The faults, grouped by what they break.

mod clocks;
mod network;
mod postgres;
mod processes;
mod redis;
mod strangers;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;
use harkara_testkit::Link;

use crate::environment::{Environment, Layout};
use crate::finding::Answers::{self, Accepted, AcceptedAndLost, AcceptedOr503, AcceptedOrNone};
use crate::finding::Finding;

/// A fault, and the answers promised while it lasts.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) answers: Answers,
    pub(crate) layout: Layout,
    pub(crate) run: for<'a> fn(&'a mut Environment) -> LocalBoxFuture<'a, Result<Finding>>,
}

macro_rules! layout {
    () => {
        Layout::Plain
    };
    ($layout:ident) => {
        Layout::$layout
    };
}

/// Declares the faults: the name of each, the function that injects it, the answers promised meanwhile, its layout unless
/// that is plain, and a description.
macro_rules! faults {
    ($($name:literal = $module:ident::$function:ident($($argument:expr)?) => $answers:ident $([$extra:ident])?
        $description:literal;)*) => {
        /// All of them, in the order of the table.
        pub(crate) const FAULTS: &[Fault] = &[$(Fault {
            name: $name,
            description: $description,
            answers: $answers,
            layout: layout!($($extra)?),
            run: |environment| Box::pin($module::$function(environment $(, $argument)?)),
        }),*];
    };
}

faults! {
    "redis-killed" = redis::killed() => Accepted
        "Redis killed (`SIGKILL`), later started with its append-only file";
    "redis-fails-over" = redis::fails_over() => Accepted [Sentinels]
        "primary of Redis killed (`SIGKILL`), a replica promoted by Sentinel, later the former primary started";
    "redis-loses-its-data" = redis::loses_data() => AcceptedOrNone
        "Redis killed and started empty, with no backlog at that moment";
    "redis-cut-off" = network::redis(Link::Cut) => Accepted
        "network to Redis cut";
    "redis-black-holed" = network::redis(Link::BlackHoled) => Accepted
        "network to Redis silent, as if packets were dropped";
    "redis-slow" = network::redis(network::SLOW_REDIS) => Accepted
        "network to Redis slow: 800 ms in each direction";
    "postgres-killed" = postgres::killed() => Accepted
        "PostgreSQL killed (`SIGKILL`), later started and recovered";
    "postgres-restarted" = postgres::restarted() => Accepted
        "PostgreSQL restarted in fast mode, three times";
    "postgres-read-only" = postgres::read_only() => Accepted
        "PostgreSQL read-only for every session";
    "postgres-disk-full" = postgres::disk_full() => Accepted [SmallDisk]
        "the disk of PostgreSQL full, later with room again";
    "one-table-locked" = postgres::one_table_locked() => Accepted
        "one table of PostgreSQL locked by somebody: `payment_orders`, which a third of the events change";
    "postgres-cut-off" = network::postgres(Link::Cut) => Accepted
        "network to PostgreSQL cut";
    "postgres-black-holed" = network::postgres(Link::BlackHoled) => Accepted
        "network to PostgreSQL silent, as if packets were dropped";
    "postgres-slow" = network::postgres(network::SLOW_POSTGRES) => Accepted
        "network to PostgreSQL slow: 300 ms in each direction";
    "both-stores-black-holed" = network::both_stores() => AcceptedOr503
        "network to Redis and to PostgreSQL silent at the same time";
    "ingress-killed" = processes::ingress_killed() => AcceptedOrNone
        "ingress killed (`SIGKILL`) and started again, five times";
    "worker-killed" = processes::worker_killed() => Accepted
        "a worker killed (`SIGKILL`) and another started, again and again";
    "worker-paused" = processes::worker_paused() => Accepted
        "a worker paused (`SIGSTOP`) for three times as long as its claims last";
    "rolling-restart" = processes::rolling_restart() => Accepted
        "ingress and every worker replaced one after another (`SIGTERM`), by a balancer that notices late";
    "scaling" = processes::scaling() => Accepted
        "1 → 6 → 1 workers (`SIGTERM`)";
    "clock-jumps" = clocks::jump() => Accepted [Clocks]
        "the clocks of Redis, PostgreSQL and Harkara jump by an hour, forward and back, each by itself";
    "strangers-pipeline" = strangers::attack(strangers::Attack::Pipelining) => Accepted
        "clients without a signature send thousands of requests each and read their answers slowly";
    "strangers-hold" = strangers::attack(strangers::Attack::Holding) => Accepted
        "clients without a signature from 100 addresses hold their connections, most of `ingress.connections_max`";
    "strangers-never-end" = strangers::attack(strangers::Attack::EndlessHead) => Accepted
        "clients without a signature from 100 addresses send 120 KB of a head that does not end";
    "strangers-outnumber" = strangers::attack(strangers::Attack::Outnumbering) => Accepted [FewConnections]
        "clients without a signature from 100 addresses hold their connections, four for each of `ingress.connections_max`";
    "random-kills" = processes::random_kills() => AcceptedOrNone
        "any process killed (`SIGKILL`) at random, started again after up to 2 s";
    "redis-loses-its-backlog" = redis::loses_backlog() => AcceptedAndLost
        "**not promised:** Redis killed and started empty, with a backlog that only its disk had";
}
