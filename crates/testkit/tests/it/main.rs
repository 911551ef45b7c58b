//! The servers that other tests rely on.

mod postgres_server;
