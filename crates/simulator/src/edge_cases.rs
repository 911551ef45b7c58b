//! Unusual bodies: seen from Razorpay, or possible for anybody with the secret.
//!
//! A receiver must answer 200 to each and keep it; whether it can be projected is up to the receiver.

use serde::Deserialize;
use serde_json::Value;

use crate::bodies::Bodies;

/// The usual body of an event with changes. Without any it is unusual enough.
#[derive(Deserialize)]
struct ChangedBody {
    name: String,
    of: String,
    changes: Vec<Change>,
}

/// A change at a JSON pointer.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Set(String, Value),
    Remove(String),
    /// From the first place to the second.
    Move(String, String),
    /// Takes a prefix from a text.
    Strip(String, String),
}

/// Every unusual body, with fresh ids, under a name such as `captured_is_a_text`.
#[must_use]
pub fn all(bodies: &mut Bodies) -> Vec<(String, Vec<u8>)> {
    let changed: Vec<ChangedBody> =
        serde_json::from_str(include_str!("edge_cases/changed.json")).expect("it lists bodies");
    let changed = changed.into_iter().map(|case| {
        let body = case.body(bodies);
        (case.name, body)
    });
    let mut cases: Vec<_> = changed.collect();
    let mut cut_off = bodies.body("payment.captured");
    cut_off.truncate(cut_off.len() / 2);
    let form = format!("ref={}&status=paid", bodies.random().id("pay_"));
    let others = [
        ("json_list", b"[]".to_vec()),
        ("json_cut_off", cut_off),
        ("not_json", form.into_bytes()),
        ("not_utf8", vec![0xff, 0xfe, 0x7b, 0x7d]),
        ("empty", Vec::new()),
    ];
    cases.extend(others.map(|(name, body)| (name.to_owned(), body)));
    cases
}

impl ChangedBody {
    fn body(&self, bodies: &mut Bodies) -> Vec<u8> {
        let usual = bodies.body(&self.of);
        if self.changes.is_empty() {
            return usual;
        }
        let mut body = serde_json::from_slice(&usual).expect("usual bodies are JSON");
        for change in &self.changes {
            change.apply(&mut body);
        }
        body.to_string().into_bytes()
    }
}

impl Change {
    fn apply(&self, body: &mut Value) {
        match self {
            Self::Set(at, value) => *field(body, at) = value.clone(),
            Self::Remove(at) => drop(remove(body, at)),
            Self::Move(from, to) => *field(body, to) = remove(body, from),
            Self::Strip(at, prefix) => {
                let field = field(body, at);
                let rest = field.as_str().and_then(|text| text.strip_prefix(prefix));
                *field = rest.into();
            }
        }
    }
}

/// The field at a JSON pointer, which is added if it is not there.
fn field<'a>(body: &'a mut Value, pointer: &str) -> &'a mut Value {
    let (object, field) = pointer.rsplit_once('/').expect("a pointer has a slash");
    &mut body.pointer_mut(object).expect("the object exists")[field]
}

fn remove(body: &mut Value, pointer: &str) -> Value {
    let (object, field) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let fields = body.pointer_mut(object).and_then(Value::as_object_mut);
    fields
        .and_then(|fields| fields.remove(field))
        .expect("the field exists")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::all;
    use crate::Bodies;

    #[test]
    fn edge_cases_have_unique_names_and_the_changes_that_they_name() {
        let cases = all(&mut Bodies::new(5, 1_790_000_000));
        let count = cases.len();
        let bodies: BTreeMap<String, Vec<u8>> = cases.into_iter().collect();
        assert_eq!(bodies.len(), count);

        let text = String::from_utf8_lossy(&bodies["description_has_a_nul"]);
        assert!(text.contains(r"a\u0000b"));
        let body: Value = serde_json::from_slice(&bodies["order_id_has_no_prefix"]).unwrap();
        assert_eq!(body["event"], "payment_link.paid");
        let order = &body["payload"]["order"]["entity"];
        let order_id = format!("order_{}", order["id"].as_str().unwrap());
        assert_eq!(body["payload"]["payment"]["entity"]["order_id"], order_id);
        assert_eq!(order.get("entity"), None);
        let body: Value = serde_json::from_slice(&bodies["object_without_event"]).unwrap();
        assert_eq!(body.get("event"), None);
    }
}
