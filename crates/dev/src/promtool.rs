//! `promtool`, for the tests of alert rules and of what is scraped.

use std::path::{Path, PathBuf};

use crate::fetched::{Fetched, Source};
use crate::programs;

/// That of this machine, or a fetched one.
pub(crate) const PROMTOOL: Fetched = Fetched {
    name: "promtool",
    folder: "prometheus",
    remedy: "install Prometheus, so that promtool is on the path",
    find,
    package: "prometheus",
    source: || programs::is_on_path("apt-get").then_some(Source::ThisRelease),
    finish: |_| Ok(()),
};

fn find(folder: &Path) -> Option<PathBuf> {
    programs::find_promtool(&folder.join("usr/bin"))
}
