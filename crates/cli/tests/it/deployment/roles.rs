//! Each process under a role of PostgreSQL that `harkara grants` has given what it needs, and nothing more.

use harkara_testkit::{PostgresServer, RedisServer, TestDatabase, wait_until};

use super::{BOUND, Deployment, INGRESS, WORKER};
use crate::harkara::{Harkara, POSTGRES_URL};

const PROCESSES: [&str; 4] = ["migrate", "ingress", "worker", "console"];

/// A server with a role for each process, of which that of the migrations owns the database.
struct Roles {
    server: PostgresServer,
    /// As the superuser sees it.
    database: TestDatabase,
}

impl Roles {
    async fn create() -> Self {
        let server = PostgresServer::start(&["fsync=off"]).await;
        let database = TestDatabase::at(server.superuser_url()).await;
        for process in PROCESSES {
            let create = format!("CREATE ROLE {} LOGIN", role(process));
            database.execute(&create).await;
        }
        // As in a hardened installation.
        let name: String = database.value("SELECT current_database()::text").await;
        let owner = role("migrate");
        let closed = format!(
            "ALTER DATABASE {name} OWNER TO {owner}; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
             REVOKE ALL ON DATABASE {name} FROM PUBLIC"
        );
        database.execute(&closed).await;
        Self { server, database }
    }

    fn url(&self, process: &str) -> String {
        let role = format!("//{}@", role(process));
        self.server.url().replace("//harkara@", &role)
    }

    async fn grant(&self, process: &str) {
        let grants = format!("grants --role {process}");
        let sql = Harkara::default().stdout(&grants).await;
        if process == "migrate" {
            return self.database.execute(&sql).await;
        }
        let owner = TestDatabase::at(self.url("migrate")).await;
        owner.execute(&sql).await;
    }

    /// Whether a role has a right on a table.
    async fn may(&self, process: &str, right: &str, table: &str) -> bool {
        let role = role(process);
        let asked = format!("SELECT has_table_privilege('{role}', '{table}', '{right}')");
        self.database.value(&asked).await
    }
}

/// Its usual name.
fn role(process: &str) -> String {
    format!("harkara_{process}")
}

#[tokio::test]
async fn every_process_works_under_a_role_of_its_own() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let roles = Roles::create().await;
    let migrating = Harkara::default().with(POSTGRES_URL, &roles.url("migrate"));
    roles.grant("migrate").await;
    migrating.stdout("migrate").await;
    // Again, as after an upgrade.
    for process in ["ingress", "worker", "console", "worker"] {
        roles.grant(process).await;
    }
    let inspected = TestDatabase::at(roles.server.superuser_url()).await;
    let mut deployment = Deployment::on(redis.url(), inspected, &[]);
    let all = deployment.harkara.clone();
    deployment.harkara = all.clone().with(POSTGRES_URL, &roles.url("ingress"));
    deployment.up(INGRESS).await;
    deployment.harkara = all.clone().with(POSTGRES_URL, &roles.url("worker"));
    deployment.up(WORKER).await;
    let console = all.clone().with(POSTGRES_URL, &roles.url("console"));
    console.stdout("trigger all --follow").await;
    for command in [
        "events",
        "events --status failed",
        "lag",
        "secrets",
        "migrate --check",
    ] {
        console.stdout(command).await;
    }
    let event: String = deployment
        .database
        .value("SELECT razorpay_event_id FROM webhook_events LIMIT 1")
        .await;
    let replay = format!("replay --event-id {event} --actor asha --yes");
    console.stdout(&replay).await;
    let until_processed = async || {
        let pending = "SELECT count(*) FROM webhook_events WHERE status = 'pending'";
        wait_until("all is processed", BOUND, async || {
            deployment.database.value::<i64>(pending).await == 0
        })
        .await;
    };
    until_processed().await;

    for (role, harkara) in [
        (
            "ingress",
            all.clone().with(POSTGRES_URL, &roles.url("ingress")),
        ),
        (
            "worker",
            all.clone().with(POSTGRES_URL, &roles.url("worker")),
        ),
        ("console", console.clone()),
    ] {
        harkara.stdout(&format!("doctor --role {role}")).await;
    }

    // The inbox, and its events. One of them is known.
    redis.kill();
    console.stdout("trigger order.paid --duplicate").await;
    redis.resume().await;
    until_processed().await;
    let value = async |sql: &str| deployment.database.value::<i64>(sql).await;
    let failed = value("SELECT count(*) FROM webhook_events WHERE status = 'failed'").await;
    assert_eq!(failed, 0);
    let doubled = value("SELECT count(*) FROM webhook_events WHERE duplicates > 0").await;
    assert_eq!(doubled, 1);
}

#[tokio::test]
async fn no_process_has_more_than_it_needs() {
    let roles = Roles::create().await;
    roles.grant("migrate").await;
    Harkara::default()
        .with(POSTGRES_URL, &roles.url("migrate"))
        .stdout("migrate")
        .await;
    for process in ["ingress", "worker", "console"] {
        roles.grant(process).await;
        for table in [
            "webhook_events",
            "event_identities",
            "audit_logs",
            "payment_orders",
        ] {
            for right in ["DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"] {
                assert!(
                    !roles.may(process, right, table).await,
                    "{process} {right} {table}"
                );
            }
        }
    }
    for (process, column) in [
        ("ingress", "status"),
        ("worker", "body"),
        ("worker", "signature"),
        ("console", "body"),
        ("console", "error"),
    ] {
        let role = role(process);
        let asked = format!(
            "SELECT has_column_privilege('{role}', 'webhook_events', '{column}', 'UPDATE')"
        );
        assert!(
            !roles.database.value::<bool>(&asked).await,
            "{process} {column}"
        );
    }
    // Whatever there is can be read by operators.
    let unreadable = format!(
        "SELECT count(*) FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') \
           AND NOT relispartition AND NOT has_table_privilege('{}', oid, 'SELECT')",
        role("console")
    );
    assert_eq!(roles.database.value::<i64>(&unreadable).await, 0);
    for (process, right, table) in [
        ("ingress", "UPDATE", "webhook_events"),
        ("worker", "UPDATE", "webhook_events"),
        ("console", "UPDATE", "webhook_events"),
        ("ingress", "SELECT", "payment_orders"),
        ("ingress", "INSERT", "audit_logs"),
        ("worker", "UPDATE", "audit_logs"),
        ("worker", "UPDATE", "event_identities"),
        ("worker", "UPDATE", "invoice_events"),
        ("console", "INSERT", "webhook_events"),
        ("console", "UPDATE", "payment_orders"),
        ("console", "UPDATE", "audit_logs"),
    ] {
        assert!(
            !roles.may(process, right, table).await,
            "{process} {right} {table}"
        );
    }
}
