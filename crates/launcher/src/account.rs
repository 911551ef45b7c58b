//! PostgreSQL refuses to run as root; its files and processes then belong to an unprivileged account.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::LaunchError;
use crate::error::cannot;

/// The accounts to use, in order of preference.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An unprivileged account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account for PostgreSQL; `None` where we are not root, so that it can be our own.
    pub fn for_postgres() -> Result<Option<Self>, LaunchError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd =
            fs::read_to_string("/etc/passwd").map_err(cannot("read /etc/passwd".to_owned()))?;
        let account = CANDIDATES
            .into_iter()
            .find_map(|name| parse_passwd(&passwd, name));
        account.map(Some).ok_or(LaunchError::NoAccount)
    }

    /// The account that owns a folder; `None` for root.
    #[must_use]
    pub fn owning(folder: &Path) -> Option<Self> {
        let metadata = fs::metadata(folder).ok()?;
        (metadata.uid() != 0).then(|| Self {
            uid: metadata.uid(),
            gid: metadata.gid(),
        })
    }

    /// Makes a command run as this account, without our supplementary groups.
    pub fn run(self, command: &mut Command) {
        command.gid(self.gid).uid(self.uid);
    }

    /// Gives it a file or folder.
    pub fn own(self, path: &Path) -> Result<(), LaunchError> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(cannot(format!("change the owner of {}", path.display())))
    }

    /// Whether it may enter a folder and all those above it.
    #[must_use]
    pub fn can_reach(self, folder: &Path) -> bool {
        folder.ancestors().all(|ancestor| {
            fs::metadata(ancestor).is_ok_and(|it| self.may_enter(it.mode(), it.uid(), it.gid()))
        })
    }

    fn may_enter(self, mode: u32, owner: u32, group: u32) -> bool {
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

/// The ids of an account in the text of `/etc/passwd`, unless they are root's. A negative number (the `nobody`
/// of macOS) is read as the system does.
fn parse_passwd(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2).map(|field| {
        let negative = |_| field.parse::<i32>().map(i32::cast_unsigned);
        field.parse::<u32>().or_else(negative).ok()
    });
    let account = Account {
        uid: ids.next()??,
        gid: ids.next()??,
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
    fn accounts_are_found_by_their_whole_name_and_root_never() {
        for (name, ids) in [
            ("postgres", Some((101, 104))),
            ("post", None),
            ("nobody", Some((4_294_967_294, 4_294_967_294))),
            ("root", None),
        ] {
            let expected = ids.map(|(uid, gid)| Account { uid, gid });
            assert_eq!(parse_passwd(PASSWD, name), expected, "{name}");
        }
    }

    #[test]
    fn private_folders_of_others_cannot_be_entered() {
        let account = Account { uid: 101, gid: 104 };
        assert!(!account.may_enter(0o700, 0, 0));
        assert!(account.may_enter(0o711, 0, 0));
        assert!(account.may_enter(0o700, 101, 0));
        assert!(account.may_enter(0o710, 0, 104));
    }
}
