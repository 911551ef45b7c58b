//! Harkara worker.
