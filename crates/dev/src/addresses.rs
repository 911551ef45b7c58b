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
        let listener = |(name, key, format, default_port): (_, _, Format, u16)| {
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
        Ok(Self {
            ingress: listener(("the ingress", "HARKARA__INGRESS__BIND", Address, 8080))?,
            ingress_admin: listener((
                "the ingress's admin port",
                "HARKARA__INGRESS__ADMIN_BIND",
                Address,
                9080,
            ))?,
            worker_admin: listener((
                "the worker's admin port",
                "HARKARA__WORKER__ADMIN_BIND",
                Address,
                9081,
            ))?,
            redis: listener(("the private Redis", "HARKARA__REDIS__URL", RedisUrl, 16379))?,
            postgres: listener((
                "the private PostgreSQL",
                "HARKARA__POSTGRES__URL",
                PostgresUrl,
                15432,
            ))?,
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
        let port = port.unwrap_or(implied);
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

/// Host and port of `scheme://user:password@host:port/path?query`.
fn host_and_port<'a>(url: &'a str, schemes: &[&str]) -> Option<(&'a str, Option<u16>)> {
    let (scheme, rest) = url.split_once("://")?;
    if !schemes.contains(&scheme) {
        return None;
    }
    let authority = rest.split(['/', '?']).next()?;
    let (_, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    match address.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((address, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Addresses> {
        Addresses::from_settings(|asked| (asked == name).then(|| value.to_owned()))
    }

    fn error(name: &'static str, value: &'static str) -> String {
        with(name, value).expect_err("a bad setting").to_string()
    }

    #[test]
    fn without_settings_the_development_ports_are_used() {
        let addresses = Addresses::from_settings(|_| None).expect("the defaults are valid");
        let ports = addresses.all().map(|listener| listener.address.port());
        assert_eq!(ports, [8080, 9080, 16379, 9081, 15432]);
        assert_eq!(addresses.redis.value(), "redis://127.0.0.1:16379");
        assert_eq!(
            addresses.postgres.value(),
            "postgres://harkara@127.0.0.1:15432/harkara"
        );
    }

    #[test]
    fn port_is_taken_from_a_url() {
        let schemes = ["redis", "postgres"];
        for (url, expected) in [
            ("redis://127.0.0.1:7000/3", Some(("127.0.0.1", Some(7000)))),
            (
                "redis://user:p@ss:word@localhost:7000",
                Some(("localhost", Some(7000))),
            ),
            (
                "postgres://harkara@db/harkara?sslmode=off",
                Some(("db", None)),
            ),
            ("rediss://127.0.0.1:7000", None),
            ("redis://127.0.0.1:seven", None),
            ("127.0.0.1:7000", None),
        ] {
            assert_eq!(host_and_port(url, &schemes), expected, "{url}");
        }
    }

    #[test]
    fn url_of_another_machine_is_refused_without_its_password() {
        let url = "postgres://harkara:topsecret@db.example:5432/harkara";
        let error = error("HARKARA__POSTGRES__URL", url);
        assert!(
            error.contains("db.example") && !error.contains("topsecret"),
            "{error}"
        );
    }

    #[test]
    fn bad_address_is_named_with_its_setting() {
        let error = error("HARKARA__INGRESS__BIND", "8080");
        assert!(
            error.contains("HARKARA__INGRESS__BIND is `8080`"),
            "{error}"
        );
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
