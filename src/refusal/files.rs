//! What is in the way of a path? Each part of it is looked at, below the root that the refused process had.
//!
//! Next: [`super::program`].

use super::Scene;
use super::process::{DAC_OVERRIDE, DAC_READ_SEARCH};
use crate::kernel::fs::{self, Opened};
use crate::kernel::{Errno, ident, libc_flags as o};
use crate::step::At;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a path does not lead to anything, or not for this process.
#[derive(Clone, Debug, PartialEq)]
pub enum Obstacle {
    Missing(PathBuf),
    /// A file where a directory has to be.
    File(PathBuf),
    /// A symlink to what is not there.
    Dangling(PathBuf, PathBuf),
    /// A symlink that leads back to itself, or a magic one of procfs.
    Loop(PathBuf),
    /// A directory that this user may not pass through.
    Closed(PathBuf, u32, u32),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Obstacle::Missing(path) => write!(f, "{} is not there", path.display()),
            Obstacle::File(path) => write!(f, "{} is a file, where a directory has to be", path.display()),
            Obstacle::Dangling(link, to) => {
                write!(f, "{} is a symlink to {}, which is not there", link.display(), to.display())
            }
            Obstacle::Loop(path) => {
                write!(f, "{} is a symlink in a circle, or one of procfs that leads out", path.display())
            }
            Obstacle::Closed(path, uid, mode) => {
                write!(f, "{} is user {uid}'s with mode {mode:#o}: no way through for others", path.display())
            }
        }
    }
}

impl Scene<'_> {
    /// The root directory of the process that was refused.
    fn actors_root(&self) -> Option<Opened> {
        let root = format!("/proc/{}/root", self.actor()?);
        fs::open(Path::new(&root), o::O_PATH | o::O_DIRECTORY).ok()
    }

    /// The directory that a path is resolved below, as the step resolves it.
    fn base(&self, at: &At) -> Option<(Opened, PathBuf)> {
        let top = self.actors_root()?;
        match at {
            At::Host(path) => Some((top, path.clone())),
            At::Root(path) => {
                let root = fs::open_in(&top, &self.root()?, o::O_PATH | o::O_DIRECTORY, 0).ok()?;
                Some((root, path.clone()))
            }
            At::Proc(path) => {
                let proc =
                    fs::open_in(&top, &self.root()?.join("proc"), o::O_PATH | o::O_DIRECTORY, 0).ok()?;
                // `self` would be whoever looks, and nobody in a procfs of another namespace.
                let number = || Some(self.status("NSpid")?.split_whitespace().next_back()?.to_owned());
                let of_itself =
                    path.strip_prefix("self").ok().and_then(|rest| Some(Path::new(&number()?).join(rest)));
                Some((proc, of_itself.unwrap_or_else(|| path.clone())))
            }
        }
    }

    /// Open what a path leads to there, only to look at it.
    pub fn look(&self, at: &At) -> Option<Result<Opened, Errno>> {
        let (base, path) = self.base(at)?;
        Some(fs::open_in(&base, &path, o::O_PATH, 0))
    }

    /// Whether a path leads to a directory; `None` where it leads nowhere or cannot be told.
    pub fn is_directory(&self, at: &At) -> Option<bool> {
        Some(fs::fstat(&self.look(at)?.ok()?).ok()?.is_directory())
    }

    /// The first thing on the way that is not as it has to be.
    pub fn obstacle(&self, at: &At) -> Option<Obstacle> {
        let (base, path) = self.base(at)?;
        // Said from the root that the path is resolved in: the host's, or the container's.
        let top = Path::new(if matches!(at, At::Proc(_)) { "/proc" } else { "/" });
        let inside = |part: &Path| top.join(part);
        let mut way = PathBuf::new();
        let parts = crate::engine::root::clean(&path);
        let count = parts.components().count();
        for (number, part) in parts.components().enumerate() {
            let above = way.clone();
            way.push(part);
            match fs::open_in(&base, &way, o::O_PATH, 0) {
                Ok(found) => {
                    let directory = fs::fstat(&found).ok()?.is_directory();
                    if !directory && number + 1 < count {
                        return Some(Obstacle::File(inside(&way)));
                    }
                    if directory && number + 1 < count && self.may_search(&found) == Some(false) {
                        let about = std::fs::metadata(found.magic()).ok()?;
                        return Some(Obstacle::Closed(inside(&way), about.uid(), about.mode() & 0o7777));
                    }
                }
                Err(Errno::ENOENT) => {
                    let parent = fs::open_in(&base, &above, o::O_PATH | o::O_DIRECTORY, 0).ok()?;
                    let name = Path::new(&parent.magic()).join(part);
                    return Some(match std::fs::read_link(name) {
                        Ok(target) => Obstacle::Dangling(inside(&way), target),
                        Err(_) => Obstacle::Missing(inside(&way)),
                    });
                }
                Err(Errno::ENOTDIR) => return Some(Obstacle::File(inside(&above))),
                Err(Errno::ELOOP) => return Some(Obstacle::Loop(inside(&way))),
                Err(_) => return None,
            }
        }
        None
    }

    /// What is in the way of what the step is about, each once: of its path, of a bind mount's source, of
    /// overlay's directories.
    pub fn obstacles(&self) -> impl Iterator<Item = Obstacle> {
        let directories = self.overlay_directories().into_iter().chain(self.source());
        let all = directories.map(At::Host).chain(self.at_path());
        let mut found = Vec::new();
        for obstacle in all.filter_map(|at| self.obstacle(&at)) {
            if !found.contains(&obstacle) {
                found.push(obstacle);
            }
        }
        found.into_iter()
    }

    pub fn has_obstacle(&self, fits: fn(&Obstacle) -> bool) -> Option<bool> {
        Some(self.obstacles().any(|obstacle| fits(&obstacle)))
    }

    /// Whether the refused process may pass through this directory: owner, group and others, then the
    /// capabilities, which count only over ids that its user namespace maps.
    fn may_search(&self, directory: &Opened) -> Option<bool> {
        let about = std::fs::metadata(directory.magic()).ok()?;
        self.may(&about, 0o1)
    }

    /// The same for any permission bit: 4 to read, 2 to write, 1 to execute or search.
    pub fn may(&self, about: &std::fs::Metadata, bit: u32) -> Option<bool> {
        let id = |field: &str, nth: usize| -> Option<u32> {
            self.status(field)?.split_whitespace().nth(nth)?.parse().ok()
        };
        // The file system's ids are the fourth.
        let (uid, gid) = (id("Uid", 3)?, id("Gid", 3)?);
        let groups = self.status("Groups")?;
        let in_group = gid == about.gid() || groups.split_whitespace().any(|g| g.parse() == Ok(about.gid()));
        let shift = if uid == about.uid() { 6 } else { 3 * u32::from(in_group) };
        if about.mode() >> shift & bit == bit {
            return Some(true);
        }
        let reads = bit & 0o2 == 0 && (about.is_dir() || bit == 0o4) && self.has_cap(DAC_READ_SEARCH)?;
        let executes = bit != 0o1 || about.is_dir() || about.mode() & 0o111 != 0;
        if !(reads || executes && self.has_cap(DAC_OVERRIDE)?) {
            return Some(false);
        }
        Some(!self.has_own("user")? || self.outside_ids("uid_map")?.any(|ids| ids.contains(&about.uid())))
    }

    fn outside_ids(&self, file: &str) -> Option<impl Iterator<Item = std::ops::Range<u32>>> {
        let maps = crate::host::identity::parse_id_map(&self.proc(file)?);
        Some(maps.into_iter().map(|map| map.outside..map.outside.saturating_add(map.count)))
    }

    /// The nearest directory of the path that is there, as this process sees it.
    pub fn nearest(&self) -> Option<PathBuf> {
        let path = self.path()?;
        path.ancestors().find(|above| above.is_dir()).map(Path::to_owned)
    }

    /// No block or no inode is left on the file system of the path.
    pub fn is_full(&self) -> Option<bool> {
        let (blocks, files) = ident::space(&self.nearest()?)?;
        Some(blocks == 0 || files == 0)
    }

    /// The file system of the path is mounted read-only.
    pub fn is_read_only(&self) -> Option<bool> {
        self.mount_of(&self.path()?).map(|mount| mount.has("ro"))
    }

    /// Whether we may not make entries in the nearest directory of the path.
    pub fn not_ours(&self) -> Option<bool> {
        self.nearest().map(|dir| ident::writable(&dir) == Err(Errno::EACCES))
    }
}
