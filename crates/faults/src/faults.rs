//! The faults, grouped by what they break.

mod clocks;
mod network;
mod postgres;
mod processes;
mod redis;

use std::time::Duration;

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

/// All of them, in the order of the table.
pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "redis-killed",
        description: "Redis killed (`SIGKILL`), later started with its append-only file",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(redis::killed(environment)),
    },
    Fault {
        name: "redis-fails-over",
        description: "primary of Redis killed (`SIGKILL`), a replica promoted by Sentinel, later the former primary started",
        answers: Accepted,
        layout: Layout {
            sentinels: true,
            ..Layout::PLAIN
        },
        run: |environment| Box::pin(redis::fails_over(environment)),
    },
    Fault {
        name: "redis-loses-its-data",
        description: "Redis killed and started empty, with no backlog at that moment",
        answers: AcceptedOrNone,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(redis::loses_data(environment)),
    },
    Fault {
        name: "redis-cut-off",
        description: "network to Redis cut",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(network::redis(environment, Link::Cut)),
    },
    Fault {
        name: "redis-black-holed",
        description: "network to Redis silent, as if packets were dropped",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(network::redis(environment, Link::BlackHoled)),
    },
    Fault {
        name: "redis-slow",
        description: "network to Redis slow: 800 ms in each direction",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(network::redis(environment, network::SLOW_REDIS)),
    },
    Fault {
        name: "postgres-killed",
        description: "PostgreSQL killed (`SIGKILL`), later started and recovered",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(postgres::killed(environment)),
    },
    Fault {
        name: "postgres-restarted",
        description: "PostgreSQL restarted in fast mode, three times",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(postgres::restarted(environment)),
    },
    Fault {
        name: "postgres-read-only",
        description: "PostgreSQL read-only for every session",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(postgres::read_only(environment)),
    },
    Fault {
        name: "postgres-disk-full",
        description: "the disk of PostgreSQL full, later with room again",
        answers: Accepted,
        layout: Layout {
            small_disk: true,
            ..Layout::PLAIN
        },
        run: |environment| Box::pin(postgres::disk_full(environment)),
    },
    Fault {
        name: "postgres-cut-off",
        description: "network to PostgreSQL cut",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(network::postgres(environment, Link::Cut)),
    },
    Fault {
        name: "postgres-black-holed",
        description: "network to PostgreSQL silent, as if packets were dropped",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(network::postgres(environment, Link::BlackHoled)),
    },
    Fault {
        name: "postgres-slow",
        description: "network to PostgreSQL slow: 300 ms in each direction",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| {
            let slow = Link::Slow(Duration::from_millis(300));
            Box::pin(network::postgres(environment, slow))
        },
    },
    Fault {
        name: "both-stores-black-holed",
        description: "network to Redis and to PostgreSQL silent at the same time",
        answers: AcceptedOr503,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(network::both_stores(environment)),
    },
    Fault {
        name: "ingress-killed",
        description: "ingress killed (`SIGKILL`) and started again, five times",
        answers: AcceptedOrNone,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(processes::ingress_killed(environment)),
    },
    Fault {
        name: "worker-killed",
        description: "a worker killed (`SIGKILL`) and another started, again and again",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(processes::worker_killed(environment)),
    },
    Fault {
        name: "worker-paused",
        description: "a worker paused (`SIGSTOP`) for three times as long as its claims last",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(processes::worker_paused(environment)),
    },
    Fault {
        name: "rolling-restart",
        description: "ingress and every worker replaced one after another (`SIGTERM`)",
        answers: AcceptedOrNone,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(processes::rolling_restart(environment)),
    },
    Fault {
        name: "scaling",
        description: "1 → 6 → 1 workers (`SIGTERM`)",
        answers: Accepted,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(processes::scaling(environment)),
    },
    Fault {
        name: "clock-jumps",
        description: "the clocks of Redis, PostgreSQL and Harkara jump by an hour, forward and back, each by itself",
        answers: Accepted,
        layout: Layout {
            clocks: true,
            ..Layout::PLAIN
        },
        run: |environment| Box::pin(clocks::jump(environment)),
    },
    Fault {
        name: "random-kills",
        description: "any process killed (`SIGKILL`) at random, started again after up to 2 s",
        answers: AcceptedOrNone,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(processes::random_kills(environment)),
    },
    Fault {
        name: "redis-loses-its-backlog",
        description: "**not promised:** Redis killed and started empty, with a backlog that only its disk had",
        answers: AcceptedAndLost,
        layout: Layout::PLAIN,
        run: |environment| Box::pin(redis::loses_backlog(environment)),
    },
];
