//! PostgreSQL's messages.

/// Each begins with its type and its length, which counts itself and not the type.
pub(crate) const HEADER_BYTES: usize = 5;
const LENGTH_BYTES: usize = 4;

/// The size of the message that begins here, once its header is there.
pub(crate) fn message_bytes(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(1..HEADER_BYTES)?.try_into().ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    Some(1 + length.max(LENGTH_BYTES))
}
