//! Parameters that a URL may have because another client understands them.

use super::Mode;

/// What a parameter means for us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// The driver reads it.
    Driver,
    /// A TLS mode.
    Mode(Mode),
    /// Whether there is a pooler.
    Pooler(bool),
    /// A run-time parameter of the server.
    Parameter(&'static str, String),
    /// Nothing.
    Nothing,
}

/// Parameters that the driver reads.
const OF_THE_DRIVER: &[&str] = &[
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "application_name",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "channel_binding",
    "sslnegotiation",
];

/// Parameters that change nothing here: names of processes, and what hosting companies add for others.
const WITHOUT_EFFECT: &[&str] = &[
    "fallback_application_name",
    "supa",
    "uselibpqcompat",
    "workaround",
];

/// Parameters of other clients, and what to do instead.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &[
            "connection_limit",
            "max_connections",
            "pool_max",
            "pool_max_conns",
            "pool_size",
        ],
        "postgres.pool_max sets the number of connections",
    ),
    (
        &["connection_timeout", "loginTimeout", "pool_timeout"],
        "postgres.connect_timeout_ms bounds the wait for a connection",
    ),
    (
        &[
            "command_timeout",
            "query_timeout",
            "socketTimeout",
            "socket_timeout",
            "statement_timeout",
        ],
        "postgres.statement_timeout_ms bounds a statement",
    ),
    (
        &[
            "default_query_exec_mode",
            "prepareThreshold",
            "prepared_statement_cache_size",
            "prepared_statements",
            "statement-cache-capacity",
            "statement_cache_capacity",
            "statement_cache_size",
        ],
        "postgres.pooler says whether statements may stay prepared",
    ),
    (
        &[
            "sslcrl",
            "sslcrldir",
            "sslfactory",
            "sslidentity",
            "sslpassword",
            "sslrootcertmode",
        ],
        "use PEM files: postgres.ca_file, postgres.client_certificate_file and postgres.client_key_file",
    ),
    (&["requiressl"], "use sslmode=verify-full"),
    (
        &["passfile", "service", "servicefile"],
        "write what the file says into the URL",
    ),
];

impl Foreign {
    /// Reads a parameter with its decoded value.
    pub(super) fn read(name: &str, value: &str) -> Result<Self, String> {
        if OF_THE_DRIVER.contains(&name) {
            return Ok(Self::Driver);
        }
        if WITHOUT_EFFECT.contains(&name) {
            return Ok(Self::Nothing);
        }
        for (names, remedy) in REFUSED {
            if let Some(name) = names.iter().find(|it| **it == name) {
                return Err(refusal(name, remedy));
            }
        }
        match name {
            "ssl" if is_true(value) => Ok(Self::Mode(Mode::Verified)),
            "ssl" if is_false(value) => Ok(Self::Mode(Mode::Plain)),
            "ssl" => Err(refusal("ssl", "use sslmode=verify-full, or sslmode=disable")),
            "sslaccept" if value == "strict" => Ok(Self::Mode(Mode::Verified)),
            "sslaccept" => Err(refusal(
                "sslaccept",
                "use sslmode=verify-full, and postgres.ca_file if the authority is your own",
            )),
            "pgbouncer" if is_true(value) => Ok(Self::Pooler(true)),
            "pgbouncer" if is_false(value) => Ok(Self::Pooler(false)),
            "pgbouncer" => Err(refusal("pgbouncer", "it is true or false")),
            "schema" => Ok(Self::Parameter("search_path", quoted(value))),
            "currentSchema" | "search_path" => Ok(Self::Parameter("search_path", value.to_owned())),
            "gssencmode" if matches!(value, "disable" | "prefer") => Ok(Self::Nothing),
            "gssencmode" => Err(refusal("gssencmode", "encrypt with sslmode=verify-full")),
            "client_encoding" if matches!(value, "auto" | "utf8" | "UTF8" | "utf-8" | "UTF-8") => {
                Ok(Self::Nothing)
            }
            "client_encoding" => Err(refusal("client_encoding", "it is always UTF8")),
            _ => Err(
                "has a parameter that is neither libpq's nor ours; remove it (a parameter of the server is set by \
                 options=-c%20name%3Dvalue), and percent-encode a password in the URL"
                    .to_owned(),
            ),
        }
    }
}

fn refusal(name: &str, remedy: &str) -> String {
    format!("has the parameter {name}; remove it: {remedy}")
}

fn is_true(value: &str) -> bool {
    matches!(value, "" | "true" | "1" | "on" | "yes")
}

fn is_false(value: &str) -> bool {
    matches!(value, "false" | "0" | "off" | "no")
}

/// A name as an identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
