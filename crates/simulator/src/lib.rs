//! Harkara simulator.
