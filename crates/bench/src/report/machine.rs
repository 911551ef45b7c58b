//! The machine and the servers.

use std::fs;
use std::path::Path;

use anyhow::Result;
use procfs::process::MountInfos;
use procfs::{CpuInfo, Current as _, FromRead as _, Meminfo};
use serde::Serialize;

use super::table::figure;
use crate::bench::Bench;
use crate::figures::mebibytes;
use crate::peer::node_version;

/// The machine and the servers that the benchmark ran on.
#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory: String,
    kernel: String,
    redis: String,
    /// The settings that decide what an append costs.
    redis_settings: String,
    postgres: String,
    /// The settings that decide what a commit costs.
    postgres_settings: String,
    node: String,
    /// Where Redis writes.
    filesystem: String,
    /// Sizes of the product's binaries.
    binaries: String,
}

/// Settings of PostgreSQL that decide what a commit costs.
const POSTGRES_SETTINGS: [&str; 7] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "track_commit_timestamp",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
];

/// Settings of Redis that decide what an append costs.
const REDIS_SETTINGS: [&str; 4] = [
    "appendonly",
    "auto-aof-rewrite-percentage",
    "maxmemory-policy",
    "io-threads",
];

impl Machine {
    pub(crate) async fn inspect(bench: &Bench) -> Result<Self> {
        let mut postgres_settings = Vec::new();
        for name in POSTGRES_SETTINGS {
            let value = bench.postgres.setting(name).await?;
            postgres_settings.push(format!("{name}={value}"));
        }
        let mut redis_settings = Vec::new();
        for name in REDIS_SETTINGS {
            let value = bench.redis.setting(name).await?;
            redis_settings.push(format!("{name}={value}"));
        }
        let size = |(name, bytes)| format!("{name} {:.1} MiB", mebibytes(bytes));
        let binaries: Vec<String> = bench.product.sizes()?.into_iter().map(size).collect();
        let memory = mebibytes(Meminfo::current()?.mem_total);
        let cpus = CpuInfo::current()?;
        let mounts = MountInfos::from_file("/proc/self/mountinfo")?;
        Ok(Self {
            cpu: cpus.model_name(0).unwrap_or_default().to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory: format!("{} MiB", figure(memory)),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            redis: bench.redis.info("redis_version").await?,
            redis_settings: redis_settings.join(" "),
            postgres: bench.postgres.setting("server_version").await?,
            postgres_settings: postgres_settings.join(" "),
            node: node_version(),
            filesystem: filesystem_of(&bench.redis.setting("dir").await?, &mounts),
            binaries: binaries.join(", "),
        })
    }

    /// One line for each property.
    pub(crate) fn lines(&self) -> String {
        [
            format!("CPU         {} × {}\n", self.cores, self.cpu),
            format!("memory      {}\n", self.memory),
            format!("kernel      Linux {}\n", self.kernel),
            format!("filesystem  {}\n", self.filesystem),
            format!("Redis       {} ({})\n", self.redis, self.redis_settings),
            format!(
                "PostgreSQL  {} ({})\n",
                self.postgres, self.postgres_settings
            ),
            format!("Node.js     {}\n", self.node),
            format!("binaries    {}\n", self.binaries),
        ]
        .concat()
    }
}

/// The type of the filesystem that a folder is on: that of the longest mount point above it.
fn filesystem_of(folder: &str, mounts: &MountInfos) -> String {
    mounts
        .iter()
        .filter(|mount| Path::new(folder).starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.components().count())
        .map(|mount| mount.fs_type.clone())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use procfs::FromRead as _;
    use procfs::process::MountInfos;

    use super::filesystem_of;

    #[test]
    fn the_deepest_mount_counts() {
        let mountinfo = "22 1 254:1 / / rw - ext4 /dev/vda rw\n30 22 0:26 / /tmp rw shared:1 - tmpfs tmpfs rw\n";
        let mounts = MountInfos::from_read(mountinfo.as_bytes()).unwrap();
        assert_eq!(filesystem_of("/tmp/redis", &mounts), "tmpfs");
        assert_eq!(filesystem_of("/tmpfile", &mounts), "ext4");
        assert_eq!(filesystem_of("", &mounts), "");
    }
}
