//! Harkara dev.
