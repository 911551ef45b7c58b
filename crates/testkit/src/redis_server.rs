//! A Redis server of a test's own, which it may stop, starve or misconfigure.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use harkara_launcher::{Process, Redis};
use redis::aio::MultiplexedConnection;
use redis::{Client, TlsCertificates};
use rustix::process::Signal;

use crate::certificates::Certificate;
use crate::{Folder, free_port, servers, wait_until};

const START_BOUND: Duration = Duration::from_secs(20);

/// A server process with a folder of its own; both end with this value.
pub struct RedisServer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    redis: Redis,
    environment: Vec<(String, String)>,
    /// In PEM form; there is one where it speaks TLS and nothing else.
    authority: Option<String>,
    process: Option<Process>,
    folder: Folder,
}

impl RedisServer {
    /// Starts a server on a free port, append-only unless `arguments` say otherwise.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_in(&[], arguments).await
    }

    /// The same with further variables in its environment.
    pub async fn start_in(environment: &[(String, String)], arguments: &[&str]) -> Self {
        let mut server = Self::prepare("redis-server", arguments);
        server.environment = environment.to_vec();
        server.resume().await;
        server
    }

    /// The same with a server whose `WAITAOF` can be trusted: Redis 8.0 or later.
    pub async fn start_with_waitaof(arguments: &[&str]) -> Self {
        let mut server = Self::prepare(&servers::redis_with_waitaof(), arguments);
        server.resume().await;
        server
    }

    /// The same, speaking TLS alone, with this certificate. It trusts clients of the same authority, and asks
    /// for their certificate only if the arguments say `--tls-auth-clients yes`.
    pub async fn start_tls(certificate: &Certificate, arguments: &[&str]) -> Self {
        let arguments = [&["--tls-auth-clients", "no"], arguments].concat();
        let mut server = Self::prepare("redis-server", &arguments);
        for (argument, name, content) in [
            ("--tls-cert-file", "tls.crt", &certificate.pem),
            ("--tls-key-file", "tls.key", &certificate.key_pem),
            ("--tls-ca-cert-file", "ca.crt", &certificate.authority_pem),
        ] {
            server.folder.write(name, content);
            let path = server.folder.file(name);
            server.redis.arguments.extend([argument.to_owned(), path]);
        }
        server.redis.tls = true;
        server.authority = Some(certificate.authority_pem.clone());
        server.resume().await;
        server
    }

    fn prepare(program: &str, arguments: &[&str]) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        Self {
            port,
            redis: Redis {
                program: PathBuf::from(program),
                folder: folder.path().to_owned(),
                port,
                tls: false,
                arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
            },
            environment: Vec::new(),
            authority: None,
            process: None,
            folder,
        }
    }

    /// Starts the server again, with the data it had.
    pub async fn resume(&mut self) {
        let mut command = self.redis.command();
        command.envs(self.environment.iter().cloned());
        let log = self.redis.folder.join("log");
        self.process = Some(Process::start(&mut command, &log).expect("Redis can be run"));
        wait_until("Redis is ready", START_BOUND, async || {
            self.redis.is_ready()
        })
        .await;
    }

    /// Deletes the data of a stopped server, so that it starts empty.
    pub fn lose_data(&self) {
        assert!(self.process.is_none(), "the server runs");
        fs::remove_dir_all(self.folder.path()).expect("the folder is ours");
        fs::create_dir_all(self.folder.path()).expect("the folder is ours");
    }

    /// Kills the server with `SIGKILL`.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.kill().expect("a child can be killed");
    }

    /// Pauses the server with `SIGSTOP`: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Undoes [`RedisServer::pause`].
    pub fn unpause(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server runs");
        process.signal(signal).expect("a child takes signals");
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.redis.url()
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
