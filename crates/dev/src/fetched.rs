//! Programs that some tests need, fetched where this machine lacks them. They come from the archive of its
//! distribution, and apt-get checks them against the keys of this machine; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::{self, Checkout};
use crate::failure::{Failure, Result, While as _};
use crate::install;
use crate::report::{self, Step};

/// A program that some tests need.
pub(crate) struct Fetched {
    /// What it is to a developer, such as `a newer Redis`.
    pub(crate) name: &'static str,
    /// The folder in `.dev` that holds what was fetched.
    pub(crate) folder: &'static str,
    /// How a developer gets it otherwise.
    pub(crate) remedy: &'static str,
    /// Finds it on this machine or in that folder.
    pub(crate) find: fn(&Path) -> Option<PathBuf>,
    /// The package.
    pub(crate) package: &'static str,
    /// Where the package comes from.
    pub(crate) source: fn() -> Option<Source>,
    /// What is left to do in the folder with the unpacked files.
    pub(crate) finish: fn(&Path) -> Result<()>,
}

/// Where a package comes from.
pub(crate) enum Source {
    /// The release of this machine, whose libraries it then fits.
    ThisRelease,
    /// Another release, which a line for apt-get names. All that it needs comes from there too: this
    /// machine's libraries are too old.
    Release(String),
}

/// Without what some machines would fetch besides.
const NO_EXTRAS: [&str; 2] = [
    "-oAcquire::Languages=none",
    "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
];

impl Fetched {
    /// That of this machine, or of an earlier run, or one that is fetched now if that is `allowed`. Nothing
    /// where fetching has failed, which is told: then the tests that need it fail, and no others.
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
        if !allowed {
            return Err(format!("some tests need {name}, which is not there; {remedy}").into());
        }
        report::say(format!(
            "some tests need {name}, which this machine lacks; fetching it into {} now",
            checkout.shown(&folder)
        ));
        let step = Step::start();
        let log = checkout.logs()?.join("fetch.log");
        let why_not = match self.fetch(&folder, &log) {
            Ok(()) => "what was fetched does not run here, or is too old".to_owned(),
            Err(Failure::Said(sentence)) => sentence,
            Err(interrupted) => return Err(interrupted),
        };
        let program = (self.find)(&folder);
        if program.is_some() {
            step.done(format!("{name} is there"));
        } else {
            report::complain(&format!(
                "the tests that need {name} will fail ({remedy}): {why_not}"
            ));
        }
        Ok(program)
    }

    /// Fetches the packages and unpacks them.
    fn fetch(&self, folder: &Path, log: &Path) -> Result<()> {
        let source = (self.source)().ok_or("only the archives of Debian and Ubuntu are known")?;
        // Under the name of this process until it is whole: others may be fetching too.
        let work = folder.with_extension(std::process::id().to_string());
        let unpacked = work.join("unpacked");
        let fetched = self
            .download(&source, &work, log)
            .and_then(|packages| unpack(&packages, &unpacked, log))
            .and_then(|()| (self.finish)(&unpacked))
            .and_then(|()| remove(folder))
            .and_then(|()| {
                fs::rename(&unpacked, folder).or_cannot(|| format!("make {}", folder.display()))
            });
        remove(&work)?;
        fetched
    }

    /// Downloads the package, with all it needs where that comes from elsewhere too, and gives the paths.
    fn download(&self, source: &Source, work: &Path, log: &Path) -> Result<Vec<PathBuf>> {
        let (lists, packages) = (work.join("lists"), work.join("packages"));
        for folder in [&lists, &packages] {
            checkout::make_passable(&folder.join("partial"))?;
        }
        // Lists of its own: those of the system stay as they are, and need not be there.
        let mut options = vec![
            option("Dir::State", work),
            option("Dir::State::Lists", &lists),
            option("Dir::Cache", work),
            option("Dir::Cache::archives", &packages),
        ];
        let words = match source {
            Source::ThisRelease => vec!["download"],
            Source::Release(line) => {
                let (sources, installed) = (work.join("sources.list"), work.join("status"));
                fs::write(&sources, line).or_cannot(|| format!("write {}", sources.display()))?;
                // As if nothing were installed.
                fs::write(&installed, "").or_cannot(|| format!("write {}", installed.display()))?;
                options.extend([
                    option("Dir::Etc::SourceList", &sources),
                    option("Dir::Etc::SourceParts", Path::new("/dev/null")),
                    option("Dir::State::status", &installed),
                ]);
                vec![
                    "install",
                    "--download-only",
                    "--yes",
                    "--no-install-recommends",
                ]
            }
        };
        let apt_get = |words: &[&str]| {
            let mut command = Command::new("apt-get");
            // `download` writes to the folder that it is called in.
            command.args(words).args(NO_EXTRAS).args(&options);
            command.current_dir(&packages);
            run(command, log)
        };
        apt_get(&["update"])?;
        apt_get(&[&words[..], &[self.package]].concat())?;
        let files = fs::read_dir(&packages).or_cannot(|| format!("read {}", packages.display()))?;
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
    checkout::make_passable(folder)?;
    for package in packages {
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(package).arg(folder);
        run(command, log)?;
    }
    Ok(())
}

fn run(command: Command, log: &Path) -> Result<()> {
    let program = command.get_program().display().to_string();
    if install::run(command, log)? {
        return Ok(());
    }
    Err(format!("{program} failed{}", report::tail(log)).into())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_cannot(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
