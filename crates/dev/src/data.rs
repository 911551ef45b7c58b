//! The data that outlives an `up`, in `.dev` of the checkout, and its owner.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use harkara_launcher::{Account, Postgres};

use crate::checkout::{self, Checkout};
use crate::programs::PostgresPrograms;
use crate::report;

/// PostgreSQL with its data from earlier runs or with an empty home, run by the version that made the data.
pub(crate) fn postgres(
    checkout: &Checkout,
    found: &[PostgresPrograms],
    port: u16,
) -> Result<(Postgres, u32)> {
    let dev = checkout.dev()?;
    let link = dev.join("postgres");
    let mut postgres = Postgres {
        programs: PathBuf::new(),
        home: link.clone(),
        account: Account::for_postgres()?,
        port,
        settings: Vec::new(),
    };
    let unreachable = |account: Account| !account.can_reach(&dev);
    if postgres.account.is_some_and(unreachable) {
        let outside = outside(&checkout.root);
        checkout::create_passable(&outside)?;
        ensure!(
            Account::owning(&outside).is_none(),
            "{} belongs to another user; remove it and try again",
            outside.display()
        );
        postgres.home = outside.join("postgres");
        if !postgres.home.is_dir() {
            postgres.create_home()?;
            report::say(format!(
                "PostgreSQL's account cannot reach this checkout, so its data is in {}",
                postgres.home.display()
            ));
        }
        // The link is for people; it may exist already.
        std::os::unix::fs::symlink(&postgres.home, &link).ok();
    } else if !link.is_dir() {
        postgres.create_home()?;
    } else if postgres.account.is_none() && fs::read_dir(&link).is_err() {
        let link = checkout.shown(&link);
        bail!(
            "{link} belongs to another user; remove it (`sudo rm -r {link}`), or run `cargo dev` as the user who \
             created it"
        );
    } else if postgres.account.is_some() {
        // Data that an ordinary user made stays that user's.
        postgres.account = Account::owning(&link).or(postgres.account);
    }
    let programs = matching(found, &postgres.data())?;
    postgres.programs.clone_from(&programs.folder);
    Ok((postgres, programs.major))
}

/// A folder for a checkout that PostgreSQL's account cannot reach, the same each time.
fn outside(root: &Path) -> PathBuf {
    // FNV-1a: short, and the same in every version of this program.
    let bytes = root.as_os_str().as_encoded_bytes().iter();
    let digest = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |digest, &byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    PathBuf::from(format!("/var/tmp/harkara-dev-{digest:016x}"))
}

/// The PostgreSQL that made the data, or the preferred one if there is no data.
fn matching<'a>(found: &'a [PostgresPrograms], data: &Path) -> Result<&'a PostgresPrograms> {
    let version = fs::read_to_string(data.join("PG_VERSION")).ok();
    let made_by: Option<u32> = version.and_then(|version| version.trim().parse().ok());
    let mut matching = found.iter();
    matching
        .find(|programs| made_by.is_none_or(|major| programs.major == major))
        .with_context(|| {
            let installed: Vec<String> = found.iter().map(|it| it.major.to_string()).collect();
            format!(
                "the data in .dev/postgres was made by PostgreSQL {}, and only {} is installed; \
                 `cargo dev up --fresh` starts with empty data",
                made_by.unwrap_or_default(),
                installed.join(", ")
            )
        })
}

/// Deletes the data of earlier runs.
pub(crate) fn remove(checkout: &Checkout) -> Result<()> {
    let dev = checkout.dev()?;
    checkout::remove(&dev.join("redis"))?;
    checkout::remove(&dev.join("postgres"))?;
    checkout::remove(&outside(&checkout.root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_folder_is_stable_and_differs_by_checkout() {
        assert_eq!(outside(Path::new("/root/a")), outside(Path::new("/root/a")));
        assert_ne!(outside(Path::new("/root/a")), outside(Path::new("/root/b")));
    }

    #[test]
    fn without_data_the_preferred_version_is_used() {
        let found = [16, 15].map(|major| PostgresPrograms {
            folder: PathBuf::new(),
            major,
        });
        let matching = matching(&found, Path::new("/nonexistent"));
        assert_eq!(matching.map(|it| it.major).ok(), Some(16));
    }
}
