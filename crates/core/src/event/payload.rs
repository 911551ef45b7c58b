//! The `payload` of an envelope: entities by key, each in an object of its own.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::scalar::{FromValue, Scalar, ValueVisitor};
use crate::text::JsonText;

/// The values by key. They are read in one pass with the envelope; only entities are left for a second.
#[derive(Debug, Default)]
pub(super) struct Payload<'a>(BTreeMap<JsonText<'a>, Value<'a>>);

#[derive(Debug)]
enum Value<'a> {
    /// `{"entity": {…}}`, or an object without an entity.
    Object(Option<&'a RawValue>),
    Scalar(Scalar<'a>),
}

impl<'a> Payload<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The entities, in order of their keys.
    pub(super) fn entities(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().filter_map(|(key, value)| match value {
            Value::Object(entity) => Some((key.0.as_ref(), (*entity)?)),
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

impl<'a> From<Scalar<'a>> for Payload<'a> {
    /// A payload that is no object has no entities.
    fn from(_: Scalar<'a>) -> Self {
        Self::default()
    }
}

impl<'de> FromValue<'de> for Payload<'de> {
    /// The last value of a repeated key counts.
    fn from_object<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let mut values = BTreeMap::new();
        while let Some((key, value)) = fields.next_entry()? {
            values.insert(key, value);
        }
        Ok(Self(values))
    }
}

impl<'a> From<Scalar<'a>> for Value<'a> {
    fn from(scalar: Scalar<'a>) -> Self {
        Self::Scalar(scalar)
    }
}

impl<'de> FromValue<'de> for Value<'de> {
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
        Ok(Self::Object(entity.filter(|_| found == 1)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor(PhantomData))
    }
}
