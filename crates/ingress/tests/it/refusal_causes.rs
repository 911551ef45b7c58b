//! The operator learns why signatures are refused, the caller does not, and a flood hides nothing.

use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_testkit::{Folder, wait_until};

use crate::BOUND;
use crate::http::Request;
use crate::ingress::{Ingress, PATH, SECRET};

const LIVE: &str = "/webhooks/razorpay/live";

async fn causes(ingress: &Ingress, cause: &str) -> u64 {
    let name = format!("harkara_ingress_refused_causes_total{{cause=\"{cause}\"}}");
    ingress.metric(&name).await.unwrap()
}

/// Sends what is refused until its cause is counted once more: it is not while another refusal of the
/// endpoint waits to be diagnosed.
async fn until_diagnosed(ingress: &Ingress, cause: &str, request: impl Fn() -> Request) {
    let before = causes(ingress, cause).await;
    wait_until(cause, BOUND, async || {
        let response = request().send(ingress.public).await;
        response.assert(401, r#"{"error":"invalid_signature"}"#);
        causes(ingress, cause).await > before
    })
    .await;
}

/// A delivery whose body was changed after it was signed.
fn changed(signed: &str, sent: &str) -> Request {
    let signature = sign(&Secret::new(SECRET), signed.as_bytes());
    Request::post().signature(&signature).body(sent)
}

#[tokio::test]
async fn the_likely_cause_of_a_refusal_is_counted() {
    let ingress = Ingress::start_with(&[
        ("endpoints.live.secrets", "of the other endpoint"),
        ("endpoints.default.diagnose_with", "of the api"),
    ])
    .await;
    for (cause, secret) in [
        ("other_endpoint", "of the other endpoint"),
        ("diagnosis_secret", "of the api"),
        ("unknown", "nobody's"),
    ] {
        let signed = || Request::signed(PATH, secret, r#"{"a": "b/c"}"#);
        until_diagnosed(&ingress, cause, signed).await;
    }
    for (cause, signed, sent) in [
        ("body_whitespace", "{}", "{}\n"),
        ("body_reencoded", r#"{"a":"b\/c"}"#, r#"{"a": "b/c"}"#),
        ("not_examined", "{}", &" ".repeat(100_000)),
    ] {
        until_diagnosed(&ingress, cause, || changed(signed, sent)).await;
    }
    ingress.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_secret_that_was_removed_is_recognised_and_verifies_nothing() {
    let folder = Folder::new();
    folder.write("secrets", "old");
    let ingress = Ingress::start_with(&[
        ("endpoints.live.secrets_file", &folder.file("secrets")),
        ("ingress.secrets_poll_ms", "10"),
    ])
    .await;
    folder.write("secrets", "new");
    wait_until("the secrets are replaced", BOUND, async || {
        let request = Request::signed(LIVE, "new", "{}");
        request.send(ingress.public).await.status == 200
    })
    .await;
    let old = || Request::signed(LIVE, "old", "{}");
    until_diagnosed(&ingress, "retired_secret", old).await;
}

#[tokio::test]
async fn a_flood_of_refusals_is_sampled_and_hides_no_other_endpoint() {
    let ingress = Ingress::start_with(&[
        ("endpoints.live.secrets", "of live"),
        ("endpoints.live.diagnose_with", "of the api"),
    ])
    .await;
    for _ in 0..200 {
        let unsigned = Request::post().body("{}");
        for request in [Request::signed(PATH, "nobody's", "{}"), unsigned] {
            assert_eq!(request.send(ingress.public).await.status, 401);
        }
    }
    let live = || Request::signed(LIVE, "of the api", "{}");
    until_diagnosed(&ingress, "diagnosis_secret", live).await;
    // Half a second lies between two samples, and 200 refusals took no minute.
    assert!(causes(&ingress, "unknown").await < 100);
    let missing = r#"harkara_ingress_invalid_signatures_total{reason="missing"} 200"#;
    ingress.assert_metrics(&[missing]).await;
}
