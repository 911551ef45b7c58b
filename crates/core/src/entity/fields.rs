//! Reading the fields of entities by their types; errors name the place.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{ContentError, Scalar, object};
use crate::ids::EntityId;
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// Declares an entity: its payload key, its fields with their key where it differs, the keys read `also` (as a
/// source of times only), and the times of which the `latest` dates the snapshot.
macro_rules! entity {
    (
        $(#[$doc:meta])*
        $name:ident = $kind:literal {
            $($(#[$field_doc:meta])* $field:ident $([$key:literal])?: $type:ty,)*
        }
        $(also { $($also:ident),* })?
        latest { $($time:ident),* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the fields are Razorpay's")]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// The payload key.
            pub const KIND: &'static str = $kind;

            /// Reads the entity, and the latest of its times.
            pub(super) fn read(
                raw: &serde_json::value::RawValue,
            ) -> Result<(Self, Option<crate::time::EventTime>), crate::event::ContentError> {
                #[derive(Default, serde::Deserialize)]
                #[serde(default)]
                struct Raw<'a> {
                    $(#[serde(borrow $(, rename = $key)?)] $field: crate::event::Scalar<'a>,)*
                    $($(#[serde(borrow)] $also: crate::event::Scalar<'a>,)*)?
                }

                let at = crate::entity::fields::Place(Self::KIND);
                let raw: Raw<'_> = at.object(raw)?;
                let entity = Self {
                    $($field: at.field(stringify!($field), &raw.$field)?,)*
                };
                Ok((entity, crate::entity::fields::latest(&[$(&raw.$time),*])))
            }
        }
    };
}
pub(super) use entity;

/// The place of an entity in a body, for errors.
pub(super) struct Place<'a>(pub(super) &'a str);

/// A type that a field of an entity may have.
pub(super) trait Field: Sized {
    fn read(at: &Place<'_>, field: &'static str, value: &Scalar<'_>) -> Result<Self, ContentError>;
}

impl Place<'_> {
    pub(super) fn object<'a, T: Deserialize<'a>>(
        &self,
        raw: &'a RawValue,
    ) -> Result<T, ContentError> {
        object(raw).ok_or_else(|| ContentError::MalformedEntity {
            key: self.0.to_owned(),
        })
    }

    pub(super) fn field<T: Field>(
        &self,
        field: &'static str,
        value: &Scalar<'_>,
    ) -> Result<T, ContentError> {
        T::read(self, field, value)
    }

    fn wrong_type(
        &self,
        field: &'static str,
        expected: &'static str,
        found: &'static str,
    ) -> ContentError {
        ContentError::WrongType {
            key: self.0.to_owned(),
            field,
            expected,
            found,
        }
    }
}

/// A text that the entity requires.
impl Field for Text {
    fn read(at: &Place<'_>, field: &'static str, value: &Scalar<'_>) -> Result<Self, ContentError> {
        match value {
            Scalar::Compound => Err(at.wrong_type(field, "text", "an array or object")),
            value => value.text().ok_or_else(|| ContentError::MissingField {
                key: at.0.to_owned(),
                field,
            }),
        }
    }
}

/// The entity's own id, parsed by its prefix.
impl<T: EntityId> Field for T {
    fn read(at: &Place<'_>, field: &'static str, value: &Scalar<'_>) -> Result<Self, ContentError> {
        let id: Text = at.field(field, value)?;
        T::parse(&id).map_err(|invalid| ContentError::ForeignId {
            key: at.0.to_owned(),
            field,
            prefix: invalid.prefix,
        })
    }
}

/// An amount may be absent, but not of another type: money is never guessed.
impl Field for Option<MinorUnits> {
    fn read(at: &Place<'_>, field: &'static str, value: &Scalar<'_>) -> Result<Self, ContentError> {
        value
            .minor_units()
            .map_err(|found| at.wrong_type(field, "a whole number", found))
    }
}

/// A reference to another entity.
impl<T: EntityId> Field for Option<T> {
    fn read(_: &Place<'_>, _: &'static str, value: &Scalar<'_>) -> Result<Self, ContentError> {
        Ok(value.text().as_deref().and_then(T::reference))
    }
}

/// Fields that are dropped if they have another type.
macro_rules! lenient_fields {
    ($($type:ty = $read:expr;)*) => {$(
        impl Field for Option<$type> {
            fn read(_: &Place<'_>, _: &'static str, value: &Scalar<'_>) -> Result<Self, ContentError> {
                Ok($read(value))
            }
        }
    )*};
}

lenient_fields! {
    Text = Scalar::text;
    Currency = currency;
    bool = Scalar::flag;
    i64 = Scalar::number;
    EventTime = Scalar::instant;
}

pub(super) fn currency(value: &Scalar<'_>) -> Option<Currency> {
    value.text().as_deref().map(Currency::new)
}

/// The latest of some instants.
pub(super) fn latest(instants: &[&Scalar<'_>]) -> Option<EventTime> {
    instants.iter().filter_map(|value| value.instant()).max()
}
