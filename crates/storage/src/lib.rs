//! Harkara storage.
