//! Whether connections are encrypted, and when our certificates expire.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use harkara_core::causes::with_causes;
use harkara_settings::{IngressTls, Settings};
use harkara_tls::{Certificates, ClientTls, PemError, ServerCertificate};

use super::finding::{Area, Check, Finding, Status};
use crate::wording::duration;

const AREA: Area = Area::Tls;

/// A certificate that expires sooner is reported. Automatic renewal happens a month before.
const EXPIRY_WARNING: Duration = Duration::from_hours(14 * 24);

/// Checks every configured connection, and the files of certificates.
pub(super) fn examine(settings: &Settings, now: SystemTime) -> Vec<Finding> {
    let Settings {
        redis, postgres, ..
    } = settings;
    let mut findings = Vec::new();
    for (section, address, tls) in [
        ("redis", harkara_streams::address(redis), &redis.tls),
        (
            "postgres",
            harkara_storage::address(&postgres.url),
            &postgres.tls,
        ),
    ] {
        findings.push(encryption(section, &address, tls.as_ref()));
        if let Some((chain, _)) = tls.as_ref().and_then(ClientTls::identity) {
            let check = AREA.check(format!("client certificate for {section}"));
            findings.push(expiry(check, chain.first_expires_at(), now));
        }
    }
    findings.push(match &settings.ingress.tls {
        Some(files) => ingress(files, now),
        None => AREA.check("ingress").ok(format!(
            "plain HTTP at {}; a proxy in front of it must terminate TLS",
            settings.ingress.bind
        )),
    });
    findings
}

fn encryption(section: &str, address: &str, tls: Option<&ClientTls>) -> Finding {
    let check = AREA.check(format!("connection to {section}"));
    if tls.is_some() {
        return check.ok(format!("TLS to {address}, verified"));
    }
    if is_this_machine(address) {
        return check.ok(format!("plain to {address}, on this machine"));
    }
    let how = match section {
        "redis" => "begin redis.url with rediss://",
        _ => "add ?sslmode=verify-full to postgres.url",
    };
    check.warning(
        format!("plain to {address}: the password and bodies can be read in transit, unless the network encrypts them"),
        format!("{how} (docs/operations.md, \"TLS\")"),
    )
}

/// Whether `host:port` (or several, or a socket's folder) is on this machine.
fn is_this_machine(address: &str) -> bool {
    address.split(", ").all(|address| {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        let is_loopback = |ip: IpAddr| ip.is_loopback();
        host == "localhost" || host.starts_with('/') || host.parse().is_ok_and(is_loopback)
    })
}

fn ingress(files: &IngressTls, now: SystemTime) -> Finding {
    let check = AREA.check("ingress certificate");
    let read = ServerCertificate::read(files.certificate_file.clone(), files.key_file.clone());
    let remedy = "correct ingress.tls_certificate_file and ingress.tls_key_file";
    match read.and_then(|_| Certificates::read(&files.certificate_file)) {
        Ok(chain) => expiry(check, chain.first_expires_at(), now),
        // A worker need not have them.
        Err(error @ PemError::Unreadable { .. }) => check.warning(
            format!("{}; an ingress would not start here", with_causes(&error)),
            remedy,
        ),
        Err(error) => check.problem(with_causes(&error), remedy),
    }
}

fn expiry(check: Check, expires_at: Option<SystemTime>, now: SystemTime) -> Finding {
    let Some(expires_at) = expires_at else {
        return check.warning(
            "its expiry cannot be read",
            "check it with `openssl x509 -enddate`",
        );
    };
    let (status, found) = match expires_at.duration_since(now) {
        Ok(left) if left >= EXPIRY_WARNING => {
            (Status::Ok, format!("expires in {}", duration(left)))
        }
        Ok(left) => (Status::Warning, format!("expires in {}", duration(left))),
        Err(past) => (
            Status::Problem,
            format!("expired {} ago", duration(past.duration())),
        ),
    };
    let remedy = "renew it; the ingress reloads its certificate without a restart";
    check.judged(status, found, remedy)
}

#[cfg(test)]
mod tests {
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
            assert_eq!(expiry(AREA.check("c"), expires_at, now).status, status);
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
            let finding = encryption("redis", address, None);
            assert_eq!(finding.status, status, "{address}");
        }
    }
}
