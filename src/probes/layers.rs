//! What is in each layer of its root? Read by the host, where the layers are directories: so that of each name
//! inside it can be said which layer it comes from, what was copied up, and what is hidden by a whiteout
//! (Documentation/filesystems/overlayfs.rst in the kernel).

use super::mounts::Mount;
use super::{Reading, entries, root, text};
use crate::kernel::Errno;
use crate::kernel::layer::{self, Marks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// One layer. Its name in the table is `upper`, or `lower 1` for the uppermost of those that are only read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    /// 0 for the uppermost of all: of each name that one is seen.
    pub order: usize,
    pub kind: Kind,
    /// As overlay was given it: a path of the host's.
    pub path: String,
    pub contents: Reading<Contents>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What is written goes there.
    Upper,
    Lower,
}

/// Of `upper` every entry, of the others the two highest levels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contents {
    /// By path in the layer: `directory`, `file`, `symlink` …; `whiteout` for a name that is gone from here on,
    /// `opaque directory` for one that hides what lower layers have of the name.
    pub entries: BTreeMap<String, String>,
    /// Of `upper`: the names that a layer below has, too, and the uppermost that does. A file was copied up from
    /// there, or made anew over it; a whiteout hides it.
    #[serde(default)]
    pub below: BTreeMap<String, String>,
    /// Directories that the reader may not look into.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, Errno>,
    /// There are more than are named here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// How far a layer is looked into.
#[derive(Clone, Copy)]
struct Bounds {
    levels: usize,
    each: usize,
    all: usize,
}

const UPPER: Bounds = Bounds { levels: 16, each: 200, all: 200 };
/// So often a name of `upper` is looked for in a layer below, all of them together.
const LOOKED_FOR: usize = 200;
const LOWER: Bounds = Bounds { levels: 2, each: 64, all: 300 };

/// The layers of the root; before it is the root, of the one overlay that the process has and the host has not.
/// None where there is no such overlay.
pub fn read(mounts: &BTreeMap<String, Mount>, host: &BTreeMap<String, Mount>) -> BTreeMap<String, Layer> {
    let Some((mount, overlay)) = find(mounts, host).and_then(|mount| Some((mount, mount.overlay.as_ref()?)))
    else {
        return BTreeMap::new();
    };
    let marks = match mount.options.iter().any(|option| option == "userxattr") {
        true => Marks::User,
        false => Marks::Trusted,
    };
    let mut layers = BTreeMap::new();
    let mut add = |name: String, order, kind, path: &str, contents| {
        let contents = Reading::new("getdents(2) on the host", contents);
        layers.insert(name, Layer { order, kind, path: path.to_owned(), contents });
    };
    if let Some(upper) = &overlay.upper {
        let mut contents = contents(upper, UPPER, marks, false);
        if let Ok(contents) = &mut contents {
            contents.below = below(&contents.entries, &overlay.lower, marks);
        }
        add("upper".to_owned(), 0, Kind::Upper, upper, contents);
    }
    let mut left = LOWER.all;
    for (at, path) in overlay.lower.iter().enumerate() {
        let layers_left = overlay.lower.len() - at;
        let bounds = Bounds { all: left / layers_left, ..LOWER };
        let contents = contents(path, bounds, marks, layers_left == 1);
        left = left.saturating_sub(contents.as_ref().map_or(0, |contents| contents.entries.len()));
        let order = at + usize::from(overlay.upper.is_some());
        add(lower_name(at), order, Kind::Lower, path, contents);
    }
    layers
}

fn find<'a>(mounts: &'a BTreeMap<String, Mount>, host: &BTreeMap<String, Mount>) -> Option<&'a Mount> {
    if let Some(root) = root::topmost(mounts, "/").filter(|root| root.overlay.is_some()) {
        return Some(root);
    }
    let is_own =
        |mount: &&Mount| mount.overlay.is_some() && !host.values().any(|hosts| hosts.device == mount.device);
    let mut own = mounts.values().filter(is_own);
    own.next().filter(|_| own.next().is_none())
}

fn lower_name(at: usize) -> String {
    format!("lower {}", at + 1)
}

/// Which of the names the lower layers have, and the uppermost that does.
fn below(names: &BTreeMap<String, String>, lower: &[String], marks: Marks) -> BTreeMap<String, String> {
    if names.is_empty() {
        return BTreeMap::new();
    }
    let lower: Vec<_> = lower.iter().map(|path| layer::Layer::open(path)).collect();
    let mut left = LOOKED_FOR;
    let mut has = |path: &str| {
        let (place, name) = path.rsplit_once('/').unwrap_or(("", path));
        for (at, layer) in lower.iter().enumerate() {
            left = left.checked_sub(1)?;
            let directory =
                layer.as_ref().ok().and_then(|layer| layer.directory(place.as_bytes(), marks).ok());
            let entry = directory.as_ref().and_then(|directory| directory.entry(name.as_bytes(), marks));
            if let Some(entry) = entry {
                return (!entry.whiteout).then(|| lower_name(at));
            }
            // Nothing of the layers below this one is seen here.
            if directory.is_some_and(|directory| directory.mark == Some(b'y')) {
                return None;
            }
        }
        None
    };
    names.keys().filter_map(|path| Some((path.clone(), has(path)?))).collect()
}

/// Level by level, so that what there is no room for is what lies deepest.
fn contents(path: &str, bounds: Bounds, marks: Marks, lowest: bool) -> Result<Contents, Errno> {
    let layer = layer::Layer::open(path)?;
    let mut found = Contents::default();
    let mut open = VecDeque::from([(Vec::new(), 1)]);
    while let Some((place, level)) = open.pop_front() {
        let is_root = place.is_empty();
        // Of the last level it is only asked whether they are opaque, which in the lowest layer means nothing.
        let listed = level <= bounds.levels;
        if !listed && lowest {
            continue;
        }
        let directory = match layer.directory(&place, marks) {
            Ok(directory) => directory,
            Err(errno) if is_root => return Err(errno),
            Err(errno) => {
                if listed {
                    found.refused.insert(text(&place), errno);
                }
                continue;
            }
        };
        if directory.mark == Some(b'y') && !is_root {
            found.entries.insert(text(&place), "opaque directory".to_owned());
        }
        if !listed {
            continue;
        }
        let room = bounds.each.min(bounds.all.saturating_sub(found.entries.len()));
        let (names, more) = match directory.entries(room, marks) {
            Ok(listed) => listed,
            Err(errno) if is_root => return Err(errno),
            Err(errno) => {
                found.refused.insert(text(&place), errno);
                continue;
            }
        };
        found.more |= more;
        for entry in names {
            let kind = if entry.whiteout { "whiteout" } else { entries::kind(entry.mode) };
            let mut path = place.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(entry.name);
            found.entries.insert(text(&path), kind.to_owned());
            if kind == "directory" {
                open.push_back((path, level + 1));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn bounds(levels: usize, each: usize, all: usize) -> Bounds {
        Bounds { levels, each, all }
    }

    #[test]
    fn links_are_not_followed_and_what_is_too_much_is_said() {
        let layer = tempfile::tempdir().unwrap();
        let path = layer.path().to_str().unwrap();
        fs::create_dir_all(layer.path().join("a/b/c")).unwrap();
        fs::write(layer.path().join("a/\u{1b}[2J\n"), "").unwrap();
        symlink("/etc", layer.path().join("etc")).unwrap();
        symlink(".", layer.path().join("loop")).unwrap();
        let seen = |bounds| contents(path, bounds, Marks::User, false).unwrap();
        let all = seen(bounds(2, 64, 300));
        let names: Vec<&str> = all.entries.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "a/\u{1b}[2J\n", "a/b", "etc", "loop"]);
        assert_eq!((all.entries["etc"].as_str(), all.more), ("symlink", false));
        assert_eq!(seen(bounds(16, 64, 300)).entries["a/b/c"], "directory");
        for bounds in [bounds(2, 2, 300), bounds(2, 64, 3)] {
            let some = seen(bounds);
            assert!(some.more && some.entries.len() < 5, "{some:?}");
        }
        assert_eq!(contents("relative", UPPER, Marks::User, false), Err(Errno::ENOENT));
    }

    #[test]
    fn the_overlay_is_the_roots_or_the_only_one_that_the_host_lacks() {
        let overlay = |device: &str, at: &str, upper: &str| {
            format!("1 0 {device} / {at} rw - overlay overlay rw,lowerdir=/l,upperdir={upper},workdir=/w\n")
        };
        let upper = |theirs: &str, hosts: &str| {
            let (theirs, hosts) = (super::super::mounts::parse(theirs), super::super::mounts::parse(hosts));
            find(&theirs, &hosts).and_then(|mount| mount.overlay.clone()?.upper)
        };
        let (hosts, one, two) =
            (overlay("0:9", "/d", "/h"), overlay("0:7", "/m", "/u"), overlay("0:8", "/n", "/v"));
        assert_eq!(upper(&[hosts.as_str(), &one].concat(), &hosts).as_deref(), Some("/u"));
        assert_eq!(upper(&[one.as_str(), &two].concat(), &hosts), None);
        assert_eq!(upper(&hosts, &hosts), None);
        let root = overlay("0:9", "/", "/r");
        assert_eq!(upper(&[root.as_str(), &one, &two].concat(), &root).as_deref(), Some("/r"));
    }
}
