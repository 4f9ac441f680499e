//! Which ids besides its own may this user give to a container, and by whose help? A range is written
//! down in /etc/subuid; only newuidmap(1), which is privileged, may map it.
//!
//! Next: [`super::dirs`].

use crate::kernel::ident;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// `count` ids from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdRange {
    pub start: u32,
    pub count: u32,
}

/// newuidmap(1) or newgidmap(1), and how it comes by its privilege.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Helper {
    pub path: PathBuf,
    pub privilege: Privilege,
}

/// How a program file gets more privilege than the one who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    /// Its set-user-ID bit is set and root owns it.
    Setuid,
    /// It has file capabilities.
    FileCapabilities,
    /// Not at all: it will be refused.
    None,
}

/// The ranges of one user in subuid(5) or subgid(5), where lines are by name or by number. A range that
/// ends beyond the last id is no range; the last id itself (-1) is not one (user_namespaces(7)).
pub fn parse_ranges(text: &str, user: Option<&str>, uid: u32) -> Vec<IdRange> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let (who, start, count) = (fields.next()?, fields.next()?, fields.next()?);
            let ours = user == Some(who) || who.parse() == Ok(uid);
            let range = IdRange { start: start.parse().ok()?, count: count.parse().ok()? };
            let fits = range.start.checked_add(range.count).is_some() && range.count > 0;
            (ours && fits).then_some(range)
        })
        .collect()
}

/// Look for a helper in PATH, then where distributions have it.
pub fn find_helper(name: &str) -> Option<Helper> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/sbin", "/bin"].map(PathBuf::from);
    // An empty or relative entry of PATH would have us run whatever lies in the working directory.
    std::env::split_paths(&path).chain(usual).filter(|dir| dir.is_absolute()).find_map(|dir| {
        let path = dir.join(name);
        let file = path.metadata().ok().filter(|file| file.is_file() && file.mode() & 0o111 != 0)?;
        let privilege = if file.mode() & 0o4000 != 0 && file.uid() == 0 {
            Privilege::Setuid
        } else if ident::has_file_capabilities(&path) {
            Privilege::FileCapabilities
        } else {
            Privilege::None
        };
        Some(Helper { path, privilege })
    })
}
