//! Where everything listens: the built-in development addresses, or those of the settings in the
//! environment.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use crate::failure::{Result, While as _};

/// One thing that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// What listens there, in a sentence.
    pub(crate) who: &'static str,
    /// The setting that says where.
    pub(crate) setting: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    form: Form,
}

/// How the setting's value looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `127.0.0.1:8080`
    Address,
    /// `redis://127.0.0.1:16379`
    RedisUrl,
    /// `postgres://harkara@127.0.0.1:15432/harkara`
    PostgresUrl,
}

/// All that listen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// The ingress's public address.
    pub(crate) ingress: Place,
    /// The ingress's admin address.
    pub(crate) ingress_admin: Place,
    /// The worker's admin address.
    pub(crate) worker_admin: Place,
    /// The private Redis.
    pub(crate) redis: Place,
    /// The private PostgreSQL.
    pub(crate) postgres: Place,
}

impl Addresses {
    /// The addresses that the settings give, `setting` being the environment.
    pub(crate) fn from_settings(setting: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let place = |who, name, form, usual: u16| {
            let address = match setting(name).filter(|value| !value.is_empty()) {
                None => SocketAddr::from((Ipv4Addr::LOCALHOST, usual)),
                Some(value) => read(name, form, &value, usual)?,
            };
            Ok::<Place, crate::failure::Failure>(Place {
                who,
                setting: name,
                address: settled(address)?,
                form,
            })
        };
        Ok(Self {
            ingress: place("the ingress", "HARKARA__INGRESS__BIND", Form::Address, 8080)?,
            ingress_admin: place(
                "the ingress's admin",
                "HARKARA__INGRESS__ADMIN_BIND",
                Form::Address,
                9080,
            )?,
            worker_admin: place(
                "the worker's admin",
                "HARKARA__WORKER__ADMIN_BIND",
                Form::Address,
                9081,
            )?,
            redis: place(
                "the private Redis",
                "HARKARA__REDIS__URL",
                Form::RedisUrl,
                16379,
            )?,
            postgres: place(
                "the private PostgreSQL",
                "HARKARA__POSTGRES__URL",
                Form::PostgresUrl,
                15432,
            )?,
        })
    }

    /// All of them, in the order in which a delivery meets them.
    pub(crate) fn all(&self) -> [&Place; 5] {
        [
            &self.ingress,
            &self.ingress_admin,
            &self.redis,
            &self.worker_admin,
            &self.postgres,
        ]
    }
}

impl Place {
    /// The value of its setting for another port.
    pub(crate) fn value_for(&self, port: u16) -> String {
        match self.form {
            Form::Address => SocketAddr::new(self.address.ip(), port).to_string(),
            Form::RedisUrl => crate::redis::url(port),
            Form::PostgresUrl => crate::postgres::url(port),
        }
    }

    /// The value of its setting.
    pub(crate) fn value(&self) -> String {
        self.value_for(self.address.port())
    }

    /// Where a client on this machine reaches it: a wildcard is no destination.
    pub(crate) fn reached_at(&self) -> SocketAddr {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        address
    }
}

/// A port that is free now, on 127.0.0.1.
pub(crate) fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).or_cannot(|| "find a free port".to_owned())?;
    Ok(listener
        .local_addr()
        .or_cannot(|| "find a free port".to_owned())?
        .port())
}

/// Port 0 asks for any free port; we choose it, because we must know it.
fn settled(mut address: SocketAddr) -> Result<SocketAddr> {
    if address.port() == 0 {
        address.set_port(free_port()?);
    }
    Ok(address)
}

fn read(name: &str, form: Form, value: &str, usual: u16) -> Result<SocketAddr> {
    match form {
        Form::Address => value.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(|| {
            format!("{name} is `{value}`, which is not an address; give one such as 127.0.0.1:{usual}").into()
        }),
        Form::RedisUrl => read_url(name, value, &["redis"], &crate::redis::url(usual), 6379),
        Form::PostgresUrl => {
            read_url(name, value, &["postgres", "postgresql"], &crate::postgres::url(usual), 5432)
        }
    }
}

/// Takes the port out of the URL of a server of this machine. Only the port: the private servers
/// have their own user and database. `implied` is the port of a URL that names none.
fn read_url(
    name: &str,
    value: &str,
    schemes: &[&str],
    example: &str,
    implied: u16,
) -> Result<SocketAddr> {
    let Some((host, port)) = host_and_port(value, schemes) else {
        // The value is not shown: it may hold a password.
        return Err(format!(
            "{name} is not a URL that `cargo dev up` can serve; give one such as {example}"
        )
        .into());
    };
    if host != "127.0.0.1" && host != "localhost" {
        return Err(format!(
            "{name} points at `{host}`, but `cargo dev up` starts a private server on this machine; \
             unset {name}, or give only the port to use: {example}"
        )
        .into());
    }
    Ok(SocketAddr::from((
        Ipv4Addr::LOCALHOST,
        port.unwrap_or(implied),
    )))
}

/// Host and port of `scheme://user:password@host:port/path?query`.
fn host_and_port<'a>(url: &'a str, schemes: &[&str]) -> Option<(&'a str, Option<u16>)> {
    let (scheme, rest) = url.split_once("://")?;
    if !schemes.contains(&scheme) {
        return None;
    }
    let authority = rest.split(['/', '?']).next()?;
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place);
    match place.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((place, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn with(name: &'static str, value: &'static str) -> Result<Addresses> {
        Addresses::from_settings(|asked| (asked == name).then(|| value.to_owned()))
    }

    fn sentence(outcome: Result<Addresses>) -> String {
        match outcome {
            Err(Failure::Said(sentence)) => sentence,
            other => panic!("expected a sentence, got {other:?}"),
        }
    }

    #[test]
    fn without_settings_the_development_ports_are_used() {
        let addresses = Addresses::from_settings(|_| None).expect("the defaults are right");
        let ports: Vec<u16> = addresses
            .all()
            .iter()
            .map(|place| place.address.port())
            .collect();
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
        let outcome = with(
            "HARKARA__POSTGRES__URL",
            "postgres://harkara:topsecret@db.example:5432/harkara",
        );
        let sentence = sentence(outcome);
        assert!(
            sentence.contains("db.example") && !sentence.contains("topsecret"),
            "{sentence}"
        );
    }

    #[test]
    fn bad_address_is_named_with_its_setting() {
        let sentence = sentence(with("HARKARA__INGRESS__BIND", "8080"));
        assert!(
            sentence.contains("HARKARA__INGRESS__BIND is `8080`"),
            "{sentence}"
        );
    }

    #[test]
    fn port_zero_becomes_a_known_port() {
        let addresses = with("HARKARA__INGRESS__BIND", "127.0.0.1:0").expect("port 0 is allowed");
        assert_ne!(addresses.ingress.address.port(), 0);
    }

    #[test]
    fn wildcard_is_reached_on_this_machine() {
        let addresses =
            with("HARKARA__INGRESS__BIND", "0.0.0.0:8080").expect("a wildcard is allowed");
        assert_eq!(addresses.ingress.reached_at().to_string(), "127.0.0.1:8080");
        assert_eq!(addresses.ingress.value(), "0.0.0.0:8080");
    }
}
