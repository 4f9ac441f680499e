//! What is mounted where, as the process that was refused sees it? proc_pid_mountinfo(5).
//!
//! Next: [`super::files`].

use super::Scene;
use crate::probes::mounts::unescape;
use crate::step::{At, Kind, Step};
use std::path::{Path, PathBuf};

/// One line of mountinfo, as far as a cause can be in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    pub point: PathBuf,
    /// The flags of the mount itself: `ro,nosuid,noexec`.
    pub flags: String,
    pub shared: bool,
    pub fstype: String,
    /// The file system's own options.
    pub options: String,
}

/// mountinfo, without lines that are none.
pub fn parse(info: &str) -> Vec<Mount> {
    let line = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let mut right = right.split(' ');
        Some(Mount {
            point: unescape(left.get(4)?).into(),
            flags: (*left.get(5)?).to_owned(),
            shared: left.iter().skip(6).any(|field| field.starts_with("shared:")),
            fstype: right.next()?.to_owned(),
            options: right.nth(1).unwrap_or_default().to_owned(),
        })
    };
    info.lines().filter_map(line).collect()
}

impl Mount {
    pub fn has(&self, flag: &str) -> bool {
        self.flags.split(',').chain(self.options.split(',')).any(|known| known == flag)
    }
}

impl Scene<'_> {
    pub fn mounts(&self) -> Option<Vec<Mount>> {
        self.proc("mountinfo").map(|info| parse(&info))
    }

    /// The uppermost mount at this path, if one is there.
    pub fn mounted_at(&self, path: &Path) -> Option<Option<Mount>> {
        Some(self.mounts()?.into_iter().rev().find(|mount| mount.point == path))
    }

    pub fn is_mount_point(&self, path: &Path) -> Option<bool> {
        self.mounted_at(path).map(|mount| mount.is_some())
    }

    /// The mount that holds this path.
    pub fn mount_of(&self, path: &Path) -> Option<Mount> {
        let mounts = self.mounts()?;
        path.ancestors().find_map(|above| mounts.iter().rev().find(|mount| mount.point == above)).cloned()
    }

    /// Whether the mount that holds this path is shared.
    pub fn is_shared(&self, path: &Path) -> Option<bool> {
        self.mount_of(path).map(|mount| mount.shared)
    }

    pub fn fstype(&self, path: &Path) -> Option<String> {
        self.mount_of(path).map(|mount| mount.fstype)
    }

    /// The container's root as the process sees it: where its last handle on it was opened.
    pub fn root(&self) -> Option<PathBuf> {
        self.made().rev().find_map(|step| match step {
            Step::OpenRoot { path } => Some(path.clone()),
            _ => None,
        })
    }

    /// The path that the step is about, and whether it is inside the container's root.
    pub fn at_path(&self) -> Option<At> {
        match self.step() {
            Step::Mount { target: at, .. }
            | Step::Remount { target: at, .. }
            | Step::MountAttr { target: at, .. }
            | Step::MountPoint { path: at, .. }
            | Step::Write { path: at, .. }
            | Step::Mask { path: at }
            | Step::ReadOnly { path: at }
            | Step::Symlink { path: at, .. }
            | Step::Mknod { path: at, .. } => Some(at.clone()),
            Step::WorkingDirectory { path, .. } if self.root().is_some() => Some(At::Root(path.clone())),
            Step::OpenProc => Some(At::Root("/proc".into())),
            Step::Terminal { .. } => Some(At::Root("/dev/pts/ptmx".into())),
            Step::Mkdir { path, .. }
            | Step::Inherit { path }
            | Step::Rmdir { path }
            | Step::RemoveTree { path }
            | Step::RemoveGroup { path }
            | Step::WriteIfThere { path, .. }
            | Step::Create { path, .. }
            | Step::Chown { path, .. }
            | Step::Await { path, .. }
            | Step::OpenNamespace { path }
            | Step::Setns { path, .. }
            | Step::OpenRoot { path }
            | Step::Umount { target: path, .. }
            | Step::WorkingDirectory { path, .. }
            | Step::Chdir { path }
            | Step::Layers { store: path, .. } => Some(At::Host(path.clone())),
            _ => None,
        }
    }

    /// The same path, as the process's mountinfo has it.
    pub fn path(&self) -> Option<PathBuf> {
        let below = |path: &Path| path.strip_prefix("/").map_or_else(|_| path.to_owned(), Path::to_owned);
        Some(match self.at_path()? {
            At::Host(path) => path,
            At::Root(path) => self.root()?.join(below(&path)),
            At::Proc(path) => self.root()?.join("proc").join(path),
        })
    }

    /// What a bind mount shows.
    pub fn source(&self) -> Option<PathBuf> {
        match self.step() {
            Step::Mount { source: Some(source), fstype: None, .. } => Some(source.into()),
            Step::MountPoint { kind: Kind::AsSource, source, .. } => source.clone(),
            _ => None,
        }
    }

    /// The kind of file system that a mount asks for, and its options.
    pub fn asked_mount(&self) -> Option<(&str, &str)> {
        match self.step() {
            Step::Mount { fstype: Some(kind), data, .. } => Some((kind, data.as_deref().unwrap_or_default())),
            _ => None,
        }
    }

    pub fn asks_for(&self, fstype: &str) -> bool {
        self.asked_mount().is_some_and(|(kind, _)| kind == fstype)
    }

    /// The `gid=` or `uid=` of a mount's options that has no map in the process's user namespace.
    pub fn unmapped_option(&self) -> Option<bool> {
        let (_, data) = self.asked_mount()?;
        for option in data.split(',') {
            let Some((name, id)) = option.split_once('=') else { continue };
            let (Some(file), Ok(id)) = (map_of(name), id.parse()) else { continue };
            if !self.is_mapped(file, id)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// What is mounted over parts of the proc that we see: the kernel mounts no new one in a user namespace
    /// that would show what is hidden here (mount_too_revealing). binfmt_misc sits on an empty directory.
    pub fn covered_proc(&self) -> Option<Vec<PathBuf>> {
        let info = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let covered = parse(&info).into_iter().map(|mount| mount.point).filter(|point| {
            point.starts_with("/proc") && point != Path::new("/proc") && !point.ends_with("binfmt_misc")
        });
        Some(covered.collect())
    }

    /// The host's process lives in a root made by chroot(2): no mount is at "/" (unshare(2), EPERM).
    pub fn chrooted(&self) -> Option<bool> {
        let mounts = parse(&std::fs::read_to_string("/proc/self/mountinfo").ok()?);
        Some(!mounts.iter().any(|mount| mount.point == Path::new("/")))
    }

    /// Process 1 of this pid namespace has another root than we, who are in a chroot(2) then.
    pub fn is_process_1_elsewhere(&self) -> Option<bool> {
        use std::os::unix::fs::MetadataExt;
        let place = |root: &str| std::fs::metadata(root).ok().map(|about| (about.dev(), about.ino()));
        Some(place("/proc/1/root/")? != place("/")?)
    }

    /// The root of the machine is the initramfs, which pivot_root(2) cannot leave.
    pub fn in_initramfs(&self) -> Option<bool> {
        let mounts = parse(&std::fs::read_to_string("/proc/self/mountinfo").ok()?);
        let root = mounts.iter().rev().find(|mount| mount.point == Path::new("/"))?;
        Some(root.fstype == "rootfs")
    }

    /// The directories that overlay's options name: lower ones, upper and work.
    pub fn overlay_directories(&self) -> Vec<PathBuf> {
        let Some(("overlay", data)) = self.asked_mount() else { return Vec::new() };
        let values = split(data, ',').into_iter().filter_map(|option| {
            let (name, value) = option.split_once('=')?;
            ["lowerdir", "upperdir", "workdir"].contains(&name).then(|| value.to_owned())
        });
        values
            .flat_map(|value| split(&value, ':'))
            .map(|path| PathBuf::from(path.replace('\\', "")))
            .collect()
    }

    /// `upperdir=` of overlay's options.
    pub fn upper(&self) -> Option<PathBuf> {
        self.overlay_directories().into_iter().rev().nth(1)
    }
}

fn map_of(option: &str) -> Option<&'static str> {
    match option {
        "uid" => Some("uid_map"),
        "gid" => Some("gid_map"),
        _ => None,
    }
}

/// Split where the separator is not escaped by a backslash.
fn split(text: &str, by: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        match parts.last_mut() {
            Some(last) if c != by || escaped => last.push(c),
            _ => parts.push(String::new()),
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}
