//! No part of a password is printed, whatever URL it is in and whichever process reads it.

use std::process::Stdio;

use harkara_testkit::binaries_beside;

use crate::harkara::{Harkara, POSTGRES_URL, REDIS_URL, Ran, SECRETS, nowhere};

/// A shorter part of a password may be in any output by chance.
const PART_CHARS: usize = 4;

/// Passwords as operators paste them into a URL, and percent-encoded.
const PASSWORDS: [(&str, &str); 5] = [
    ("Zk8/q2+Lr==", "Zk8%2Fq2%2BLr%3D%3D"),
    ("S3krQt@Tail-9x", "S3krQt%40Tail-9x"),
    ("QXZJ#WKVQ?jjqz", "QXZJ%23WKVQ%3Fjjqz"),
    ("5432/QXZJ@WKVQ:6379", "5432%2FQXZJ%40WKVQ%3A6379"),
    ("QXZJ&WKVQ=jjqz;%", "QXZJ%26WKVQ%3Djjqz%3B%25"),
];

/// Asserts that a run failed and shows no part of a password.
fn assert_hides(ran: &Ran, password: &str, address: &str) {
    assert_ne!(ran.code, 0, "{ran:?}");
    let shown = format!("{} {}", ran.stdout(), ran.stderr).replace(address, "");
    let characters: Vec<char> = password.chars().collect();
    for part in characters.windows(PART_CHARS).map(String::from_iter) {
        // Ports that every message may name.
        let is_port = part == "5432" || part == "6379";
        assert!(
            is_port || !shown.contains(&part),
            "{part} is shown: {shown}"
        );
    }
}

#[tokio::test]
async fn no_command_and_no_service_prints_a_part_of_a_password() {
    let (redis, redis_address) = nowhere("redis");
    let (postgres, postgres_address) = nowhere("postgres");
    for (raw, encoded) in PASSWORDS {
        for text in [raw, encoded] {
            for (variable, scheme, address) in [
                (REDIS_URL, "redis", &redis_address),
                (POSTGRES_URL, "postgres", &postgres_address),
            ] {
                let harkara = Harkara::default()
                    .with(REDIS_URL, &redis)
                    .with(POSTGRES_URL, &postgres)
                    .with(SECRETS, "a-long-and-random-secret")
                    .with("HARKARA__WORKER__ADMIN_BIND", "127.0.0.1:0")
                    .with("HARKARA__INGRESS__BIND", "127.0.0.1:0")
                    .with("HARKARA__INGRESS__ADMIN_BIND", "127.0.0.1:0")
                    // Without an inbox the ingress needs Redis to start.
                    .with("HARKARA__INGRESS__INBOX_CONNECTIONS_MAX", "0")
                    .with(variable, &format!("{scheme}://keeper:{text}@{address}/0"));
                for command in ["doctor", "events", "lag", "migrate"] {
                    assert_hides(&harkara.run(command).await, raw, address);
                }
                let folder = binaries_beside(env!("CARGO_BIN_EXE_harkara"));
                for service in ["harkara-ingress", "harkara-worker"] {
                    let mut command = harkara.command(folder.join(service));
                    command.stdout(Stdio::piped()).stderr(Stdio::piped());
                    let ran = Ran::of(command.spawn().unwrap()).await;
                    assert_hides(&ran, raw, address);
                }
            }
        }
    }
}
