//! Limits of size and time.

use harkara_core::lane::Lane;

use crate::http::{Request, answer_to, connected};
use crate::ingress::{Ingress, PATH};

#[tokio::test]
async fn a_body_over_the_limit_is_refused_as_soon_as_that_is_known() {
    let ingress = Ingress::start_with(&[("ingress.body_bytes_max", "100000")]).await;
    assert_eq!(ingress.deliver(vec![b'x'; 100_000]).await.status, 200);
    let chunk = [b"c350\r\n".as_slice(), &vec![b'x'; 50_000], b"\r\n"].concat();
    let chunked = Request::post().chunked().then(&chunk.repeat(3));
    let declared = Request::post().declaring(100_001).bytes();
    for response in [
        ingress.deliver(vec![b'x'; 100_001]).await,
        answer_to(ingress.public, &declared).await,
        answer_to(ingress.public, &chunked).await,
    ] {
        response.assert(413, r#"{"error":"body_too_large"}"#);
    }
    assert_eq!(ingress.entries(Lane::Default).await.len(), 1);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_refused_and_never_holds_its_connection() {
    let ingress = Ingress::start_with(&[("ingress.body_read_timeout_ms", "200")]).await;
    let declared = Request::post().declaring(100).then(b"only a beginning");
    let response = answer_to(ingress.public, &declared).await;
    response.assert(408, r#"{"error":"body_too_slow"}"#);
    for (method, path, status) in [
        ("POST", PATH, 408),
        ("POST", "/webhooks/razorpay/nobody", 404),
        ("POST", "/", 404),
        ("PUT", PATH, 405),
    ] {
        let endless = Request::new(method, path).chunked().then(b"5\r\nbegin");
        let response = answer_to(ingress.public, &endless).await;
        assert_eq!(response.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn headers_that_are_too_large_or_too_many_are_refused() {
    let ingress = Ingress::start_with(&[("ingress.header_bytes_max", "2048")]).await;
    for (n_bytes, status) in [(1000, 200), (2048, 431), (200_000, 431)] {
        let request = Request::delivery("{}").header("x-filler", &"x".repeat(n_bytes));
        let response = request.send(ingress.public).await;
        assert_eq!(response.status, status, "{n_bytes}");
    }
    let many = (0..150).fold(Request::delivery("{}"), |request, i| {
        request.header(&format!("x-{i}"), "x")
    });
    assert_eq!(many.send(ingress.public).await.status, 431);
}

#[tokio::test]
async fn a_client_that_goes_away_within_its_body_leaves_nothing() {
    let ingress = Ingress::start().await;
    drop(connected(ingress.public, &Request::post().declaring(100).bytes()).await);
    let request = Request::signed(PATH, "wrong", "{}");
    assert_eq!(request.send(ingress.public).await.status, 401);
    ingress.assert_nothing_stored().await;
}
