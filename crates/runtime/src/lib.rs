//! Harkara runtime.
