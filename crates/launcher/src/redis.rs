//! A private Redis: append-only, without snapshots, reachable from this machine only.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The longest that a server of this machine may take to answer one question.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The most of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// A Redis server.
#[derive(Clone, Debug)]
pub struct Redis {
    /// `redis-server`.
    pub program: PathBuf,
    /// An existing folder for its data.
    pub folder: PathBuf,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Whether it speaks TLS and nothing else.
    pub tls: bool,
    /// Further arguments, which override the defaults.
    pub arguments: Vec<String>,
}

impl Redis {
    /// The command that runs it.
    #[must_use]
    pub fn command(&self) -> Command {
        let port = self.port.to_string();
        let ports: &[&str] = if self.tls {
            &["--port", "0", "--tls-port", &port]
        } else {
            &["--port", &port]
        };
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.folder)
            // Redis 7 refuses to start in a locale that this machine does not have.
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .args(ports)
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.arguments);
        command
    }

    /// Whether it serves commands, which it does once its data is loaded.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        match ask(address, "PING\r\nQUIT\r\n") {
            // A server that wants TLS or a password answers otherwise, but it answers.
            Some(answer) => self.tls || !answer.is_empty() && !answer.starts_with("-LOADING"),
            None => false,
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }
}

/// Sends a question that ends the conversation, and returns the answer; `None` where nobody listens.
#[must_use]
pub fn ask(address: SocketAddr, question: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    stream.set_write_timeout(Some(ANSWER_WITHIN)).ok()?;
    let mut answer = Vec::new();
    // A broken connection ends the answer; what arrived before may be all that is needed.
    stream
        .write_all(question.as_bytes())
        .and_then(|()| stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer))
        .ok();
    Some(String::from_utf8_lossy(&answer).into_owned())
}
