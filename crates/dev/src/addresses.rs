//! Listen addresses: the defaults of development, or those of the settings in the environment.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, Result, ensure};
use harkara_launcher::free_port;

use crate::servers::{postgres_url, redis_url};

/// A process's listen address and its setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// What listens there, in a sentence.
    pub(crate) name: &'static str,
    /// The setting.
    pub(crate) setting: &'static str,
    /// The address.
    pub(crate) address: SocketAddr,
    format: Format,
}

/// The format of the setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `127.0.0.1:8080`
    Address,
    /// `redis://127.0.0.1:16379`
    RedisUrl,
    /// `postgres://harkara@127.0.0.1:15432/harkara`
    PostgresUrl,
}

/// All listen addresses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// The ingress's public address.
    pub(crate) ingress: Listener,
    /// The ingress's admin address.
    pub(crate) ingress_admin: Listener,
    /// The worker's admin address.
    pub(crate) worker_admin: Listener,
    /// The private Redis.
    pub(crate) redis: Listener,
    /// The private PostgreSQL.
    pub(crate) postgres: Listener,
}

impl Addresses {
    /// The addresses of the settings; `setting` reads the environment.
    pub(crate) fn from_settings(setting: impl Fn(&str) -> Option<String>) -> Result<Self> {
        use Format::{Address, PostgresUrl, RedisUrl};
        let listener = |name, key, format: Format, default_port| {
            let mut address = match setting(key).filter(|value| !value.is_empty()) {
                None => SocketAddr::from((Ipv4Addr::LOCALHOST, default_port)),
                Some(value) => format.parse(key, &value, default_port)?,
            };
            // Port 0 asks for any free port; we choose it, because we must know it.
            if address.port() == 0 {
                address.set_port(free_port()?);
            }
            anyhow::Ok(Listener {
                name,
                setting: key,
                address,
                format,
            })
        };
        let (ingress, worker) = ("HARKARA__INGRESS__BIND", "HARKARA__WORKER__ADMIN_BIND");
        let ingress_admin = "HARKARA__INGRESS__ADMIN_BIND";
        let (redis, postgres) = ("HARKARA__REDIS__URL", "HARKARA__POSTGRES__URL");
        Ok(Self {
            ingress: listener("the ingress", ingress, Address, 8080)?,
            ingress_admin: listener("the ingress's admin port", ingress_admin, Address, 9080)?,
            worker_admin: listener("the worker's admin port", worker, Address, 9081)?,
            redis: listener("the private Redis", redis, RedisUrl, 16379)?,
            postgres: listener("the private PostgreSQL", postgres, PostgresUrl, 15432)?,
        })
    }

    /// All of them, in the order of a delivery's path.
    pub(crate) fn all(&self) -> [&Listener; 5] {
        [
            &self.ingress,
            &self.ingress_admin,
            &self.redis,
            &self.worker_admin,
            &self.postgres,
        ]
    }
}

impl Listener {
    /// The setting's value for another port.
    pub(crate) fn value_for(&self, port: u16) -> String {
        match self.format {
            Format::Address => SocketAddr::new(self.address.ip(), port).to_string(),
            Format::RedisUrl => redis_url(port),
            Format::PostgresUrl => postgres_url(port),
        }
    }

    /// The setting's value.
    pub(crate) fn value(&self) -> String {
        self.value_for(self.address.port())
    }

    /// Where a client on this machine reaches it: a wildcard is no destination.
    pub(crate) fn reached_at(&self) -> SocketAddr {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        address
    }
}

impl Format {
    fn parse(self, setting: &str, value: &str, default_port: u16) -> Result<SocketAddr> {
        let (schemes, example, implied): (&[&str], _, _) = match self {
            Self::Address => {
                let mut found = value.to_socket_addrs().into_iter().flatten();
                return found.next().with_context(|| {
                    format!(
                        "{setting} is `{value}`, which is not an address; use one such as 127.0.0.1:{default_port}"
                    )
                });
            }
            Self::RedisUrl => (&["redis"], redis_url(default_port), 6379),
            Self::PostgresUrl => {
                let schemes = &["postgres", "postgresql"];
                (schemes, postgres_url(default_port), 5432)
            }
        };
        // Only the port counts: the private servers have their own user and database. The value is not shown,
        // because it may contain a password.
        let (host, port) = host_and_port(value, schemes).with_context(|| {
            format!(
                "{setting} is not a URL that `cargo dev up` can serve; use one such as {example}"
            )
        })?;
        ensure!(
            host == "127.0.0.1" || host == "localhost",
            "{setting} points at `{host}`, but `cargo dev up` starts a private server on this machine; unset \
             {setting}, or use it to choose the port: {example}"
        );
        Ok((Ipv4Addr::LOCALHOST, port.unwrap_or(implied)).into())
    }
}

/// Host and port of `scheme://user:password@host:port/path?query`. A URL whose user or password has a special
/// character that is not percent-encoded has none: a part of the password could be taken for the host.
fn host_and_port<'a>(url: &'a str, schemes: &[&str]) -> Option<(&'a str, Option<u16>)> {
    let (scheme, rest) = url.split_once("://")?;
    let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    if user.contains(['@', '/', '#', '?']) {
        return None;
    }
    let address = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match address.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (address, None),
    };
    schemes.contains(&scheme).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<Addresses> {
        Addresses::from_settings(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn without_settings_the_development_ports_are_used() {
        let addresses = Addresses::from_settings(|_| None).expect("the defaults are valid");
        let values = addresses.all().map(Listener::value);
        assert_eq!(
            values,
            [
                "127.0.0.1:8080",
                "127.0.0.1:9080",
                "redis://127.0.0.1:16379",
                "127.0.0.1:9081",
                "postgres://harkara@127.0.0.1:15432/harkara"
            ]
        );
    }

    #[test]
    fn port_is_taken_from_a_url_of_this_machine() {
        for (setting, url, port) in [
            ("REDIS", "redis://127.0.0.1:7000/3", 7000),
            ("REDIS", "redis://user:p%40ss:word@localhost:7000", 7000),
            ("POSTGRES", "postgres://localhost/harkara?sslmode=off", 5432),
        ] {
            let addresses = with(&format!("HARKARA__{setting}__URL"), url).expect(url);
            let changed = addresses.all().into_iter();
            let mut changed = changed.filter(|listener| listener.setting.contains(setting));
            assert_eq!(changed.next().expect(url).address.port(), port, "{url}");
        }
    }

    #[test]
    fn a_bad_value_is_refused_with_its_setting_and_without_its_password() {
        let unusable = "HARKARA__REDIS__URL is not a URL that";
        for (setting, value, problem) in [
            (
                "HARKARA__INGRESS__BIND",
                "8080",
                "HARKARA__INGRESS__BIND is `8080`",
            ),
            (
                "HARKARA__POSTGRES__URL",
                "postgres://harkara:topsecret@db.example:5432/harkara",
                "HARKARA__POSTGRES__URL points at `db.example`",
            ),
            ("HARKARA__REDIS__URL", "rediss://127.0.0.1:7000", unusable),
            ("HARKARA__REDIS__URL", "redis://127.0.0.1:seven", unusable),
            ("HARKARA__REDIS__URL", "127.0.0.1:7000", unusable),
            (
                "HARKARA__REDIS__URL",
                "redis://:top@topsecret/x@localhost:1",
                unusable,
            ),
            (
                "HARKARA__REDIS__URL",
                "redis://topsecret/x@localhost:1",
                unusable,
            ),
        ] {
            let error = with(setting, value).expect_err(value).to_string();
            assert!(error.contains(problem), "{error}");
            assert!(!error.contains("topsecret"), "{error}");
        }
    }

    #[test]
    fn port_zero_becomes_a_known_port() {
        let addresses = with("HARKARA__INGRESS__BIND", "127.0.0.1:0").expect("port 0 is allowed");
        assert_ne!(addresses.ingress.address.port(), 0);
    }

    #[test]
    fn wildcard_is_reached_on_this_machine() {
        let ingress = with("HARKARA__INGRESS__BIND", "0.0.0.0:8080")
            .expect("a wildcard is allowed")
            .ingress;
        assert_eq!(ingress.reached_at().to_string(), "127.0.0.1:8080");
        assert_eq!(ingress.value(), "0.0.0.0:8080");
    }
}
