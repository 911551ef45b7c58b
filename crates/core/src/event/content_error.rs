//! Errors in signed bodies. Messages name places, never values, which may be personal data.

/// Why a body cannot be projected. A retry cannot help until the software changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The body is not UTF-8, so it is not JSON.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The body is not JSON.
    #[error("the body is not JSON (column {at})")]
    NotJson {
        /// The column where reading stopped.
        at: usize,
    },
    /// The body is JSON, but an array or a scalar; or an object that names a field twice.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The object has no `event` text.
    #[error("the body has no event name")]
    NoEventName,
    /// The entity that the event is about is missing.
    #[error("payload.{key}.entity is missing")]
    MissingEntity {
        /// The payload key.
        key: &'static str,
    },
    /// An entity is not an object.
    #[error("payload.{key}.entity is not an object")]
    MalformedEntity {
        /// The payload key.
        key: String,
    },
    /// A required field is absent, null or empty.
    #[error("payload.{key}.entity.{field} is missing")]
    MissingField {
        /// The payload key.
        key: String,
        /// The field's name.
        field: &'static str,
    },
    /// A field has a value of the wrong type.
    #[error("payload.{key}.entity.{field} is {found}, not {expected}")]
    WrongType {
        /// The payload key.
        key: String,
        /// The field's name.
        field: &'static str,
        /// The expected type.
        expected: &'static str,
        /// The found type.
        found: &'static str,
    },
    /// The entity's id belongs to another kind.
    #[error("payload.{key}.entity.{field} does not begin with {prefix:?}")]
    ForeignId {
        /// The payload key.
        key: String,
        /// The field's name.
        field: &'static str,
        /// The expected prefix.
        prefix: &'static str,
    },
}
