//! `harkara doctor`: what it finds on real servers, and how it ends.

pub(crate) mod report;

mod ends;
mod postgres;
mod redis_server;
mod streams;
