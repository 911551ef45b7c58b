//! The private Redis: every write on disk before it is answered, nothing evicted, reachable from this
//! machine only.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Result, While as _};
use crate::readiness;
use crate::service::{Kind, Places, Service};

/// Loading a large append-only file takes a while; an empty one takes none.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A setting beyond those that every private Redis has: its name and its value.
pub(crate) type Setting = (&'static str, &'static str);

/// Each test takes a logical database of its own.
pub(crate) const FOR_TESTS: [Setting; 1] = [("--databases", "4096")];

/// A rewrite of the append-only file in the middle of a run would decide its figure.
pub(crate) const MEASURED: [Setting; 1] = [("--auto-aof-rewrite-percentage", "0")];

/// Starts Redis on a port of 127.0.0.1 with its data in a folder, which is made.
pub(crate) fn start(
    program: &Path,
    data: &Path,
    port: u16,
    settings: &[Setting],
    places: &Places<'_>,
) -> Result<Service> {
    fs::create_dir_all(data).or_cannot(|| format!("make the folder {}", data.display()))?;
    let mut command = Command::new(program);
    command
        .current_dir(data)
        // A language of the terminal that this machine does not have stops Redis 7.
        .env("LC_ALL", "C")
        .args([
            "--bind",
            "127.0.0.1",
            "--protected-mode",
            "yes",
            "--daemonize",
            "no",
        ])
        .args([
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ])
        .args(["--maxmemory-policy", "noeviction"])
        .arg("--dir")
        .arg(data)
        .args(["--port", &port.to_string()]);
    for (name, value) in settings {
        command.args([name, value]);
    }
    // Redis rewrites its command line to `redis-server 127.0.0.1:16379`.
    let marks = ["redis-server".to_owned(), port.to_string()];
    Service::start(Kind::Redis, command, places, &marks)
}

/// Waits until it answers.
pub(crate) fn wait_until_ready(service: &mut Service, port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    service.wait_until(READY_WITHIN, |_| readiness::redis_answers(address))
}

/// The URL of the private Redis.
pub(crate) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}
