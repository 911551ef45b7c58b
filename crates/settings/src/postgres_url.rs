//! A PostgreSQL URL, as libpq and other clients write it.

mod foreign;
mod hosts;
mod options;

use std::path::PathBuf;

use harkara_core::secret::Secret;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio_postgres::Config;

use crate::server_url::{self, ParsedUrl, unreadable};
use foreign::Foreign;

/// A URL split into what we read ourselves and the rest.
#[derive(Clone, Debug)]
pub(crate) struct PostgresUrl {
    /// What the driver reads.
    pub(crate) for_driver: Secret,
    pub(crate) mode: Mode,
    /// Whether the server is reached over a Unix socket, which has no TLS.
    pub(crate) is_socket: bool,
    /// `sslrootcert`.
    pub(crate) ca_file: Option<PathBuf>,
    /// `sslcert`.
    pub(crate) certificate_file: Option<PathBuf>,
    /// `sslkey`.
    pub(crate) key_file: Option<PathBuf>,
    /// `pgbouncer=true`: there is a pooler in transaction mode.
    pub(crate) is_pooled: bool,
    /// Run-time parameters of the server, by name: `options=-c name=value`, `schema`.
    pub(crate) parameters: Vec<(String, String)>,
}

impl From<PostgresUrl> for ParsedUrl {
    fn from(url: PostgresUrl) -> Self {
        let PostgresUrl {
            for_driver,
            mode,
            is_socket,
            ca_file,
            certificate_file,
            key_file,
            is_pooled,
            parameters,
        } = url;
        let files = [ca_file, certificate_file, key_file];
        let config = for_driver.expose().parse::<Config>().ok();
        // Without a name it is that of the user.
        let name = |config: Config| config.get_dbname().or(config.get_user()).map(str::to_owned);
        let database = config.and_then(name);
        Self {
            url: for_driver,
            fixed: format!(
                "{:?}",
                (database, mode, is_socket, files, is_pooled, parameters)
            ),
        }
    }
}

/// The TLS mode that `sslmode` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `disable`: never TLS.
    Plain,
    /// `prefer`, or none. libpq would use TLS if the server offers it and verify nothing, which an attacker
    /// on the path can undo. Here it is TLS if an authority is given, and plain otherwise.
    Undecided,
    /// `require`, `verify-ca`, `verify-full`: TLS with authority and host name verified. libpq verifies less
    /// under the first two.
    Verified,
}

/// `sslrootcert=system`: the public authorities.
const PUBLIC_AUTHORITIES: &str = "system";

impl PostgresUrl {
    /// Splits a URL. The error quotes neither it nor a name in it that we do not know: either may be a part of
    /// the password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        server_url::unambiguous(url)?;
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut parsed = Self {
            for_driver: Secret::new(""),
            mode: Mode::Undecided,
            is_socket: false,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            is_pooled: false,
            parameters: Vec::new(),
        };
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            others.extend(parsed.take(name, &decoded(value), pair)?);
        }
        let for_driver = if others.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", others.join("&"))
        };
        let config = for_driver.parse::<Config>();
        let config =
            config.map_err(|_| unreadable("postgres://user:password@host:port/database"))?;
        parsed.is_socket = hosts::check(&config)?;
        if parsed.is_socket && parsed.mode == Mode::Verified {
            return Err(
                "asks for TLS, which a Unix socket does not have; remove sslmode".to_owned(),
            );
        }
        parsed.for_driver = Secret::new(for_driver);
        Ok(parsed)
    }

    /// Takes a parameter of the URL, and returns what remains of it for the driver.
    fn take(&mut self, name: &str, value: &str, pair: &str) -> Result<Option<String>, String> {
        match name {
            "sslmode" => self.mode = Mode::parse(value)?,
            "sslrootcert" if value == PUBLIC_AUTHORITIES => self.mode = Mode::Verified,
            "sslrootcert" => self.ca_file = Some(value.into()),
            "sslcert" => self.certificate_file = Some(value.into()),
            "sslkey" => self.key_file = Some(value.into()),
            "options" => {
                let (parameters, rest) = options::split(value);
                self.parameters.extend(parameters);
                let rest = rest.join(" ");
                return Ok((!rest.is_empty()).then(|| parameter("options", &rest)));
            }
            // The driver takes one in each.
            "host" => {
                let hosts = value.split(',').map(|host| parameter("host", host));
                return Ok(Some(hosts.collect::<Vec<_>>().join("&")));
            }
            "target_session_attrs" => return writable(value),
            _ => match Foreign::read(name, value)? {
                Foreign::Driver => return Ok(Some(pair.to_owned())),
                Foreign::Mode(mode) => self.mode = mode,
                Foreign::Pooler(is_pooled) => self.is_pooled = is_pooled,
                Foreign::Parameter(name, value) => self.parameters.push((name.to_owned(), value)),
                Foreign::Nothing => {}
            },
        }
        Ok(None)
    }
}

impl Mode {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "disable" => Ok(Self::Plain),
            "prefer" => Ok(Self::Undecided),
            "require" | "verify-ca" | "verify-full" => Ok(Self::Verified),
            _ => Err(
                "has an sslmode that is not one of disable, prefer, require, verify-ca, verify-full"
                    .to_owned(),
            ),
        }
    }
}

/// What `target_session_attrs` leaves for the driver, which knows fewer values than libpq. We always write.
fn writable(value: &str) -> Result<Option<String>, String> {
    match value {
        "any" => Ok(None),
        "read-write" | "primary" => Ok(Some("target_session_attrs=read-write".to_owned())),
        _ => Err(
            "has a target_session_attrs that Harkara cannot write to; use read-write".to_owned(),
        ),
    }
}

/// A parameter of a URL.
fn parameter(name: &str, value: &str) -> String {
    format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
}

fn decoded(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_parameters_are_removed_from_the_url() {
        let parsed = PostgresUrl::parse(
            "postgres://u:p@h/d?application_name=x&sslmode=verify-full&sslrootcert=/a%20b/ca.pem&connect_timeout=3",
        )
        .unwrap();
        assert_eq!(
            parsed.for_driver.expose(),
            "postgres://u:p@h/d?application_name=x&connect_timeout=3"
        );
        assert_eq!(parsed.mode, Mode::Verified);
        assert_eq!(parsed.ca_file, Some(PathBuf::from("/a b/ca.pem")));
    }

    #[test]
    fn modes_are_those_of_libpq() {
        for (query, mode) in [
            ("", Mode::Undecided),
            ("?sslmode=disable", Mode::Plain),
            ("?sslmode=prefer", Mode::Undecided),
            ("?sslmode=require", Mode::Verified),
            ("?sslmode=verify-ca", Mode::Verified),
            ("?sslrootcert=system", Mode::Verified),
        ] {
            let parsed = PostgresUrl::parse(&format!("postgres://h/d{query}")).unwrap();
            assert_eq!(parsed.mode, mode, "{query}");
            assert_eq!(parsed.for_driver.expose(), "postgres://h/d");
        }
        assert!(PostgresUrl::parse("postgres://h/d?sslmode=allow").is_err());
    }

    #[test]
    fn parameters_of_other_clients_have_their_meaning() {
        let pooled =
            PostgresUrl::parse("postgres://h/d?pgbouncer=true&schema=my%20own&ssl=true").unwrap();
        assert!(pooled.is_pooled);
        assert_eq!(pooled.mode, Mode::Verified);
        let search_path = |value: &str| vec![("search_path".to_owned(), value.to_owned())];
        assert_eq!(pooled.parameters, search_path("\"my own\""));
        assert_eq!(pooled.for_driver.expose(), "postgres://h/d");

        for (query, for_driver) in [
            ("gssencmode=disable&sslaccept=strict&pgbouncer=false", ""),
            (
                "connect_timeout=3&channel_binding=require",
                "?connect_timeout=3&channel_binding=require",
            ),
            (
                "options=endpoint%3Dep-1%20-c%20search_path%3Da",
                "?options=endpoint%3Dep%2D1",
            ),
        ] {
            let parsed = PostgresUrl::parse(&format!("postgres://h/d?{query}")).unwrap();
            assert_eq!(
                parsed.for_driver.expose(),
                format!("postgres://h/d{for_driver}")
            );
            assert!(!parsed.is_pooled);
        }
        let with_options =
            PostgresUrl::parse("postgres://h/d?options=-c%20search_path%3Da").unwrap();
        assert_eq!(with_options.parameters, search_path("a"));
    }

    #[test]
    fn hosts_are_used_as_written_or_refused_with_the_remedy() {
        for (url, for_driver, is_socket) in [
            ("one:1,two/d", "one:1,two/d", false),
            (
                "one,two/d?target_session_attrs=primary",
                "one,two/d?target_session_attrs=read-write",
                false,
            ),
            ("one/d?target_session_attrs=any", "one/d", false),
            ("h/d?hostaddr=10.0.0.5", "h/d?hostaddr=10.0.0.5", false),
            ("u@/d?host=/run", "u@/d?host=%2Frun", true),
            ("u@/d?host=one,two", "u@/d?host=one&host=two", false),
            ("%2Frun:6432/d", "%2Frun:6432/d", true),
        ] {
            let parsed = PostgresUrl::parse(&format!("postgres://{url}")).unwrap();
            let for_driver = format!("postgres://{for_driver}");
            assert_eq!(parsed.for_driver.expose(), for_driver);
            assert_eq!(parsed.is_socket, is_socket, "{url}");
        }
        for (url, part) in [
            ("/d", "names no host"),
            ("h/d?host=/run", "beside another host"),
            ("/d?host=/run,/tmp", "beside another host"),
            ("/d?host=/run&hostaddr=10.0.0.5", "beside another host"),
            ("/d?host=/run&sslmode=require", "remove sslmode"),
            (
                "/d?host=/run&target_session_attrs=read-write",
                "target_session_attrs",
            ),
            ("h/d?target_session_attrs=standby", "use read-write"),
            ("h/d?hostaddr=10.0.0.5,10.0.0.6", "hostaddr"),
            ("h/d?port=6432", "ports"),
        ] {
            let error = PostgresUrl::parse(&format!("postgres://{url}")).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn parameters_without_a_meaning_are_refused_with_the_remedy() {
        for (query, parts) in [
            (
                "connection_limit=1",
                ["connection_limit", "postgres.pool_max"],
            ),
            (
                "pool_timeout=10",
                ["pool_timeout", "postgres.connect_timeout_ms"],
            ),
            (
                "statement_cache_size=0",
                ["statement_cache_size", "postgres.pooler"],
            ),
            (
                "sslaccept=accept_invalid_certs",
                ["sslaccept", "postgres.ca_file"],
            ),
            ("gssencmode=require", ["gssencmode", "sslmode=verify-full"]),
            ("ssl=maybe", ["ssl", "sslmode=verify-full"]),
            ("pgbouncer=perhaps", ["pgbouncer", "true or false"]),
            // Perhaps the rest of a password, so it is not named.
            ("password=one&two=3", ["has a parameter", "percent-encode"]),
        ] {
            let error = PostgresUrl::parse(&format!("postgres://h/d?{query}")).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(!error.contains("two"), "{error}");
        }
    }
}
