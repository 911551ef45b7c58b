//! Turning raw fields into typed ones, with the place in the error.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{ContentError, Scalar, object};
use crate::ids::InvalidId;
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// The place of an entity in a body, for errors.
pub(super) struct Place<'a>(pub(super) &'a str);

impl Place<'_> {
    pub(super) fn object<'a, T: Deserialize<'a>>(
        &self,
        raw: &'a RawValue,
    ) -> Result<T, ContentError> {
        object(raw).ok_or_else(|| ContentError::MalformedEntity {
            key: self.0.to_owned(),
        })
    }

    /// The entity's own id, parsed by its prefix.
    pub(super) fn id<T>(
        &self,
        value: &Scalar<'_>,
        parse: fn(&str) -> Result<T, InvalidId>,
    ) -> Result<T, ContentError> {
        let id = self.required("id", value)?;
        parse(&id).map_err(|invalid| ContentError::ForeignId {
            key: self.0.to_owned(),
            field: "id",
            prefix: invalid.prefix,
        })
    }

    /// A text that the entity cannot do without.
    pub(super) fn required(
        &self,
        field: &'static str,
        value: &Scalar<'_>,
    ) -> Result<Text, ContentError> {
        match value {
            Scalar::Compound => Err(self.wrong_type(field, "text", "an array or object")),
            value => value.text().ok_or_else(|| ContentError::MissingField {
                key: self.0.to_owned(),
                field,
            }),
        }
    }

    /// An amount. Absent is fine, a wrong type is not: money must not be guessed.
    pub(super) fn amount(
        &self,
        field: &'static str,
        value: &Scalar<'_>,
    ) -> Result<Option<MinorUnits>, ContentError> {
        value
            .minor_units()
            .map_err(|found| self.wrong_type(field, "a whole number", found))
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

/// A reference to another entity.
pub(super) fn reference<T>(value: &Scalar<'_>, read: fn(&str) -> Option<T>) -> Option<T> {
    value.text().as_deref().and_then(read)
}

/// A currency code.
pub(super) fn currency(value: &Scalar<'_>) -> Option<Currency> {
    value.text().as_deref().map(Currency::new)
}

/// The latest of some instants.
pub(super) fn latest(instants: &[&Scalar<'_>]) -> Option<EventTime> {
    instants.iter().filter_map(|value| value.instant()).max()
}
