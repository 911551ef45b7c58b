//! A field's value before its type is known: for the same field, Razorpay sends `true` or `"1"`, `0` or
//! `null`, `""` or nothing.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use compact_str::ToCompactString;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::money::MinorUnits;
use crate::text::Text;
use crate::time::EventTime;

/// A JSON value. Arrays and objects are dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// Absent or `null`.
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    /// A number with a fraction, or beyond 64 bits.
    Float(f64),
    Text(Cow<'a, str>),
    /// An array or an object.
    Compound,
}

/// Longest text of a column, in bytes; PostgreSQL's indexes take values up to 2,704. The whole text stays in
/// the body.
const TEXT_BYTES_MAX: usize = 1000;

/// Largest float up to which all whole numbers are exact: 2^53.
const WHOLE_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

impl Scalar<'_> {
    /// The value as text; `None` if absent or empty. Numbers and booleans are formatted.
    ///
    /// NUL is replaced, since PostgreSQL's text cannot hold it, and a text longer than [`TEXT_BYTES_MAX`] is
    /// cut; the exact bytes stay in the ledger.
    pub(crate) fn text(&self) -> Option<Text> {
        let mut text = match self {
            Self::Null | Self::Compound => return None,
            Self::Bool(value) => Text::from(if *value { "true" } else { "false" }),
            Self::Integer(value) => value.to_compact_string(),
            // As `Display` writes it: 5.0 is "5".
            Self::Float(value) => value.to_string().into(),
            Self::Text(value) if value.contains('\0') => value.replace('\0', "\u{fffd}").into(),
            Self::Text(value) => Text::from(value.as_ref()),
        };
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        (!text.is_empty()).then_some(text)
    }

    /// The value as a whole number; `Err` names the type of any other value.
    pub(crate) fn integer(&self) -> Result<Option<i64>, &'static str> {
        match self {
            Self::Null => Ok(None),
            Self::Integer(value) => Ok(Some(*value)),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the guard leaves whole numbers within 2^53"
            )]
            Self::Float(value) if value.fract() == 0.0 && value.abs() <= WHOLE_FLOAT_MAX => {
                Ok(Some(*value as i64))
            }
            Self::Text(value) if value.is_empty() => Ok(None),
            Self::Text(value) => value.parse().map(Some).map_err(|_| "text"),
            Self::Float(_) => Err("a fraction"),
            Self::Bool(_) => Err("a boolean"),
            Self::Compound => Err("an array or object"),
        }
    }

    /// The value as an amount; `Err` names the type of any other value.
    pub(crate) fn minor_units(&self) -> Result<Option<MinorUnits>, &'static str> {
        Ok(self.integer()?.map(MinorUnits))
    }

    /// The value as a whole number, if it is one.
    pub(crate) fn number(&self) -> Option<i64> {
        self.integer().ok().flatten()
    }

    /// The value as a boolean: `true`, `1`, `"1"`, `"true"` and their opposites.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Integer(0) => Some(false),
            Self::Integer(1) => Some(true),
            Self::Text(value) => match value.as_ref() {
                "1" | "true" => Some(true),
                "0" | "false" => Some(false),
                _ => None,
            },
            Self::Null | Self::Integer(_) | Self::Float(_) | Self::Compound => None,
        }
    }

    /// The value as an instant of Razorpay's clock; `None` for 0, null and anything that is no time.
    pub(crate) fn instant(&self) -> Option<EventTime> {
        self.number().and_then(EventTime::from_seconds)
    }
}

/// Reads an object into `T`; `None` for any other value, and for an object with a repeated field.
pub(crate) fn object<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    let text = value.get();
    text.starts_with('{')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// Declares a struct of [`Scalar`]s borrowed from the body; absent ones are `Null`. Fields after the semicolon
/// may hold an object and are kept raw.
macro_rules! raw_fields {
    (struct $name:ident { $($scalar:ident),* $(,)? $(; $($object:ident),* $(,)?)? }) => {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct $name<'a> {
            $(#[serde(borrow)] $scalar: crate::event::Scalar<'a>,)*
            $($(#[serde(borrow)] $object: Option<&'a serde_json::value::RawValue>,)*)?
        }
    };
}
pub(crate) use raw_fields;

/// A type that is read from any JSON value: from an object by its fields, from all others as a [`Scalar`].
pub(super) trait FromValue<'de>: Sized + From<Scalar<'de>> {
    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error>;
}

impl<'de> FromValue<'de> for Scalar<'de> {
    fn from_object<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Compound)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor(PhantomData))
    }
}

pub(super) struct ValueVisitor<T>(pub(super) PhantomData<fn() -> T>);

impl<'de, T: FromValue<'de>> Visitor<'de> for ValueVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(Scalar::Null.into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(Scalar::Bool(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(Scalar::Integer(value).into())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number beyond 64 bits is only known to be too large"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        let value = i64::try_from(value).map_or(Scalar::Float(value as f64), Scalar::Integer);
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<T, E> {
        Ok(Scalar::Float(value).into())
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<T, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<T, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<T, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Compound.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::from_object(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::Scalar;

    fn scalar(json: &str) -> Scalar<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_same_value_has_several_spellings() {
        for yes in ["true", "1", "\"1\"", "\"true\""] {
            assert_eq!(scalar(yes).flag(), Some(true), "{yes}");
        }
        for unset in ["null", "0", "\"\"", "[]", "{}", "-5", "1e300"] {
            assert_eq!(scalar(unset).instant(), None, "{unset}");
        }
        for hundred in ["100", "100.0", "\"100\""] {
            assert_eq!(scalar(hundred).integer(), Ok(Some(100)), "{hundred}");
        }
    }

    #[test]
    fn an_amount_that_is_no_whole_number_is_refused_with_its_type() {
        for (value, expected) in [
            ("1.5", Err("a fraction")),
            ("\"ten\"", Err("text")),
            ("[]", Err("an array or object")),
            ("18446744073709551615", Err("a fraction")),
            ("null", Ok(None)),
        ] {
            assert_eq!(scalar(value).minor_units(), expected, "{value}");
        }
    }

    #[test]
    fn text_never_contains_nul_and_is_never_empty() {
        for (value, expected) in [
            (r#""a\u0000b""#, Some("a\u{fffd}b")),
            (r#""""#, None),
            ("7", Some("7")),
            ("5.0", Some("5")),
            ("18446744073709551615", Some("18446744073709552000")),
        ] {
            assert_eq!(scalar(value).text().as_deref(), expected, "{value}");
        }
    }
}
