//! Where on the host is its root directory really? readlink(2) of /proc/PID/root cannot tell: after
//! pivot_root(2) it says `/`. Its mounts can.

use super::mounts::Mount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Root {
    /// What the link says: not `/` after chroot(2) in the reader's mount namespace.
    pub link: String,
    /// The file system that is its root, and which directory of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The host's path of the same directory, of an overlay that of its upper layer; none when the host has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_host: Option<String>,
}

/// `mounts` are the process's, `host` the reader's.
pub fn find(link: String, mounts: &BTreeMap<String, Mount>, host: &BTreeMap<String, Mount>) -> Root {
    if link != "/" {
        return Root { on_host: Some(link.clone()), link, filesystem: None, directory: None };
    }
    let Some(root) = topmost(mounts, "/") else {
        return Root { link, filesystem: None, directory: None, on_host: None };
    };
    let on_host = match root.overlay.as_ref().and_then(|overlay| overlay.upper.clone()) {
        Some(upper) => Some(upper),
        None => on_host(root, host),
    };
    Root { link, filesystem: Some(root.filesystem.clone()), directory: Some(root.root.clone()), on_host }
}

/// Of the mounts stacked on one place, the one that is seen.
pub fn topmost<'a>(mounts: &'a BTreeMap<String, Mount>, place: &str) -> Option<&'a Mount> {
    let mut found = mounts.get(place)?;
    for number in 2.. {
        match mounts.get(&format!("{place}#{number}")) {
            Some(mount) => found = mount,
            None => break,
        }
    }
    Some(found)
}

/// The same file system, mounted on the host at the directory or above it; the nearest of those.
pub fn on_host(root: &Mount, host: &BTreeMap<String, Mount>) -> Option<String> {
    let place = |(at, mount): (&String, &Mount)| {
        let below = below(&root.root, &mount.root).filter(|_| mount.device == root.device)?;
        let at = at.split_once('#').map_or(at.as_str(), |(at, _)| at);
        let path = match (at, below) {
            (at, "") => at.to_owned(),
            ("/", below) => format!("/{below}"),
            (at, below) => format!("{at}/{below}"),
        };
        Some((mount.root.len(), path))
    };
    host.iter().filter_map(place).max_by_key(|(length, _)| *length).map(|(_, path)| path)
}

fn below<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(above.trim_end_matches('/'))?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

#[cfg(test)]
mod tests {
    use super::super::mounts::parse;
    use super::*;

    #[test]
    fn a_bind_mount_is_found_on_the_host_by_its_file_system() {
        let host = parse("1 0 8:1 / / rw - ext4 d rw\n2 1 8:1 /srv /mnt rw - ext4 d rw\n");
        let of = |text: &str| find("/".into(), &parse(text), &host).on_host;
        assert_eq!(of("9 8 8:1 /srv/root / rw - ext4 d rw\n").as_deref(), Some("/mnt/root"));
        assert_eq!(of("9 8 8:1 /home / rw - ext4 d rw\n").as_deref(), Some("/home"));
        assert_eq!(of("9 8 0:7 / / rw - tmpfs t rw\n"), None);
        assert_eq!(
            of("9 8 0:7 / / rw - overlay o rw,lowerdir=/l,upperdir=/u,workdir=/w\n").as_deref(),
            Some("/u")
        );
    }
}
