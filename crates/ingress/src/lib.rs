//! Harkara ingress.
