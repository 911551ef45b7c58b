use super::{ContentError, Event, read};
use crate::entity::Entity;

fn event(body: &str) -> Event {
    read(body.as_bytes()).unwrap()
}

fn reason(body: &str) -> ContentError {
    read(body.as_bytes()).unwrap_err().reason
}

fn occurred_at(body: &str) -> Option<i64> {
    event(body)
        .head
        .occurred_at
        .map(crate::time::EventTime::seconds)
}

#[test]
fn an_invalid_body_says_why() {
    assert_eq!(read(b"\xff{}").unwrap_err().reason, ContentError::NotUtf8);
    assert!(matches!(reason("a=1&b=2"), ContentError::NotJson { .. }));
    assert!(matches!(reason(""), ContentError::NotJson { .. }));
    assert_eq!(reason("[1]"), ContentError::NotAnObject);
    assert_eq!(reason("{}"), ContentError::NoEventName);
    assert_eq!(reason(r#"{"event":null}"#), ContentError::NoEventName);
}

#[test]
fn an_invalid_entity_is_reported_with_its_place_and_never_its_value() {
    let payment = |entity: &str| {
        format!(r#"{{"event":"payment.captured","payload":{{"payment":{{"entity":{entity}}}}}}}"#)
    };
    for (entity, error) in [
        ("{}", "payload.payment.entity.id is missing"),
        (
            r#"{"id":"pay_1"}"#,
            "payload.payment.entity.status is missing",
        ),
        (
            r#"{"id":"rfnd_1","status":"captured"}"#,
            r#"payload.payment.entity.id does not begin with "pay_""#,
        ),
        (
            r#"{"id":"pay_1","status":"captured","amount":"ten rupees"}"#,
            "payload.payment.entity.amount is text, not a whole number",
        ),
        ("[]", "payload.payment.entity is not an object"),
    ] {
        assert_eq!(reason(&payment(entity)).to_string(), error);
    }
    let missing = reason(r#"{"event":"payment.captured"}"#).to_string();
    assert_eq!(missing, "payload.payment.entity is missing");
}

#[test]
fn the_head_of_an_unprojectable_event_is_kept() {
    let head = read(br#"{"event":"payment.captured","account_id":"acc_1","created_at":7}"#)
        .unwrap_err()
        .head
        .unwrap();
    assert_eq!(
        (head.name.as_str(), head.account_id.unwrap().as_str()),
        ("payment.captured", "acc_1")
    );
}

#[test]
fn the_time_of_an_event_is_at_the_top_or_inside_or_in_its_entities() {
    for (body, seconds) in [
        (r#"{"event":"a.b","created_at":7}"#, Some(7)),
        (r#"{"event":"a.b","payload":{"created_at":8}}"#, Some(8)),
        (
            r#"{"event":"token.paused","payload":{"token":{"entity":{"id":"t","created_at":9}}}}"#,
            Some(9),
        ),
        (r#"{"event":"a.b"}"#, None),
    ] {
        assert_eq!(occurred_at(body), seconds, "{body}");
    }
}

#[test]
fn the_time_of_a_payment_link_event_is_not_the_links_creation() {
    let body = r#"{"event":"payment_link.cancelled","created_at":100,"payload":{"payment_link":{"entity":
        {"id":"plink_1","status":"cancelled","created_at":100,"expired_at":0,"cancelled_at":250}}}}"#;
    assert_eq!(occurred_at(body), Some(250));
}

#[test]
fn an_unknown_event_keeps_its_name_and_its_entities() {
    let event = event(
        r#"{"event":"moon.landed","payload":{"moon":{"entity":{"id":"m1","status":"on"}},"n":3,"list":[]}}"#,
    );
    assert_eq!(event.head.name, "moon.landed");
    let [(_, Entity::Generic(moon))] = event.entities.as_slice() else {
        panic!("{event:?}")
    };
    assert_eq!(
        (moon.kind.as_str(), moon.id.as_str(), moon.status.as_deref()),
        ("moon", "m1", Some("on"))
    );
}

#[test]
fn an_event_without_payload_or_with_scalars_in_it_is_an_event() {
    for body in [
        r#"{"event":"account.app.authorization_revoked","account_id":"acc_1","contains":[]}"#,
        r#"{"event":"account.instant_activation_gmv_limit_warning","payload":{"acc_id":"a","gmv_limit":15000}}"#,
        r#"{"event":"banking_accounts.issued","payload":{"accounts":{"virtual":{},"current":[]}}}"#,
    ] {
        assert!(event(body).entities.is_empty(), "{body}");
    }
}

#[test]
fn a_transfer_takes_its_status_from_the_event_name() {
    let event =
        event(r#"{"event":"transfer.processed","payload":{"transfer":{"entity":{"id":"trf_1"}}}}"#);
    let [(_, Entity::Generic(transfer))] = event.entities.as_slice() else {
        panic!("{event:?}")
    };
    assert_eq!(transfer.status.as_deref(), Some("processed"));
}
