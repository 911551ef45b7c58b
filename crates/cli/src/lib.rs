//! Harkara cli.
