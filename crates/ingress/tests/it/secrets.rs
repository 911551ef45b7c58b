//! Secrets are rotated while the ingress runs, and it tells which ones are used.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_core::secret::{Fingerprint, Secret};
use harkara_testkit::wait_until;

use crate::http::{Request, get};
use crate::ingress::{Ingress, PATH, SECRET, UNSET};

const BOUND: Duration = Duration::from_secs(15);

/// A directory that is gone when the test is.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("harkara-secrets-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn ingress_with(file: &Path) -> Ingress {
    Ingress::start_with(&[
        ("endpoints.default.secrets", UNSET),
        ("endpoints.default.secrets_file", file.to_str().unwrap()),
        ("ingress.secrets_poll_ms", "10"),
    ])
    .await
}

async fn status(ingress: &Ingress, secret: &str) -> u16 {
    let request = Request::signed(PATH, secret, "{}");
    request.send(ingress.public).await.status
}

async fn until_accepted(ingress: &Ingress, secret: &str) {
    wait_until("the new secret is taken", BOUND, async || {
        status(ingress, secret).await == 200
    })
    .await;
}

async fn metric(ingress: &Ingress, name: &str) -> Option<u64> {
    let metrics = get(ingress.admin, "/metrics").await.body;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

fn fingerprint(secret: &str) -> String {
    Fingerprint::of(&Secret::new(secret)).to_string()
}

#[tokio::test]
async fn a_secret_is_rotated_by_its_file_without_a_restart() {
    let directory = Directory::new();
    let file = directory.path("secrets");
    std::fs::write(&file, "old\n").unwrap();
    let ingress = ingress_with(&file).await;
    assert_eq!(status(&ingress, "old").await, 200);
    assert_eq!(status(&ingress, "new").await, 401);

    std::fs::write(&file, "new\nold\n").unwrap();
    until_accepted(&ingress, "new").await;
    assert_eq!(status(&ingress, "old").await, 200);

    std::fs::write(&file, "new\n").unwrap();
    wait_until("the old secret is gone", BOUND, async || {
        status(&ingress, "old").await == 401
    })
    .await;
    assert_eq!(status(&ingress, "new").await, 200);
    let changed = r#"harkara_ingress_secrets_reloads_total{outcome="changed"}"#;
    assert_eq!(metric(&ingress, changed).await, Some(2));
    ingress.stop().await;
}

#[tokio::test]
async fn a_secret_is_rotated_by_a_link_that_is_swapped() {
    let directory = Directory::new();
    let mount = |version: &str, secrets: &str| {
        let versioned = directory.path(version);
        std::fs::create_dir(&versioned).unwrap();
        std::fs::write(versioned.join("secrets"), secrets).unwrap();
        let link = directory.path("next");
        std::os::unix::fs::symlink(&versioned, &link).unwrap();
        std::fs::rename(&link, directory.path("data")).unwrap();
    };
    mount("1", "old");
    std::os::unix::fs::symlink("data/secrets", directory.path("secrets")).unwrap();
    let ingress = ingress_with(&directory.path("secrets")).await;
    assert_eq!(status(&ingress, "old").await, 200);
    mount("2", "new");
    until_accepted(&ingress, "new").await;
    assert_eq!(status(&ingress, "old").await, 401);
    ingress.stop().await;
}

#[tokio::test]
async fn an_empty_unsound_or_missing_file_keeps_the_secrets_and_is_counted() {
    let directory = Directory::new();
    let file = directory.path("secrets");
    std::fs::write(&file, "good").unwrap();
    let ingress = ingress_with(&file).await;
    let breaks: [&dyn Fn(); 3] = [
        &|| std::fs::write(&file, "").unwrap(),
        &|| std::fs::write(&file, "bad\n\nbad").unwrap(),
        &|| std::fs::remove_file(&file).unwrap(),
    ];
    let failed = r#"harkara_ingress_secrets_reloads_total{outcome="failed"}"#;
    for break_it in breaks {
        let before = metric(&ingress, failed).await.unwrap();
        break_it();
        wait_until("the failure shows", BOUND, async || {
            metric(&ingress, failed).await.unwrap() > before + 2
        })
        .await;
        assert_eq!(status(&ingress, "good").await, 200);
        assert_eq!(status(&ingress, "bad").await, 401);
    }
    std::fs::write(&file, "better").unwrap();
    until_accepted(&ingress, "better").await;
    ingress.stop().await;
}

#[tokio::test]
async fn the_secret_that_matched_is_in_the_entry_and_in_metrics_until_it_is_gone() {
    let directory = Directory::new();
    let file = directory.path("secrets");
    std::fs::write(&file, "new,old").unwrap();
    let ingress = ingress_with(&file).await;
    for secret in ["old", "new", "old"] {
        assert_eq!(status(&ingress, secret).await, 200);
    }
    let entries = ingress.entries(Lane::Default).await;
    let recorded: Vec<String> = entries
        .iter()
        .map(|entry| entry.secret_fingerprint.unwrap().to_string())
        .collect();
    assert_eq!(recorded, ["old", "new", "old"].map(fingerprint));

    let labels = |secret: &str| {
        let fingerprint = fingerprint(secret);
        format!(r#"{{endpoint="default",secret="{fingerprint}"}}"#)
    };
    let used = |secret: &str| format!("harkara_ingress_secret_used_total{}", labels(secret));
    let last_used = format!(
        "harkara_ingress_secret_last_used_timestamp_seconds{}",
        labels("old")
    );
    assert_eq!(metric(&ingress, &used("old")).await, Some(2));
    assert_eq!(metric(&ingress, &used("new")).await, Some(1));
    let seconds = u64::try_from(entries[2].received_at.millis() / 1000).unwrap();
    assert_eq!(metric(&ingress, &last_used).await, Some(seconds));

    std::fs::write(&file, "whsec-newer,new").unwrap();
    until_accepted(&ingress, "whsec-newer").await;
    assert_eq!(metric(&ingress, &used("new")).await, Some(1));
    assert_eq!(metric(&ingress, &used("whsec-newer")).await, Some(1));
    assert_eq!(metric(&ingress, &used("old")).await, None);
    assert_eq!(metric(&ingress, &last_used).await, None);
    let metrics = get(ingress.admin, "/metrics").await.body;
    assert!(!metrics.contains(SECRET) && !metrics.contains("whsec-newer"));
    ingress.stop().await;
}
