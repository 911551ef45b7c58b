//! Fetches programs that some tests need and this machine lacks. They come from the archive of its distribution,
//! and apt-get checks them against the keys of this machine; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::checkout::{self, Checkout};
use crate::interrupt::Interrupted;
use crate::programs;
use crate::report::{self, Step};
use crate::task::run_logged;

/// `promtool`, for the tests of alert rules and scrapes.
pub(crate) const PROMTOOL: Fetched = Fetched {
    name: "promtool",
    folder: "prometheus",
    remedy: "install Prometheus, so that promtool is on the path",
    find: |folder| programs::find_promtool(&folder.join("usr/bin")),
    package: "prometheus",
    source: || programs::is_on_path("apt-get").then_some(Source::ThisRelease),
    finish: |_| Ok(()),
};

/// A program that some tests need.
pub(crate) struct Fetched {
    /// Its name for a developer, such as `a newer Redis`.
    pub(crate) name: &'static str,
    /// The folder in `.dev` for the fetched files.
    pub(crate) folder: &'static str,
    /// How a developer gets it otherwise.
    pub(crate) remedy: &'static str,
    /// Finds it on this machine or in that folder.
    pub(crate) find: fn(&Path) -> Option<PathBuf>,
    /// The package.
    pub(crate) package: &'static str,
    /// Where the package comes from.
    pub(crate) source: fn() -> Option<Source>,
    /// The last step, in the folder with the unpacked files.
    pub(crate) finish: fn(&Path) -> Result<()>,
}

/// Where a package comes from.
pub(crate) enum Source {
    /// The release of this machine, whose libraries it then fits.
    ThisRelease,
    /// Another release, named by a line of `sources.list`. Its libraries come from there too, because this
    /// machine's are too old.
    Release(String),
}

/// Skips the extra lists that some machines would fetch.
const NO_EXTRAS: [&str; 2] = [
    "-oAcquire::Languages=none",
    "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
];

impl Fetched {
    /// Finds it, or fetches it if `allowed`. Returns `None`, after a warning, if fetching failed: then only the
    /// tests that need it fail.
    pub(crate) fn find_or_fetch(
        &self,
        allowed: bool,
        checkout: &Checkout,
    ) -> Result<Option<PathBuf>> {
        let folder = checkout.dev()?.join(self.folder);
        if let Some(program) = (self.find)(&folder) {
            return Ok(Some(program));
        }
        let Self { name, remedy, .. } = self;
        ensure!(
            allowed,
            "some tests need {name}, which is missing; {remedy}"
        );
        report::say(format!(
            "some tests need {name}, which this machine lacks; fetching it into {} now",
            checkout.shown(&folder)
        ));
        let step = Step::start();
        let log = checkout.logs()?.join("fetch.log");
        let problem = match self.fetch(&folder, &log) {
            Ok(()) => "the fetched program does not run here, or is too old".to_owned(),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => format!("{error:#}"),
        };
        let program = (self.find)(&folder);
        if program.is_some() {
            step.done(format!("{name} is ready"));
        } else {
            report::complain(&format!(
                "the tests that need {name} will fail ({remedy}): {problem}"
            ));
        }
        Ok(program)
    }

    /// Fetches the packages and unpacks them.
    fn fetch(&self, folder: &Path, log: &Path) -> Result<()> {
        let source = (self.source)().context("only the archives of Debian and Ubuntu are known")?;
        // Under the name of this process until complete: others may be fetching too.
        let work = folder.with_extension(std::process::id().to_string());
        let unpacked = work.join("unpacked");
        let fetched = self
            .download(&source, &work, log)
            .and_then(|packages| unpack(&packages, &unpacked, log))
            .and_then(|()| (self.finish)(&unpacked))
            .and_then(|()| checkout::remove(folder))
            .and_then(|()| {
                fs::rename(&unpacked, folder)
                    .with_context(|| format!("cannot create {}", folder.display()))
            });
        checkout::remove(&work)?;
        fetched
    }

    /// Downloads the package, with its dependencies if it comes from another release, and returns the paths.
    fn download(&self, source: &Source, work: &Path, log: &Path) -> Result<Vec<PathBuf>> {
        let (lists, packages) = (work.join("lists"), work.join("packages"));
        for folder in [&lists, &packages] {
            checkout::create_passable(&folder.join("partial"))?;
        }
        // Separate lists: those of the system stay untouched, and may not exist.
        let mut options = vec![
            option("Dir::State", work),
            option("Dir::State::Lists", &lists),
            option("Dir::Cache", work),
            option("Dir::Cache::archives", &packages),
        ];
        let arguments: &[&str] = match source {
            Source::ThisRelease => &["download"],
            Source::Release(line) => {
                let (sources, installed) = (work.join("sources.list"), work.join("status"));
                // As if nothing were installed.
                for (path, content) in [(&sources, line.as_str()), (&installed, "")] {
                    fs::write(path, content)
                        .with_context(|| format!("cannot write {}", path.display()))?;
                }
                options.extend([
                    option("Dir::Etc::SourceList", &sources),
                    option("Dir::Etc::SourceParts", Path::new("/dev/null")),
                    option("Dir::State::status", &installed),
                ]);
                &[
                    "install",
                    "--download-only",
                    "--yes",
                    "--no-install-recommends",
                ]
            }
        };
        let apt_get = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            // `download` writes to the current folder.
            command.args(arguments).args(NO_EXTRAS).args(&options);
            run_logged(command.current_dir(&packages), log)
        };
        apt_get(&["update"])?;
        apt_get(&[arguments, &[self.package]].concat())?;
        let files = fs::read_dir(&packages)
            .with_context(|| format!("cannot read {}", packages.display()))?;
        Ok(files
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect())
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("-o{name}={}", path.display())
}

fn unpack(packages: &[PathBuf], folder: &Path, log: &Path) -> Result<()> {
    checkout::create_passable(folder)?;
    for package in packages {
        let mut command = Command::new("dpkg-deb");
        run_logged(command.arg("--extract").arg(package).arg(folder), log)?;
    }
    Ok(())
}
