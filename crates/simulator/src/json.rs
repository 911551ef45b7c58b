//! JSON with its fields in the order in which we write them, as Razorpay's encoders do.
//!
//! `serde_json`'s own map sorts its keys, or keeps their order for the whole program.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::{RawValue, Value, to_raw_value};

/// A JSON object whose fields keep the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

/// An object with its fields in the given order; each value is anything serializable, `()` is null.
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => {
        $crate::json::Object::default()$(.with($key, &$value))*
    };
}

pub(crate) use object;

/// An empty list.
pub(crate) const EMPTY_LIST: [(); 0] = [];

/// Encodes a value as it will be written. Panics for values that JSON lacks: ours have none.
pub(crate) fn encode(value: impl Serialize) -> Box<RawValue> {
    to_raw_value(&value).expect("every key is a string")
}

impl Object {
    /// The fields of a struct.
    pub(crate) fn of(fields: impl Serialize) -> Self {
        serde_json::from_str(encode(fields).get()).expect("a struct is an object")
    }

    /// Adds a field at the end.
    pub(crate) fn with(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.0.push((key.into(), encode(value)));
        self
    }

    /// Adds another object's fields at the end.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The names of the fields.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.0.iter().map(|(key, _)| key.clone()).collect()
    }

    /// Fills in a template with these values; see [`fill`].
    pub(crate) fn fill(&self, template: &str) -> Self {
        fill(template, |name| {
            let field = self.0.iter().find(|(key, _)| key == name);
            field.expect("each value is given").1.clone()
        })
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsInOrder)
    }
}

struct FieldsInOrder;

impl<'de> Visitor<'de> for FieldsInOrder {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Object(fields))
    }
}

/// Fills in a template: an object in JSON in which each `"$name"` is replaced by a value, requested in
/// the order of the template.
pub(crate) fn fill(template: &str, mut value: impl FnMut(&str) -> Box<RawValue>) -> Object {
    let template = minified(template);
    let mut parts = template.split("\"$");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('"').expect("the name of a value ends");
        text.push_str(value(name).get());
        text.push_str(rest);
    }
    serde_json::from_str(&text).expect("a template is an object")
}

/// JSON without white space between its tokens. There must be no `\"` in it.
fn minified(json: &str) -> String {
    let mut in_string = false;
    let mut keep = |character: char| {
        in_string ^= character == '"';
        in_string || !character.is_whitespace()
    };
    json.chars().filter(|&character| keep(character)).collect()
}

/// How a body is written. Razorpay's services do not share one encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// Keys as written, plain UTF-8: payments, orders and most others on the wire.
    AsWritten,
    /// Keys as written, `/` as `\/` and everything beyond ASCII as `\uXXXX`. Receivers who write the
    /// parsed body again report that the signature then fails for invoices, which this explains.
    Escaped,
    /// All keys in alphabetical order: refunds and payment links on the wire.
    Alphabetical,
}

impl Encoder {
    /// The object as minified JSON.
    pub(crate) fn encode(self, object: &Object) -> Vec<u8> {
        let text = encode(object);
        match self {
            Self::AsWritten => text.get().as_bytes().to_vec(),
            Self::Escaped => escaped(text.get()).into_bytes(),
            Self::Alphabetical => {
                let sorted: Value = serde_json::from_str(text.get()).expect("we wrote it");
                sorted.to_string().into_bytes()
            }
        }
    }
}

/// JSON with `/` escaped and nothing beyond ASCII. Both occur in strings only.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '/' => escaped.push_str(r"\/"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            wide => {
                for unit in wide.encode_utf16(&mut [0; 2]) {
                    write!(escaped, "\\u{unit:04x}").expect("a String takes any text");
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::Encoder;

    #[test]
    fn each_encoder_writes_the_same_value_in_its_own_way() {
        let value = object! { "b": [object! { "z": 1, "a": true }], "a": "₹ 🎁/\"" };
        for (encoder, expected) in [
            (
                Encoder::AsWritten,
                r#"{"b":[{"z":1,"a":true}],"a":"₹ 🎁/\""}"#,
            ),
            (
                Encoder::Escaped,
                r#"{"b":[{"z":1,"a":true}],"a":"\u20b9 \ud83c\udf81\/\""}"#,
            ),
            (
                Encoder::Alphabetical,
                r#"{"a":"₹ 🎁/\"","b":[{"a":true,"z":1}]}"#,
            ),
        ] {
            assert_eq!(String::from_utf8(encoder.encode(&value)).unwrap(), expected);
        }
    }
}
