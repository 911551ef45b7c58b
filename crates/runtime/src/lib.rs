//! What every process needs to run.
//!
//! A process sets up [`logging`] and [`telemetry`], serves its [`admin`] port and works until its
//! [`shutdown`] is requested.

pub mod logging;

pub mod telemetry;

pub mod admin;

pub mod backlog;

pub mod build_info;

pub mod shutdown;

pub mod clock;

pub mod failure;
