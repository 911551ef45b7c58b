//! Over HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use harkara_streams::backlog::Latest;
use harkara_telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Admin, AdminServer, Liveness};
use crate::shutdown::Shutdown;

fn serve(registry: Registry) -> AdminServer {
    let admin = Admin {
        probes: Vec::new(),
        liveness: Liveness::default(),
        metrics: Metrics::of(registry),
        backlog: Latest::default(),
        stop: Shutdown::default(),
    };
    admin
        .serve((Ipv4Addr::LOCALHOST, 0).into())
        .expect("a free port can be listened on")
}

/// The whole answer to a scrape with these lines of header.
async fn scrape(admin: SocketAddr, headers: &str) -> String {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{headers}\r\n");
    let mut stream = TcpStream::connect(admin).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it's text");
    answer.to_lowercase()
}

#[tokio::test]
async fn a_scrape_gets_the_format_that_it_asks_for() {
    let mut registry = Registry::default();
    let counter: Counter = Counter::default();
    registry.register("counted", "Counted", counter);
    let server = serve(registry);
    let admin = server.address();
    for headers in [
        "",
        "Accept: */*\r\n",
        "Accept: text/plain;version=0.0.4\r\n",
    ] {
        let told = scrape(admin, headers).await;
        assert!(
            told.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            "{told}"
        );
        assert!(told.contains("# type counted_total counter\n"), "{told}");
        assert!(!told.contains("# eof"), "{told}");
    }
    for headers in [
        "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3\r\n",
        "Accept: text/plain\r\nAccept: application/openmetrics-text\r\n",
    ] {
        let told = scrape(admin, headers).await;
        assert!(
            told.contains(
                "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
            ),
            "{told}"
        );
        assert!(told.contains("# type counted counter\n"), "{told}");
        assert!(told.ends_with("# eof\n"), "{told}");
    }
    server.close().await;
}
