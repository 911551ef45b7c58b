//! What the benchmark ran on.

use std::fmt::Write;
use std::fs;

use anyhow::Result;
use serde::Serialize;

use crate::bench::Bench;
use crate::peer::node_version;

/// What the benchmark ran on.
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
const POSTGRES_SETTINGS: [&str; 6] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
];

/// Settings of Redis that decide what an append costs.
const REDIS_SETTINGS: [&str; 3] = ["appendonly", "maxmemory-policy", "io-threads"];

impl Machine {
    pub(crate) async fn look(bench: &Bench) -> Result<Self> {
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
        let mut binaries = Vec::new();
        for name in ["harkara-ingress", "harkara-worker", "harkara"] {
            let mebibytes = crate::figures::mebibytes(bench.binaries.size_of(name)?);
            binaries.push(format!("{name} {mebibytes:.1} MiB"));
        }
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Ok(Self {
            cpu: field_of(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory: field_of(&read("/proc/meminfo"), "MemTotal"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            redis: bench.redis.info("redis_version").await?,
            redis_settings: redis_settings.join(" "),
            postgres: bench.postgres.setting("server_version").await?,
            postgres_settings: postgres_settings.join(" "),
            node: node_version().await,
            filesystem: filesystem_of(
                &bench.redis.setting("dir").await?,
                &read("/proc/self/mountinfo"),
            ),
            binaries: binaries.join(", "),
        })
    }

    /// One line for each.
    pub(crate) fn tell(&self, text: &mut String) {
        for (name, value) in [
            ("CPU", format!("{} × {}", self.cores, self.cpu)),
            ("memory", self.memory.clone()),
            ("kernel", format!("Linux {}", self.kernel)),
            ("filesystem", self.filesystem.clone()),
            ("Redis", format!("{} ({})", self.redis, self.redis_settings)),
            (
                "PostgreSQL",
                format!("{} ({})", self.postgres, self.postgres_settings),
            ),
            ("Node.js", self.node.clone()),
            ("binaries", self.binaries.clone()),
        ] {
            writeln!(text, "{name:<11} {value}").expect("writing to a text does not fail");
        }
    }
}

/// The value of the first line `name : value`.
fn field_of(text: &str, name: &str) -> String {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

/// The type of the filesystem that a folder is on: that of the longest mount point above it.
fn filesystem_of(folder: &str, mountinfo: &str) -> String {
    let below = |point: &str| {
        folder == point || folder.starts_with(&format!("{}/", point.trim_end_matches('/')))
    };
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            Some((mount.split(' ').nth(4)?, kind.split(' ').next()?))
        })
        .filter(|(point, _)| below(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind.to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{field_of, filesystem_of};

    #[test]
    fn the_deepest_mount_counts() {
        let mountinfo = "22 1 254:1 / / rw - ext4 /dev/vda rw\n30 22 0:26 / /tmp rw shared:1 - tmpfs tmpfs rw\n";
        assert_eq!(filesystem_of("/tmp/redis", mountinfo), "tmpfs");
        assert_eq!(filesystem_of("/tmpfile", mountinfo), "ext4");
        assert_eq!(filesystem_of("", ""), "");
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 1\nmodel name\t: A CPU\n";
        assert_eq!(field_of(text, "model name"), "A CPU");
    }
}
