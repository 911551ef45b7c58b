//! The TLS parameters of a PostgreSQL URL, as libpq names them.

use std::path::PathBuf;

use harkara_core::secret::Secret;
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;

use crate::server_url::{self, unreadable};

/// A URL split into its TLS parameters and the rest.
#[derive(Clone, Debug)]
pub(crate) struct PostgresUrl {
    pub(crate) without_tls: Secret,
    pub(crate) mode: Mode,
    /// `sslrootcert`.
    pub(crate) ca_file: Option<PathBuf>,
    /// `sslcert`.
    pub(crate) certificate_file: Option<PathBuf>,
    /// `sslkey`.
    pub(crate) key_file: Option<PathBuf>,
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
    /// Splits a URL that the driver can read. The error does not quote it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        server_url::unambiguous(url)?;
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut parsed = Self {
            without_tls: Secret::new(""),
            mode: Mode::Undecided,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        };
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "sslmode" => parsed.mode = Mode::parse(value)?,
                "sslrootcert" if value == PUBLIC_AUTHORITIES => parsed.mode = Mode::Verified,
                "sslrootcert" => parsed.ca_file = Some(path(value)),
                "sslcert" => parsed.certificate_file = Some(path(value)),
                "sslkey" => parsed.key_file = Some(path(value)),
                _ => others.push(pair),
            }
        }
        let without_tls = if others.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", others.join("&"))
        };
        let config = without_tls.parse::<Config>();
        config.map_err(|_| unreadable("postgres://user:password@host:port/database"))?;
        parsed.without_tls = Secret::new(without_tls);
        Ok(parsed)
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

fn path(value: &str) -> PathBuf {
    percent_decode_str(value)
        .decode_utf8_lossy()
        .into_owned()
        .into()
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
            parsed.without_tls.expose(),
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
            assert_eq!(parsed.without_tls.expose(), "postgres://h/d");
        }
        assert!(PostgresUrl::parse("postgres://h/d?sslmode=allow").is_err());
    }
}
