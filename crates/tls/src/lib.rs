//! TLS for everything: rustls with the cryptography of ring.
//!
//! A client always verifies: the certificate must chain to a trusted authority, be valid now, and name the
//! requested host. There is no switch to skip this.

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
