//! Harkara testkit.
