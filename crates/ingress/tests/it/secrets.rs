//! Secrets are rotated while the ingress runs, and their use is counted.

use std::fs::{create_dir, remove_file, rename, write};
use std::os::unix::fs::symlink;

use harkara_core::lane::Lane;
use harkara_core::secret::{Fingerprint, Secret};
use harkara_testkit::{Folder, wait_until};

use crate::BOUND;
use crate::http::Request;
use crate::ingress::{Ingress, PATH, SECRET, UNSET};

/// An ingress with these secrets in a file, and that file.
async fn start(secrets: &str) -> (Ingress, Folder, String) {
    let folder = Folder::new();
    let file = folder.file("secrets");
    write(&file, secrets).unwrap();
    (ingress_with(&file).await, folder, file)
}

async fn ingress_with(file: &str) -> Ingress {
    Ingress::start_with(&[
        ("endpoints.default.secrets", UNSET),
        ("endpoints.default.secrets_file", file),
        ("ingress.secrets_poll_ms", "10"),
    ])
    .await
}

async fn assert_status(ingress: &Ingress, secret: &str, expected: u16) {
    assert_eq!(status(ingress, secret).await, expected, "{secret}");
}

async fn until_status(ingress: &Ingress, secret: &str, expected: u16) {
    wait_until(&format!("{secret}: {expected}"), BOUND, async || {
        status(ingress, secret).await == expected
    })
    .await;
}

async fn status(ingress: &Ingress, secret: &str) -> u16 {
    let request = Request::signed(PATH, secret, "{}");
    request.send(ingress.public).await.status
}

fn fingerprint(secret: &str) -> String {
    Fingerprint::of(&Secret::new(secret)).to_string()
}

#[tokio::test]
async fn a_secret_is_rotated_by_its_file_without_a_restart() {
    let (ingress, _folder, file) = start("old\n").await;
    assert_status(&ingress, "old", 200).await;
    assert_status(&ingress, "new", 401).await;

    write(&file, "new\nold\n").unwrap();
    until_status(&ingress, "new", 200).await;
    assert_status(&ingress, "old", 200).await;

    write(&file, "new\n").unwrap();
    until_status(&ingress, "old", 401).await;
    assert_status(&ingress, "new", 200).await;
    let changed = r#"harkara_ingress_secrets_reloads_total{outcome="changed"} 2"#;
    ingress.assert_metrics(&[changed]).await;
}

#[tokio::test]
async fn a_secret_is_rotated_by_a_link_that_is_swapped() {
    let folder = Folder::new();
    let mount = |version: &str, secrets: &str| {
        let versioned = folder.path().join(version);
        create_dir(&versioned).unwrap();
        write(versioned.join("secrets"), secrets).unwrap();
        symlink(&versioned, folder.file("next")).unwrap();
        rename(folder.file("next"), folder.file("data")).unwrap();
    };
    mount("1", "old");
    symlink("data/secrets", folder.file("secrets")).unwrap();
    let ingress = ingress_with(&folder.file("secrets")).await;
    assert_status(&ingress, "old", 200).await;
    mount("2", "new");
    until_status(&ingress, "new", 200).await;
    assert_status(&ingress, "old", 401).await;
}

#[tokio::test]
async fn an_empty_invalid_or_missing_file_keeps_the_secrets_and_is_counted() {
    let (ingress, _folder, file) = start("good").await;
    let breaks: [&dyn Fn(); 3] = [
        &|| write(&file, "").unwrap(),
        &|| write(&file, "bad\n\nbad").unwrap(),
        &|| remove_file(&file).unwrap(),
    ];
    let failed = r#"harkara_ingress_secrets_reloads_total{outcome="failed"}"#;
    for break_it in breaks {
        let before = ingress.metric(failed).await.unwrap();
        break_it();
        ingress.until_metric(failed, |n| n > before + 2).await;
        assert_status(&ingress, "good", 200).await;
        assert_status(&ingress, "bad", 401).await;
    }
    write(&file, "better").unwrap();
    until_status(&ingress, "better", 200).await;
}

#[tokio::test]
async fn the_secret_that_matched_is_in_the_entry_and_in_metrics_until_it_is_gone() {
    let (ingress, _folder, file) = start("new,old").await;
    for secret in ["old", "new", "old"] {
        assert_status(&ingress, secret, 200).await;
    }
    let entries = ingress.entries(Lane::Default).await;
    let recorded: Vec<String> = entries
        .iter()
        .map(|entry| entry.secret_fingerprint.unwrap().to_string())
        .collect();
    assert_eq!(recorded, ["old", "new", "old"].map(fingerprint));

    let labelled = |name: &str, secret: &str| {
        let fingerprint = fingerprint(secret);
        format!(r#"harkara_ingress_secret_{name}{{endpoint="default",secret="{fingerprint}"}}"#)
    };
    let used = |secret| labelled("used_total", secret);
    let last_used = labelled("last_used_timestamp_seconds", "old");
    let seconds = u64::try_from(entries[2].received_at.millis() / 1000).unwrap();
    for (name, value) in [
        (used("old"), 2),
        (used("new"), 1),
        (last_used.clone(), seconds),
    ] {
        assert_eq!(ingress.metric(&name).await, Some(value), "{name}");
    }

    write(&file, "whsec-newer,new").unwrap();
    until_status(&ingress, "whsec-newer", 200).await;
    for (name, value) in [
        (used("new"), Some(1)),
        (used("whsec-newer"), Some(1)),
        (used("old"), None),
        (last_used, None),
    ] {
        assert_eq!(ingress.metric(&name).await, value, "{name}");
    }
    let metrics = ingress.admin("/metrics").await.body;
    assert!(!metrics.contains(SECRET) && !metrics.contains("whsec-newer"));
}
