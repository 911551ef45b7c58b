//! What every process needs to run.
//!
//! A process sets up [`logging`], serves its [`admin`] port and works until its
//! [`shutdown`] is requested.

// Nothing may wait for the reader of standard error; see `logging`.
#![warn(clippy::print_stderr)]

pub mod logging;

pub mod admin;

pub mod backlog;

pub mod build_info;

pub mod shutdown;

pub mod clock;

pub mod failure;
