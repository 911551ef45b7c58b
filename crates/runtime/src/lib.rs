//! What every process of Harkara needs to run, whatever it does.
//!
//! A process reads its [`settings`], sets up [`logging`], opens [`redis`] connections, serves its
//! [`admin`] port and works until it is told to [`stop`].

pub mod settings;

pub mod logging;

pub mod telemetry;

pub mod redis;

pub mod backlog;

pub mod admin;

pub mod build_info;

pub mod stop;

pub mod clock;

pub mod instance;

pub mod failure;
