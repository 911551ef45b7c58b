//! Limits of size and time.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{ANSWER_BOUND, Request, Response, read_response};
use crate::ingress::{Ingress, PATH, SECRET};

/// Sends some bytes, then waits without sending more.
async fn send_and_wait(ingress: &Ingress, bytes: &[u8]) -> Response {
    let mut stream = TcpStream::connect(ingress.public).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let response = timeout(ANSWER_BOUND, read_response(&mut stream)).await;
    response.expect("an answer in time").expect("an answer")
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_taken_and_one_byte_more_is_not() {
    let ingress = Ingress::start_with(&[("ingress.body_bytes_max", "100000")]).await;
    assert_eq!(ingress.deliver(vec![b'x'; 100_000]).await.status, 200);
    let response = ingress.deliver(vec![b'x'; 100_001]).await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (413, r#"{"error":"body_too_large"}"#)
    );
    ingress.stop().await;
}

#[tokio::test]
async fn a_body_declared_too_large_is_refused_before_it_is_sent() {
    let ingress = Ingress::start_with(&[("ingress.body_bytes_max", "100")]).await;
    let head = Request::new("POST", PATH)
        .header("content-length", "101")
        .head_bytes();
    assert_eq!(send_and_wait(&ingress, &head).await.status, 413);
    ingress.stop().await;
}

#[tokio::test]
async fn a_chunked_body_is_refused_as_soon_as_it_is_too_large() {
    let ingress = Ingress::start_with(&[("ingress.body_bytes_max", "100")]).await;
    let mut bytes = Request::new("POST", PATH)
        .header("transfer-encoding", "chunked")
        .head_bytes();
    for _ in 0..3 {
        bytes.extend_from_slice(b"32\r\n");
        bytes.extend_from_slice(&[b'x'; 50]);
        bytes.extend_from_slice(b"\r\n");
    }
    assert_eq!(send_and_wait(&ingress, &bytes).await.status, 413);
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}

#[tokio::test]
async fn an_endless_chunked_body_never_holds_its_connection() {
    let ingress = Ingress::start_with(&[("ingress.body_read_timeout_ms", "200")]).await;
    for (method, path, status) in [
        ("POST", PATH, 408),
        ("POST", "/webhooks/razorpay/nobody", 404),
        ("POST", "/", 404),
        ("PUT", PATH, 405),
    ] {
        let request = Request::new(method, path).header("transfer-encoding", "chunked");
        let mut bytes = request.head_bytes();
        bytes.extend_from_slice(b"5\r\nbegin");
        assert_eq!(
            send_and_wait(&ingress, &bytes).await.status,
            status,
            "{method} {path}"
        );
    }
    ingress.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_refused() {
    let ingress = Ingress::start_with(&[("ingress.body_read_timeout_ms", "200")]).await;
    let mut bytes = Request::new("POST", PATH)
        .header("content-length", "100")
        .head_bytes();
    bytes.extend_from_slice(b"only a beginning");
    let response = send_and_wait(&ingress, &bytes).await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (408, r#"{"error":"body_too_slow"}"#)
    );
    ingress.stop().await;
}

#[tokio::test]
async fn headers_that_do_not_come_in_time_are_refused() {
    let ingress = Ingress::start_with(&[("ingress.header_read_timeout_ms", "200")]).await;
    let response = send_and_wait(&ingress, b"POST /webhooks/razorpay HTTP/1.1\r\nhost: te").await;
    assert_eq!(response.status, 408);
    ingress.stop().await;
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let ingress = Ingress::start_with(&[("ingress.header_bytes_max", "2048")]).await;
    for (n_bytes, status) in [(1000, 200), (2048, 431), (200_000, 431)] {
        let request = Request::signed(PATH, SECRET, "{}").header("x-filler", &"x".repeat(n_bytes));
        assert_eq!(
            request.send(ingress.public).await.status,
            status,
            "{n_bytes}"
        );
    }
    let mut request = Request::signed(PATH, SECRET, "{}");
    for i in 0..150 {
        request = request.header(&format!("x-{i}"), "x");
    }
    assert_eq!(request.send(ingress.public).await.status, 431);
    ingress.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_within_its_body_leaves_nothing() {
    let ingress = Ingress::start().await;
    let mut stream = TcpStream::connect(ingress.public).await.unwrap();
    let head = Request::new("POST", PATH)
        .header("content-length", "100")
        .head_bytes();
    stream.write_all(&head).await.unwrap();
    drop(stream);
    assert_eq!(
        Request::signed(PATH, "wrong", "{}")
            .send(ingress.public)
            .await
            .status,
        401
    );
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}
