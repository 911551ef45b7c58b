//! TLS, one stack for everything: rustls with the cryptography of ring.
//!
//! As a client we always verify: the certificate must lead to an authority that we trust, be in force,
//! and name the host that was asked for. There is no switch that leaves this out.

mod pem;

mod expiry;

mod client;
mod refusal;

mod server;

pub use client::ClientTls;
pub use pem::{Certificates, PemError, PrivateKey};
pub use refusal::Refusal;
pub use rustls::{ClientConfig, ServerConfig};
pub use server::ServerCertificate;
