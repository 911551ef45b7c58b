//! PostgreSQL refuses to run as root: then its files and processes belong to an account without
//! privileges.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::failure::{Result, While as _};

/// The accounts that may be lent, the first that exists.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An account without privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account for PostgreSQL, or nothing when we are not root and it can be our own.
    pub(crate) fn for_postgres() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd =
            fs::read_to_string("/etc/passwd").or_cannot(|| "read /etc/passwd".to_owned())?;
        let account = CANDIDATES
            .into_iter()
            .find_map(|name| parse_passwd(&passwd, name));
        account.map(Some).ok_or_else(|| {
            "PostgreSQL refuses to run as root, and neither `postgres` nor `nobody` is in /etc/passwd; \
             run `cargo dev` as an ordinary user"
                .into()
        })
    }

    /// The account that owns a folder, unless that is root.
    pub(crate) fn owning(folder: &Path) -> Option<Self> {
        let metadata = fs::metadata(folder).ok()?;
        (metadata.uid() != 0).then(|| Self {
            uid: metadata.uid(),
            gid: metadata.gid(),
        })
    }

    /// Makes a command run as this account, without our supplementary groups.
    pub(crate) fn run(self, command: &mut Command) {
        command.gid(self.gid).uid(self.uid);
    }

    /// Gives it a file or folder.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .or_cannot(|| format!("change the owner of {}", path.display()))
    }

    /// Whether it may pass through a folder and all those above it.
    pub(crate) fn can_reach(self, folder: &Path) -> bool {
        folder.ancestors().all(|ancestor| {
            fs::metadata(ancestor).is_ok_and(|metadata| {
                self.may_pass(metadata.mode(), metadata.uid(), metadata.gid())
            })
        })
    }

    fn may_pass(self, mode: u32, owner: u32, group: u32) -> bool {
        let bit = if self.uid == owner {
            0o100
        } else if self.gid == group {
            0o010
        } else {
            0o001
        };
        mode & bit != 0
    }
}

/// The numbers of an account in the text of `/etc/passwd`; a negative number (macOS's `nobody`) is
/// read as the system does.
fn parse_passwd(text: &str, name: &str) -> Option<Account> {
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let mut number = || {
        let field = fields.next()?;
        field
            .parse::<u32>()
            .or_else(|_| field.parse::<i32>().map(i32::cast_unsigned))
            .ok()
    };
    let account = Account {
        uid: number()?,
        gid: number()?,
    };
    (account.uid != 0).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n\
        postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn account_is_found_by_its_whole_name() {
        assert_eq!(
            parse_passwd(PASSWD, "postgres"),
            Some(Account { uid: 101, gid: 104 })
        );
        assert_eq!(parse_passwd(PASSWD, "post"), None);
    }

    #[test]
    fn negative_numbers_are_read_as_the_system_does() {
        let account = Account {
            uid: 4_294_967_294,
            gid: 4_294_967_294,
        };
        assert_eq!(parse_passwd(PASSWD, "nobody"), Some(account));
    }

    #[test]
    fn root_is_never_lent() {
        assert_eq!(parse_passwd(PASSWD, "root"), None);
    }

    #[test]
    fn private_folder_of_another_cannot_be_passed() {
        let account = Account { uid: 101, gid: 104 };
        assert!(!account.may_pass(0o700, 0, 0));
        assert!(account.may_pass(0o711, 0, 0));
        assert!(account.may_pass(0o700, 101, 0));
        assert!(account.may_pass(0o710, 0, 104));
    }
}
