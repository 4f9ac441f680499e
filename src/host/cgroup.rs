//! Where can a control group of ours be made, and with which controllers? /proc/self/cgroup says where we
//! are, mountinfo where each hierarchy can be seen; what is delegated is seen by who may write.
//!
//! Next: `crate::spec`, which turns `cgroupsPath` into places.

use super::read;
use crate::kernel::{ident, lock};
use crate::probes::mounts::unescape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// All hierarchies of control groups that are mounted here (cgroups(7)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cgroups {
    pub mode: Mode,
    pub hierarchies: Vec<Hierarchy>,
}

/// Which versions are mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    V1,
    /// Version 1 for the controllers, and version 2 beside it.
    Hybrid,
    V2,
    #[default]
    None,
}

/// One hierarchy: with version 1 there are several, with version 2 there is one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hierarchy {
    /// 1 or 2.
    pub version: u8,
    /// Its controllers: with version 2, those in `cgroup.controllers` at `parent`.
    pub controllers: Vec<String>,
    /// `systemd` for a hierarchy without controllers that was mounted with `name=systemd`.
    pub name: Option<String>,
    pub mount: PathBuf,
    /// The group that is seen at `mount`: `/`, but for a bind mount of a part.
    pub root: String,
    /// The group that we are in, as /proc/self/cgroup names it.
    pub own: String,
    /// Mounted with `nsdelegate`: a cgroup namespace is a border of delegation (cgroups(7)).
    pub nsdelegate: bool,
    /// Where a group of ours is made.
    pub parent: Parent,
}

/// The group below which ours are made: the root of the mount for one who may write there, else the
/// nearest group above us that was delegated to us and has no process in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Parent {
    /// As /proc/self/cgroup would name it.
    pub path: String,
    pub dir: PathBuf,
    /// A group can be made there, and a process moved into it.
    pub writable: bool,
    /// Version 2: it is the machine's own root group, which may have processes and controllers.
    pub root: bool,
    /// Version 2: the controllers that groups below it have already (`cgroup.subtree_control`).
    pub enabled: Vec<String>,
    /// Version 2: we may write to `cgroup.subtree_control`.
    pub can_enable: bool,
    /// Version 2: processes are in it, so its controllers cannot be enabled before they have left for a
    /// group below (cgroups(7), "no internal processes").
    pub occupied: bool,
}

/// The controllers of the default container's limits.
const LIMITING: [&str; 3] = ["cpu", "memory", "pids"];

/// Where one group would be, in one hierarchy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Which of [`Cgroups::hierarchies`].
    pub hierarchy: usize,
    pub version: u8,
    pub controllers: Vec<String>,
    /// The group's name, as /proc/PID/cgroup will have it.
    pub path: String,
    /// The directory to make.
    pub dir: PathBuf,
    /// The directory from which on the group is ours: everything between it and `dir` has to be made, and
    /// with version 2 the controllers enabled in each.
    pub parent: PathBuf,
    pub writable: bool,
}

impl Cgroups {
    pub fn look() -> Cgroups {
        let mut found = assemble(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        for hierarchy in &mut found.hierarchies {
            hierarchy.look();
        }
        found
    }

    /// The hierarchy that has this controller.
    pub fn controller(&self, name: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.controllers.iter().any(|known| known == name))
    }

    /// The hierarchy of version 2.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.version == 2)
    }

    /// Where a group with this `cgroupsPath` (OCI runtime spec) is in each hierarchy: an absolute one from
    /// the mount on, a relative one below [`Hierarchy::parent`]. `..` leads nowhere, and a name with
    /// nothing in it has no place: the parent itself is never ours.
    pub fn place(&self, name: &str) -> Vec<Place> {
        let inner = normal(name);
        if inner.as_os_str().is_empty() {
            return Vec::new();
        }
        let absolute = name.starts_with('/');
        let place = |(index, hierarchy): (usize, &Hierarchy)| {
            let (path, parent) = match absolute {
                true => (&hierarchy.root, &hierarchy.mount),
                false => (&hierarchy.parent.path, &hierarchy.parent.dir),
            };
            Place {
                hierarchy: index,
                version: hierarchy.version,
                controllers: hierarchy.controllers.clone(),
                path: Path::new(path).join(&inner).to_string_lossy().into_owned(),
                dir: parent.join(&inner),
                parent: parent.clone(),
                writable: hierarchy.parent.writable && (!absolute || *parent == hierarchy.parent.dir),
            }
        };
        self.hierarchies.iter().enumerate().map(place).collect()
    }
}

impl Hierarchy {
    /// Our own group's directory, where the mount shows it.
    pub fn own_dir(&self) -> Option<PathBuf> {
        below(&self.own, &self.root).map(|inner| self.mount.join(inner))
    }

    /// The mount shows what is above our cgroup namespace, and nobody may move a process over its border.
    pub fn is_beyond_a_border(&self) -> bool {
        self.version == 2 && self.nsdelegate && self.root.starts_with("/..")
    }

    /// Find the parent, by asking what may be written.
    fn look(&mut self) {
        let own = self.own_dir().unwrap_or_else(|| self.mount.clone());
        let above = own.ancestors().take_while(|dir| dir.starts_with(&self.mount) && **dir != *self.mount);
        let top = std::iter::once(self.mount.as_path());
        let mut open: Vec<Parent> =
            top.chain(above).map(|dir| self.parent_at(dir)).filter(|parent| parent.writable).collect();
        let controllers = |parent: &Parent| words(&read(parent.dir.join("cgroup.controllers")));
        // The nearest may have less than one further up: systemd hands on only what somebody asked for.
        let all = |parent: &Parent| {
            let has = controllers(parent);
            LIMITING.iter().all(|name| has.iter().any(|known| known == name))
        };
        let free = |parent: &Parent| !parent.occupied;
        let best = (open.first().filter(|first| free(first)).map(|_| 0))
            .or_else(|| open.iter().position(|parent| free(parent) && all(parent)))
            .or_else(|| open.iter().position(free))
            .unwrap_or(0);
        self.parent = if best < open.len() { open.swap_remove(best) } else { self.parent_at(&self.mount) };
        self.parent.writable &= !self.is_beyond_a_border();
        if self.version == 2 {
            self.controllers = controllers(&self.parent);
            if self.parent.can_enable {
                // What is read after that stays until we have ended.
                lock::share(&self.parent.dir);
                self.parent.enabled = words(&read(self.parent.dir.join("cgroup.subtree_control")));
            }
        }
    }

    /// Whether a group of ours would have this controller: it is enabled, or we can enable it.
    pub fn gives(&self, controller: &str) -> bool {
        let parent = &self.parent;
        parent.writable
            && (self.version == 1
                || parent.enabled.iter().any(|name| name == controller)
                || (parent.can_enable && !parent.occupied))
    }

    fn parent_at(&self, dir: &Path) -> Parent {
        let may_write = |file: &str| ident::writable(&dir.join(file)).is_ok();
        let inner = dir.strip_prefix(&self.mount).unwrap_or(Path::new(""));
        let mut parent = Parent {
            path: Path::new(&self.root).join(inner).to_string_lossy().into_owned(),
            dir: dir.to_owned(),
            writable: ident::writable(dir).is_ok(),
            ..Parent::default()
        };
        if parent.path.len() > 1 && parent.path.ends_with('/') {
            parent.path.pop();
        }
        if self.version == 2 {
            // Moving a process needs write access to the nearest group above both its places.
            parent.writable &= may_write("cgroup.procs");
            // Every group but the root has a type.
            parent.root = !dir.join("cgroup.type").exists();
            parent.can_enable = may_write("cgroup.subtree_control");
            parent.enabled = words(&read(dir.join("cgroup.subtree_control")));
            parent.occupied = !parent.root && !read(dir.join("cgroup.procs")).is_empty();
        }
        parent
    }
}

/// What the two files say together, before anything is tried: hierarchies that are mounted and that we
/// are in.
pub fn assemble(memberships: &str, mountinfo: &str) -> Cgroups {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    let hierarchies: Vec<Hierarchy> = memberships
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, kind, own) = (fields.next()?, fields.next()?, fields.next()?);
            let own = own.strip_suffix(" (deleted)").unwrap_or(own).to_owned();
            let unified = number == "0" && kind.is_empty();
            let fits = |mount: &&Mount| match unified {
                true => mount.version == 2,
                false => mount.version == 1 && kind.split(',').all(|word| mount.has(word)),
            };
            // Several mounts may show it; one that shows our own group is of more use.
            let mount = (mounts.iter().filter(fits).find(|mount| below(&own, &mount.root).is_some()))
                .or_else(|| mounts.iter().find(fits))?;
            let name = kind.strip_prefix("name=").map(String::from);
            let controllers = kind.split(',').filter(|word| !word.is_empty() && !word.starts_with("name="));
            Some(Hierarchy {
                version: mount.version,
                controllers: controllers.map(String::from).collect(),
                name,
                mount: mount.dir.clone(),
                root: mount.root.clone(),
                own,
                nsdelegate: mount.has("nsdelegate"),
                parent: Parent::default(),
            })
        })
        .collect();
    let has = |version| hierarchies.iter().any(|hierarchy| hierarchy.version == version);
    let mode = match (has(1), has(2)) {
        (true, true) => Mode::Hybrid,
        (true, false) => Mode::V1,
        (false, true) => Mode::V2,
        (false, false) => Mode::None,
    };
    Cgroups { mode, hierarchies }
}

/// A mount of a hierarchy: a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
struct Mount {
    version: u8,
    root: String,
    dir: PathBuf,
    options: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Mount> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        let version = match right.next()? {
            "cgroup" => 1,
            "cgroup2" => 2,
            _ => return None,
        };
        let (root, dir) = (unescape(left.next()?), unescape(left.next()?));
        Some(Mount { version, root, dir: dir.into(), options: right.nth(1)?.to_owned() })
    }

    fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|known| known == option)
    }
}

/// The way from the group `root` down to `path`.
fn below(path: &str, root: &str) -> Option<PathBuf> {
    Path::new(path).strip_prefix(root).ok().map(|inner| normal(&inner.to_string_lossy()))
}

/// The path's own components, with neither `/` at the beginning nor a way up.
fn normal(path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => _ = clean.pop(),
            _ => {}
        }
    }
    clean
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}
