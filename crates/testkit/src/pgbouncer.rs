//! A pooler of a test's own.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use harkara_launcher::Process;
use tokio::net::TcpStream;
use url::Url;

use crate::servers::pgbouncer;
use crate::{Folder, free_port, wait_until};

const START_BOUND: Duration = Duration::from_secs(20);

/// The account that it runs as if the tests run as root, which it refuses to do.
const ACCOUNT: &str = "nobody";

/// A PgBouncer in transaction mode; it ends with this value.
///
/// It lends two sessions for each database, so that transactions of a few connections keep changing them, and
/// keeps no prepared statements, as all did before version 1.21.
pub struct PgBouncer {
    port: u16,
    _folder: Folder,
    _process: Process,
}

impl PgBouncer {
    /// Starts one before the server of a database. Settings, each a name and a value, override those above.
    pub async fn before(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let database = parsed(database_url);
        let user = database.username();
        folder.write("users", &format!("\"{user}\" \"\"\n"));
        let mut configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 2\n\
             max_prepared_statements = 0\n",
            database.port().unwrap_or(5432),
            folder.file("users"),
        );
        let account = rustix::process::geteuid()
            .is_root()
            .then_some(("user", ACCOUNT));
        for (name, value) in account.iter().chain(settings) {
            writeln!(configuration, "{name} = {value}").expect("a String accepts any text");
        }
        folder.write("pgbouncer.ini", &configuration);
        let mut command = Command::new(pgbouncer());
        command.arg(folder.path().join("pgbouncer.ini"));
        let process =
            Process::start(&mut command, &folder.path().join("log")).expect("PgBouncer can be run");
        let pooler = Self {
            port,
            _folder: folder,
            _process: process,
        };
        wait_until("PgBouncer is ready", START_BOUND, async || {
            let connecting = TcpStream::connect(("127.0.0.1", port)).await;
            connecting.is_ok()
        })
        .await;
        pooler
    }

    /// The URL of a database through it.
    #[must_use]
    pub fn url(&self, database_url: &str) -> String {
        let mut url = parsed(database_url);
        url.set_port(Some(self.port)).expect("a URL with a host");
        url.into()
    }
}

fn parsed(database_url: &str) -> Url {
    Url::parse(database_url).expect("the database has a URL")
}
