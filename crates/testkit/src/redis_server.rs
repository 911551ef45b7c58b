//! A Redis server of a test's own, which it may stop, starve or misconfigure.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, TlsCertificates};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::certificates::Certificate;
use crate::free_port::free_port;
use crate::{servers, wait_until};

const START_BOUND: Duration = Duration::from_secs(20);

/// A server process with a folder of its own; both end with this value.
pub struct RedisServer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    directory: PathBuf,
    /// In PEM form; there is one where it speaks TLS and nothing else.
    authority: Option<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server on a free port, append-only unless `arguments` say otherwise.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_program("redis-server", arguments).await
    }

    /// The same with more in its environment than ours has.
    pub async fn start_in(environment: &[(String, String)], arguments: &[&str]) -> Self {
        let mut server = Self::lay_out("redis-server", arguments);
        server.environment = environment.to_vec();
        server.resume().await;
        server
    }

    /// The same with a server whose `WAITAOF` can be trusted: Redis 8.0 or later.
    pub async fn start_with_waitaof(arguments: &[&str]) -> Self {
        Self::start_program(&servers::redis_with_waitaof(), arguments).await
    }

    async fn start_program(program: &str, arguments: &[&str]) -> Self {
        let mut server = Self::lay_out(program, arguments);
        server.resume().await;
        server
    }

    /// The same, speaking TLS alone, with this certificate. It trusts clients of the same authority, and asks
    /// for their certificate only if the arguments say `--tls-auth-clients yes`.
    pub async fn start_tls(certificate: &Certificate, arguments: &[&str]) -> Self {
        let mut server = Self::lay_out(
            "redis-server",
            &[&["--tls-auth-clients", "no"], arguments].concat(),
        );
        let files = [
            ("--tls-cert-file", "tls.crt", &certificate.pem),
            ("--tls-key-file", "tls.key", &certificate.key_pem),
            ("--tls-ca-cert-file", "ca.crt", &certificate.authority_pem),
        ];
        for (argument, name, content) in files {
            let path = server.directory.join(name);
            std::fs::write(&path, content).expect("a file can be written");
            let path = path.display().to_string();
            server.arguments.extend([argument.to_owned(), path]);
        }
        server.authority = Some(certificate.authority_pem.clone());
        server.resume().await;
        server
    }

    fn lay_out(program: &str, arguments: &[&str]) -> Self {
        let port = free_port();
        let directory =
            std::env::temp_dir().join(format!("harkara-it-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a folder can be made");
        Self {
            port,
            program: program.to_owned(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            environment: Vec::new(),
            directory,
            authority: None,
            process: None,
        }
    }

    /// Starts the server again, with the data it had.
    pub async fn resume(&mut self) {
        let port = self.port.to_string();
        let ports: &[&str] = match self.authority {
            None => &["--port", &port],
            Some(_) => &["--port", "0", "--tls-port", &port],
        };
        let process = Command::new(&self.program)
            .args(ports)
            .args(["--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--dir"])
            .arg(&self.directory)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.program));
        self.process = Some(process);
        wait_until(
            "redis-server accepts connections",
            START_BOUND,
            async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok(),
        )
        .await;
    }

    /// Throws away what a server that was ended has written, so that it starts empty.
    pub fn lose_data(&self) {
        assert!(
            self.process.is_none(),
            "only an ended server loses its data"
        );
        std::fs::remove_dir_all(&self.directory).expect("the folder is ours");
        std::fs::create_dir_all(&self.directory).expect("the folder is ours");
    }

    /// Ends the server at once.
    pub async fn kill(&mut self) {
        self.process
            .take()
            .expect("the server runs")
            .kill()
            .await
            .expect("the test Redis server answers");
    }

    /// Sends the server a signal such as `STOP` or `CONT`.
    pub async fn signal(&self, name: &str) {
        let id = self
            .process
            .as_ref()
            .and_then(Child::id)
            .expect("the server runs");
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id.to_string()])
            .status()
            .await;
        assert!(sent.expect("the test Redis server answers").success());
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.authority {
            None => "redis",
            Some(_) => "rediss",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A connection to it.
    pub async fn connection(&self) -> MultiplexedConnection {
        let client = match &self.authority {
            None => Client::open(self.url()),
            Some(authority) => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(authority.clone().into_bytes()),
                };
                Client::build_with_tls(self.url(), certificates)
            }
        };
        client
            .expect("the URL of the test Redis server is valid")
            .get_multiplexed_async_connection()
            .await
            .expect("the test Redis server answers")
    }

    /// Changes its configuration while it runs.
    pub async fn configure(&self, name: &str, value: &str) {
        let mut connection = self.connection().await;
        redis::cmd("CONFIG")
            .arg(&["SET", name, value])
            .exec_async(&mut connection)
            .await
            .expect("the test Redis server answers");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.start_kill().ok();
        }
        std::fs::remove_dir_all(&self.directory).ok();
    }
}
