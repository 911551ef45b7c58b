//! JSON with its keys in the order that we choose, as Razorpay's two encoders have theirs.
//!
//! `serde_json`'s own map sorts its keys, or keeps their order for the whole program at once.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};

/// A JSON value whose objects keep the order in which they were written.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Text(Cow<'static, str>),
    List(Vec<Json>),
    Object(Vec<(Cow<'static, str>, Json)>),
}

/// An object with its keys in the given order; each value is anything that turns into [`Json`].
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => {
        $crate::json::Json::Object(vec![
            $((::std::borrow::Cow::Borrowed($key), $crate::json::Json::from($value))),*
        ])
    };
}

/// A list; each value is anything that turns into [`Json`].
macro_rules! list {
    ($($value:expr),* $(,)?) => {
        $crate::json::Json::List(vec![$($crate::json::Json::from($value)),*])
    };
}

pub(crate) use {list, object};

/// How a body is written. Razorpay's services do not share one encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// Keys as written, UTF-8 as it is: payments, orders and most others on the wire.
    AsWritten,
    /// Keys as written, `/` as `\/` and everything beyond ASCII as `\uXXXX`. Receivers who write the
    /// parsed body again report that the signature then fails for invoices, which this explains.
    Escaped,
    /// All keys in alphabetical order: refunds and payment links on the wire.
    Alphabetical,
}

impl Encoder {
    /// The value as minified JSON.
    pub(crate) fn encode(self, value: &Json) -> Vec<u8> {
        // Most bodies on the wire are between 764 and 2,620 bytes.
        let mut bytes = Vec::with_capacity(3072);
        let written = match self {
            Self::AsWritten => write(value, &mut bytes, CompactFormatter),
            Self::Escaped => write(value, &mut bytes, EscapingFormatter),
            Self::Alphabetical => write(&value.clone().sorted(), &mut bytes, CompactFormatter),
        };
        written.expect("a Vec takes any bytes and every key is a text");
        bytes
    }
}

fn write(value: &Json, bytes: &mut Vec<u8>, formatter: impl Formatter) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(
        bytes, formatter,
    ))
}

impl Json {
    /// Gives the value at a path of keys another value, or adds it.
    ///
    /// Panics where the path leads through something other than an object: bodies are ours, so that
    /// is a mistake in this crate. The same holds for [`Json::remove`].
    pub(crate) fn set(&mut self, path: &[&'static str], value: impl Into<Json>) {
        let (last, parents) = path.split_last().expect("a path has at least one key");
        let fields = self.at(parents).fields_mut();
        match fields.iter_mut().find(|(name, _)| name == last) {
            Some((_, old)) => *old = value.into(),
            None => fields.push((Cow::Borrowed(*last), value.into())),
        }
    }

    /// Takes keys out of the object at a path.
    pub(crate) fn remove(&mut self, path: &[&str], keys: &[&str]) {
        self.at(path)
            .fields_mut()
            .retain(|(name, _)| !keys.contains(&name.as_ref()));
    }

    /// This object without some of its keys.
    pub(crate) fn without(mut self, keys: &[&str]) -> Self {
        self.remove(&[], keys);
        self
    }

    fn at(&mut self, path: &[&str]) -> &mut Json {
        path.iter().fold(self, |place, key| {
            place
                .fields_mut()
                .iter_mut()
                .find_map(|(name, value)| (name == key).then_some(value))
                .unwrap_or_else(|| panic!("no key {key:?}"))
        })
    }

    /// This object with another one's fields behind its own.
    pub(crate) fn and(mut self, more: Json) -> Self {
        match more {
            Self::Object(more) => self.fields_mut().extend(more),
            other => panic!("only objects can be joined, not {other:?}"),
        }
        self
    }

    fn fields_mut(&mut self) -> &mut Vec<(Cow<'static, str>, Json)> {
        match self {
            Self::Object(fields) => fields,
            other => panic!("not an object: {other:?}"),
        }
    }

    fn sorted(self) -> Self {
        match self {
            Self::List(values) => Self::List(values.into_iter().map(Self::sorted).collect()),
            Self::Object(fields) => {
                let mut fields: Vec<_> = fields
                    .into_iter()
                    .map(|(key, value)| (key, value.sorted()))
                    .collect();
                fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                Self::Object(fields)
            }
            scalar => scalar,
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&'static str> for Json {
    fn from(value: &'static str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl From<&String> for Json {
    fn from(value: &String) -> Self {
        Self::Text(Cow::Owned(value.clone()))
    }
}

impl From<&Json> for Json {
    fn from(value: &Json) -> Self {
        value.clone()
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Minified, with `/` escaped and nothing beyond ASCII.
struct EscapingFormatter;

impl Formatter for EscapingFormatter {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            match character {
                '/' => writer.write_all(br"\/")?,
                ascii if ascii.is_ascii() => write!(writer, "{ascii}")?,
                wide => {
                    for unit in wide.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Encoder;

    #[test]
    fn each_encoder_writes_the_same_value_in_its_own_way() {
        let value = object! { "b": list![object! { "z": 1, "a": true }], "a": "₹ 🎁/\"" };
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
