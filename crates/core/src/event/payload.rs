//! The `payload` of an envelope: entities by key, each in an object of its own.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::scalar::{Scalar, ScalarVisitor};
use crate::text::JsonText;

/// The values by key. They are read in one pass with the envelope; only entities are left for a second.
#[derive(Debug, Default)]
pub(super) struct Payload<'a>(BTreeMap<JsonText<'a>, Value<'a, Contained<'a>>>);

/// `{"entity": {…}}`, or an object without an entity.
#[derive(Debug)]
struct Contained<'a>(Option<&'a RawValue>);

/// An object, or anything else.
#[derive(Debug)]
enum Value<'a, T> {
    Object(T),
    Scalar(Scalar<'a>),
}

impl<'a> Payload<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The entities, in order of their keys.
    pub(super) fn entities(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().filter_map(|(key, value)| match value {
            Value::Object(Contained(entity)) => Some((key.0.as_ref(), (*entity)?)),
            Value::Scalar(_) => None,
        })
    }

    /// The value of a key that is not an object.
    pub(super) fn scalar(&self, wanted: &str) -> Option<&Scalar<'a>> {
        self.0.iter().find_map(|(key, value)| match value {
            Value::Scalar(scalar) if key.0 == wanted => Some(scalar),
            _ => None,
        })
    }
}

/// A type that is read from the fields of an object.
trait FromObject<'de>: Sized {
    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error>;
}

impl<'de> FromObject<'de> for Payload<'de> {
    /// The last value of a repeated key counts.
    fn from_object<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let mut values = BTreeMap::new();
        while let Some((key, value)) = fields.next_entry()? {
            values.insert(key, value);
        }
        Ok(Self(values))
    }
}

impl<'de> FromObject<'de> for Contained<'de> {
    /// A repeated `entity` is ambiguous and read as none.
    fn from_object<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let (mut entity, mut found) = (None, 0);
        while let Some(JsonText(key)) = fields.next_key()? {
            if key == "entity" {
                entity = fields.next_value::<Option<&RawValue>>()?;
                found += 1;
            } else {
                let IgnoredAny = fields.next_value()?;
            }
        }
        Ok(Self(entity.filter(|_| found == 1)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(payload) => Ok(payload),
            Value::Scalar(_) => Ok(Self::default()),
        }
    }
}

impl<'de, T: FromObject<'de>> Deserialize<'de> for Value<'de, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor(std::marker::PhantomData))
    }
}

struct ValueVisitor<T>(std::marker::PhantomData<fn() -> T>);

impl<'de, T: FromObject<'de>> Visitor<'de> for ValueVisitor<T> {
    type Value = Value<'de, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ScalarVisitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::from_object(fields).map(Value::Object)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        ScalarVisitor.visit_unit().map(Value::Scalar)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        ScalarVisitor.visit_bool(value).map(Value::Scalar)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_i64(value).map(Value::Scalar)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_u64(value).map(Value::Scalar)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_f64(value).map(Value::Scalar)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_borrowed_str(value).map(Value::Scalar)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_str(value).map(Value::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Self::Value, A::Error> {
        ScalarVisitor.visit_seq(values).map(Value::Scalar)
    }
}
