use harkara_testkit::{PostgresServer, PostgresStop};
use tokio_postgres::{Client, NoTls};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the server answers");
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn what_was_committed_outlives_every_kind_of_stop() {
    let mut server = PostgresServer::start(&["max_connections=20"]).await;
    let client = connect(&server.url()).await;
    client
        .batch_execute("CREATE TABLE t (n int)")
        .await
        .unwrap();
    let mut inserted = 0;
    for how in [
        PostgresStop::Fast,
        PostgresStop::Immediate,
        PostgresStop::Kill,
    ] {
        let client = connect(&server.url()).await;
        client
            .batch_execute("INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        inserted += 1;
        server.stop(how).await;
        server.resume().await;
        let client = connect(&server.url()).await;
        let row = client.query_one("SELECT count(*) FROM t", &[]).await;
        assert_eq!(row.unwrap().get::<_, i64>(0), inserted, "{how:?}");
    }
}

#[tokio::test]
async fn files_given_to_the_server_are_in_force() {
    let rules = "host all postgres 127.0.0.1/32 trust\n";
    let server = PostgresServer::start_with_files(&[], &[("pg_hba.conf", rules)]).await;
    connect(&server.superuser_url()).await;
    let refused = tokio_postgres::connect(&server.url(), NoTls).await;
    assert!(refused.is_err());
}
