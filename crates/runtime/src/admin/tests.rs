//! Scrapes over HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use harkara_streams::backlog::Latest;
use harkara_telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Admin, AdminServer, Degraded, Liveness};
use crate::shutdown::Shutdown;

fn serve(registry: Registry) -> AdminServer {
    let admin = Admin {
        probes: Vec::new(),
        liveness: Liveness::default(),
        metrics: Metrics::of(registry),
        backlog: Latest::default(),
        degraded: Degraded::default(),
        stop: Shutdown::default(),
    };
    admin
        .serve((Ipv4Addr::LOCALHOST, 0).into())
        .expect("a free port can be listened on")
}

/// The whole answer to a scrape with these header lines, in lower case.
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
    let classic = (
        "text/plain; version=0.0.4",
        "# type counted_total counter\n",
    );
    let open = (
        "application/openmetrics-text; version=1.0.0",
        "# type counted counter\n",
    );
    for (headers, (media_type, text)) in [
        ("", classic),
        ("Accept: */*\r\n", classic),
        ("Accept: text/plain;version=0.0.4\r\n", classic),
        (
            "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3\r\n",
            open,
        ),
        (
            "Accept: text/plain\r\nAccept: application/openmetrics-text\r\n",
            open,
        ),
    ] {
        let answer = scrape(admin, headers).await;
        let content_type = format!("content-type: {media_type}; charset=utf-8\r\n");
        assert!(
            answer.contains(&content_type) && answer.contains(text),
            "{answer}"
        );
        let is_open = media_type == open.0;
        assert_eq!(answer.contains("# eof"), is_open, "{answer}");
        assert_eq!(answer.ends_with("# eof\n"), is_open, "{answer}");
    }
    server.close().await;
}
