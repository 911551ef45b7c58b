//! Harkara core.
