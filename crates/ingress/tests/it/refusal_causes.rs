//! The operator is told why signatures are refused, the caller is not, and a flood hides nothing.

use std::time::Duration;

use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_testkit::wait_until;

use crate::http::{Request, get};
use crate::ingress::{Ingress, PATH, SECRET};

const BOUND: Duration = Duration::from_secs(20);

async fn causes(ingress: &Ingress, cause: &str) -> u64 {
    let name = format!("harkara_ingress_refused_causes_total{{cause=\"{cause}\"}} ");
    let metrics = get(ingress.admin, "/metrics").await.body;
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value
        .unwrap_or_else(|| panic!("{name} not in\n{metrics}"))
        .parse()
        .unwrap()
}

/// Sends what is refused until its cause is counted once more: while another refusal of the endpoint waits
/// to be looked into, it is not.
async fn until_diagnosed(ingress: &Ingress, request: impl Fn() -> Request, cause: &str) {
    let before = causes(ingress, cause).await;
    wait_until(cause, BOUND, async || {
        let response = request().send(ingress.public).await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (401, r#"{"error":"invalid_signature"}"#),
            "{cause}"
        );
        causes(ingress, cause).await > before
    })
    .await;
}

/// A delivery whose body was changed after it was signed.
fn changed(signed: &str, sent: &str) -> Request {
    let signature = sign(&Secret::new(SECRET), signed.as_bytes());
    Request::new("POST", PATH)
        .header("x-razorpay-signature", &signature)
        .body(sent)
}

#[tokio::test]
async fn the_likely_cause_of_a_refusal_is_counted() {
    let ingress = Ingress::start_with(&[
        ("endpoints.live.secrets", "of the other endpoint"),
        ("endpoints.default.diagnose_with", "of the api"),
    ])
    .await;
    let signed = |secret: &'static str| move || Request::signed(PATH, secret, r#"{"a": "b/c"}"#);
    until_diagnosed(&ingress, signed("of the other endpoint"), "other_endpoint").await;
    until_diagnosed(&ingress, signed("of the api"), "diagnosis_secret").await;
    until_diagnosed(&ingress, signed("nobody's"), "unknown").await;
    until_diagnosed(&ingress, || changed("{}", "{}\n"), "body_whitespace").await;
    let reencoded = || changed(r#"{"a":"b\/c"}"#, r#"{"a": "b/c"}"#);
    until_diagnosed(&ingress, reencoded, "body_reencoded").await;
    let large = || changed("{}", &" ".repeat(100_000));
    until_diagnosed(&ingress, large, "not_examined").await;
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}

#[tokio::test]
async fn a_secret_that_was_removed_is_recognised_and_verifies_nothing() {
    let file = std::env::temp_dir().join(format!("harkara-retired-{}", std::process::id()));
    std::fs::write(&file, "old").unwrap();
    let ingress = Ingress::start_with(&[
        ("endpoints.live.secrets_file", file.to_str().unwrap()),
        ("ingress.secrets_poll_ms", "10"),
    ])
    .await;
    let live = "/webhooks/razorpay/live";
    std::fs::write(&file, "new").unwrap();
    wait_until("the secrets are replaced", BOUND, async || {
        let request = Request::signed(live, "new", "{}");
        request.send(ingress.public).await.status == 200
    })
    .await;
    let old = || Request::signed(live, "old", "{}");
    until_diagnosed(&ingress, old, "retired_secret").await;
    ingress.stop().await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_flood_of_refusals_is_sampled_and_hides_no_other_endpoint() {
    let ingress = Ingress::start_with(&[
        ("endpoints.live.secrets", "of live"),
        ("endpoints.live.diagnose_with", "of the api"),
    ])
    .await;
    for _ in 0..200 {
        let request = Request::signed(PATH, "nobody's", "{}");
        assert_eq!(request.send(ingress.public).await.status, 401);
        let unsigned = Request::new("POST", PATH).body("{}");
        assert_eq!(unsigned.send(ingress.public).await.status, 401);
    }
    let live = || Request::signed("/webhooks/razorpay/live", "of the api", "{}");
    until_diagnosed(&ingress, live, "diagnosis_secret").await;
    // Half a second lies between two samples, and 200 refusals took no minute.
    assert!(causes(&ingress, "unknown").await < 100);
    let metrics = get(ingress.admin, "/metrics").await.body;
    let refused = r#"harkara_ingress_invalid_signatures_total{reason="missing"} 200"#;
    assert!(metrics.contains(refused), "{metrics}");
    ingress.stop().await;
}
