//! What can be wrong with a signed body. Messages name places, never values: those may be personal.

/// Why a body cannot be projected. Trying again cannot help until the software changes.
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
    /// The event is about an entity that the payload does not hold.
    #[error("payload.{key}.entity is missing")]
    MissingEntity {
        /// The payload key.
        key: &'static str,
    },
    /// An entity cannot be read at all.
    #[error("payload.{key}.entity is not an object")]
    MalformedEntity {
        /// The payload key.
        key: String,
    },
    /// A field that the entity cannot do without is absent, null or empty.
    #[error("payload.{key}.entity.{field} is missing")]
    MissingField {
        /// The payload key.
        key: String,
        /// The field's name.
        field: &'static str,
    },
    /// A field has a value of another type than it must.
    #[error("payload.{key}.entity.{field} is {found}, not {expected}")]
    WrongType {
        /// The payload key.
        key: String,
        /// The field's name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The entity's id is not one of its kind.
    #[error("payload.{key}.entity.{field} does not begin with {prefix:?}")]
    ForeignId {
        /// The payload key.
        key: String,
        /// The field's name.
        field: &'static str,
        /// What it should begin with.
        prefix: &'static str,
    },
}
