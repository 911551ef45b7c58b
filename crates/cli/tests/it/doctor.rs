//! `harkara doctor`: what it finds on real servers, and how it ends.

mod report;

mod ends;
mod postgres;
mod redis_server;
mod streams;
