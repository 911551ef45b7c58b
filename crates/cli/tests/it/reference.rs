//! Pages of the documentation that the program generates.

use std::path::Path;

use crate::harkara::Harkara;

#[tokio::test]
async fn every_generated_page_is_checked_in_as_it_is_generated() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (page, file) in [
        ("events", "docs/events.md"),
        ("configuration", "docs/configuration.md"),
        ("settings-file", "deploy/harkara.toml"),
        ("cli", "docs/cli.md"),
        ("metrics", "docs/metrics.md"),
    ] {
        let generated = Harkara::default()
            .stdout(&format!("reference {page}"))
            .await;
        let checked_in = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(
            checked_in == generated,
            "{file} is out of date: `just docs` writes it"
        );
    }
}
