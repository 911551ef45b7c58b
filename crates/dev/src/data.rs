//! The data that outlives an `up`, in `.dev` of the checkout, and whose it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checkout::{self, Checkout};
use crate::failure::{Result, While as _};
use crate::programs::Postgres;
use crate::unprivileged::Account;
use crate::{postgres, report};

/// The folder of PostgreSQL's data, made ready, and the account that runs it.
pub(crate) fn postgres_home(checkout: &Checkout) -> Result<(PathBuf, Option<Account>)> {
    let dev = checkout.dev()?;
    let link = dev.join("postgres");
    let account = Account::for_postgres()?;
    if let Some(account) = account.filter(|account| !account.can_reach(&dev)) {
        let outside = outside(&checkout.root);
        checkout::make_passable(&outside)?;
        if Account::owning(&outside).is_some() {
            return Err(format!(
                "{} belongs to another user; remove it and try again",
                outside.display()
            )
            .into());
        }
        let home = outside.join("postgres");
        if !home.is_dir() {
            postgres::make_home(&home, Some(account))?;
            report::say(format!(
                "PostgreSQL's account cannot reach this checkout, so its data is in {}",
                home.display()
            ));
        }
        // The link is for people; it may be there already.
        std::os::unix::fs::symlink(&home, &link).ok();
        return Ok((home, Some(account)));
    }
    if !link.is_dir() {
        postgres::make_home(&link, account)?;
    } else if account.is_none() && fs::read_dir(&link).is_err() {
        return Err(format!(
            "{} belongs to another user; remove it (`sudo rm -r {}`), or run `cargo dev` as the user who made it",
            checkout.shown(&link),
            checkout.shown(&link)
        )
        .into());
    }
    // Data that an ordinary user made stays that user's.
    let account = account.map(|account| Account::owning(&link).unwrap_or(account));
    Ok((link, account))
}

/// A place for a checkout that PostgreSQL's account cannot reach, the same each time.
fn outside(root: &Path) -> PathBuf {
    // FNV-1a: short, and the same in every version of this program.
    let digest = root
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, &byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    PathBuf::from(format!("/var/tmp/harkara-dev-{digest:016x}"))
}

/// The preferred PostgreSQL, or the one that made the data that is there.
pub(crate) fn matching<'a>(found: &'a [Postgres], home: &Path) -> Result<&'a Postgres> {
    let made_by = postgres::major_of_data(home);
    let matching = found
        .iter()
        .find(|programs| made_by.is_none_or(|major| programs.major == major));
    matching.ok_or_else(|| {
        let majors: Vec<String> = found
            .iter()
            .map(|programs| programs.major.to_string())
            .collect();
        format!(
            "the data in .dev/postgres was made by PostgreSQL {}, and only {} is installed; \
             `cargo dev up --fresh` begins with empty data",
            made_by.unwrap_or_default(),
            majors.join(", ")
        )
        .into()
    })
}

/// Throws the data of earlier runs away.
pub(crate) fn remove(checkout: &Checkout) -> Result<()> {
    let dev = checkout.dev()?;
    for folder in [
        dev.join("redis"),
        dev.join("postgres"),
        outside(&checkout.root),
    ] {
        let Ok(metadata) = fs::symlink_metadata(&folder) else {
            continue;
        };
        let removed = if metadata.is_symlink() {
            fs::remove_file(&folder)
        } else {
            fs::remove_dir_all(&folder)
        };
        removed.or_cannot(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_place_is_the_same_each_time_and_differs_by_checkout() {
        assert_eq!(outside(Path::new("/root/a")), outside(Path::new("/root/a")));
        assert_ne!(outside(Path::new("/root/a")), outside(Path::new("/root/b")));
    }

    #[test]
    fn data_is_run_by_the_version_that_made_it() {
        let programs = |major| Postgres {
            initdb: PathBuf::new(),
            server: PathBuf::new(),
            major,
        };
        let found = [programs(16), programs(15)];
        let nowhere = Path::new("/nonexistent");
        assert_eq!(matching(&found, nowhere).map(|it| it.major).ok(), Some(16));
    }
}
