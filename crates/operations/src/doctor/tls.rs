//! Whether connections are encrypted, and until when our certificates are in force.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use harkara_core::causes::with_causes;
use harkara_settings::{IngressTls, Settings};
use harkara_tls::{Certificates, ClientTls, PemError, ServerCertificate};

use super::finding::{Area, Finding};
use crate::database;
use crate::wording::duration;

const AREA: Area = Area::Tls;

/// A certificate that expires sooner is warned of. Who renews by themselves renew a month before.
const EXPIRY_WARNING: Duration = Duration::from_hours(14 * 24);

/// Looks at what the settings ask for, and at the files of certificates that they name.
pub(super) fn examine(settings: &Settings, now: SystemTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (section, address, tls) in [
        (
            "redis",
            harkara_streams::address(&settings.redis),
            &settings.redis.tls,
        ),
        (
            "postgres",
            database::address(&settings.postgres.url),
            &settings.postgres.tls,
        ),
    ] {
        findings.push(encryption(section, &address, tls.as_ref()));
        let identity = tls.as_ref().and_then(ClientTls::identity);
        findings.extend(identity.map(|(chain, _)| {
            let check = format!("client certificate for {section}");
            expiry(&check, chain.first_expires_at(), now)
        }));
    }
    findings.push(match &settings.ingress.tls {
        None => plain_ingress(settings.ingress.bind),
        Some(files) => ingress(files, now),
    });
    findings
}

fn encryption(section: &str, address: &str, tls: Option<&ClientTls>) -> Finding {
    let check = format!("connection to {section}");
    if tls.is_some() {
        return AREA.ok(check, format!("TLS to {address}, verified"));
    }
    if is_this_machine(address) {
        return AREA.ok(check, format!("plain to {address}, on this machine"));
    }
    let how = match section {
        "redis" => "begin redis.url with rediss://",
        _ => "add ?sslmode=verify-full to postgres.url",
    };
    AREA.warning(
        check,
        format!("plain to {address}: password and bodies can be read on the way, unless the network encrypts"),
        format!("{how} (docs/operations.md, \"TLS\")"),
    )
}

/// Whether `host:port` (or several, or a socket's folder) cannot be reached but from here.
fn is_this_machine(address: &str) -> bool {
    address.split(", ").all(|address| {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        let is_loopback = |ip: IpAddr| ip.is_loopback();
        host == "localhost" || host.starts_with('/') || host.parse().is_ok_and(is_loopback)
    })
}

fn plain_ingress(bind: SocketAddr) -> Finding {
    AREA.ok(
        "ingress",
        format!("plain HTTP at {bind}; what Razorpay calls must end TLS in front of it"),
    )
}

fn ingress(files: &IngressTls, now: SystemTime) -> Finding {
    let check = "ingress certificate";
    let read = ServerCertificate::read(files.certificate_file.clone(), files.key_file.clone());
    let remedy = "correct ingress.tls_certificate_file and ingress.tls_key_file";
    match read.and_then(|_| Certificates::read(&files.certificate_file)) {
        Ok(chain) => expiry(check, chain.first_expires_at(), now),
        // A worker may well not have them.
        Err(error @ PemError::Unreadable { .. }) => AREA.warning(
            check,
            format!("{}; an ingress would not start here", with_causes(&error)),
            remedy,
        ),
        Err(error) => AREA.problem(check, with_causes(&error), remedy),
    }
}

fn expiry(check: &str, expires_at: Option<SystemTime>, now: SystemTime) -> Finding {
    let Some(expires_at) = expires_at else {
        return AREA.warning(
            check,
            "it cannot be told when it expires",
            "look with `openssl x509 -enddate`",
        );
    };
    let renew =
        "renew it; a certificate of the ingress is taken up from its file without a restart";
    match expires_at.duration_since(now) {
        Ok(left) if left >= EXPIRY_WARNING => {
            AREA.ok(check, format!("expires in {}", duration(left)))
        }
        Ok(left) => AREA.warning(check, format!("expires in {}", duration(left)), renew),
        Err(past) => AREA.problem(
            check,
            format!("expired {} ago", duration(past.duration())),
            renew,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn certificates_are_warned_of_two_weeks_before_they_expire() {
        let now = SystemTime::UNIX_EPOCH + 1000 * DAY;
        for (expires_at, status) in [
            (Some(now + 15 * DAY), Status::Ok),
            (Some(now + 13 * DAY), Status::Warning),
            (Some(now - DAY), Status::Problem),
            (None, Status::Warning),
        ] {
            assert_eq!(expiry("c", expires_at, now).status, status);
        }
    }

    #[test]
    fn plain_connections_are_warned_of_where_they_leave_the_machine() {
        for (address, status) in [
            ("127.0.0.1:6379", Status::Ok),
            ("localhost:5432", Status::Ok),
            ("[::1]:5432", Status::Ok),
            ("/run/postgresql:5432", Status::Ok),
            ("127.0.0.1:1, 10.0.0.1:2", Status::Warning),
            ("redis.internal:6379", Status::Warning),
            (
                "the primary mymaster of the sentinels s:26379",
                Status::Warning,
            ),
        ] {
            assert_eq!(
                encryption("redis", address, None).status,
                status,
                "{address}"
            );
        }
    }
}
