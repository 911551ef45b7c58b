//! The private Redis and PostgreSQL.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use harkara_launcher::{Postgres, Redis};

use crate::interrupt;
use crate::services::{ServiceKind, Services};

/// Loading a large append-only file or recovering after a crash takes a while.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// Who may connect to PostgreSQL: the role `harkara` from this machine, without a password, because the data is
/// made up. The superuser cannot connect at all, so no local user gets more through this server than rows.
const PG_HBA: &str = "host all harkara 127.0.0.1/32 trust\n";

/// Starts Redis with its data in a folder, durable as in production unless the arguments say otherwise, and waits until
/// it is ready.
pub(crate) fn start_redis(
    services: &mut Services,
    program: &Path,
    folder: &Path,
    port: u16,
    arguments: &[&str],
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let durable = [
        "--appendfsync",
        "always",
        "--maxmemory-policy",
        "noeviction",
    ];
    let redis = Redis {
        program: program.to_owned(),
        folder: folder.to_owned(),
        port,
        tls: false,
        arguments: owned(durable.iter().chain(arguments)),
    };
    services.start(ServiceKind::Redis, redis.command())?;
    services.wait_until(ServiceKind::Redis, READY_WITHIN, |_| redis.is_ready())
}

/// Starts PostgreSQL, with a new data folder if there is none yet, and waits until it is ready.
pub(crate) fn start_postgres(services: &mut Services, postgres: &Postgres) -> Result<()> {
    if !postgres.data().is_dir() {
        let created = postgres.create_data(PG_HBA);
        // Ctrl-C reaches its programs before us.
        if created.is_err() {
            interrupt::check()?;
        }
        created?;
    }
    services.start(ServiceKind::Postgres, postgres.command())?;
    services.wait_until(ServiceKind::Postgres, READY_WITHIN, |id| {
        postgres.is_ready(id)
    })
}

/// Copies of these texts.
pub(crate) fn owned<'a>(texts: impl IntoIterator<Item = &'a &'a str>) -> Vec<String> {
    texts.into_iter().map(|&text| text.to_owned()).collect()
}

/// The URL of a private Redis.
pub(crate) fn redis_url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

/// The URL of a private PostgreSQL.
pub(crate) fn postgres_url(port: u16) -> String {
    format!("postgres://harkara@127.0.0.1:{port}/harkara")
}
