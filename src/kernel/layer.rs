//! What is in one layer of an overlay, as the host reads it? Directories below an open one, never through a
//! symlink and never into another mount: overlay itself does not, and whoever runs in the container may have
//! named things as they like.
//!
//! What it means: `crate::probes::layers`.

use super::Errno;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// The directory that is the layer.
pub struct Layer(OwnedFd);

/// A directory in it.
pub struct Directory {
    fd: OwnedFd,
    /// How overlay has marked it: `y` hides what lower layers have of the name, `x` says that there may be
    /// whiteouts that are files.
    pub mark: Option<u8>,
}

/// Which attributes hold overlay's marks: `user` for mounts of a user namespace (the option userxattr).
#[derive(Clone, Copy)]
pub enum Marks {
    Trusted,
    User,
}

impl Marks {
    fn attribute(self, name: &str) -> String {
        match self {
            Marks::Trusted => format!("trusted.overlay.{name}"),
            Marks::User => format!("user.overlay.{name}"),
        }
    }
}

/// One name in a directory.
pub struct Entry {
    pub name: Vec<u8>,
    /// S_IF*.
    pub mode: u32,
    /// It says that the name is gone.
    pub whiteout: bool,
}

impl Layer {
    /// The path is overlay's own: the last part of it is a symlink where Docker made it.
    pub fn open(path: &str) -> Result<Layer, Errno> {
        // Relative to wherever its mounter was.
        if !path.starts_with('/') {
            return Err(Errno::ENOENT);
        }
        Ok(Layer(rustix::fs::openat(rustix::fs::CWD, path, DIRECTORY, Mode::empty())?))
    }

    /// A directory by its path in the layer; an empty one is the layer itself.
    pub fn directory(&self, path: &[u8], marks: Marks) -> Result<Directory, Errno> {
        let path = Path::new(OsStr::from_bytes(if path.is_empty() { b"." } else { path }));
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let fd = match rustix::fs::openat2(&self.0, path, DIRECTORY, Mode::empty(), beneath) {
            // Before Linux 5.6, or where a filter does not know it.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => self.step_by_step(path)?,
            other => other?,
        };
        let mut value = [0; 1];
        let mark = rustix::fs::fgetxattr(&fd, marks.attribute("opaque"), &mut value);
        let mark = mark.ok().filter(|length| *length == 1).map(|_| value[0]);
        Ok(Directory { fd, mark })
    }

    fn step_by_step(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let open = |at: &OwnedFd, name: &OsStr| rustix::fs::openat(at, name, flags, Mode::empty());
        let mut fd = open(&self.0, OsStr::new("."))?;
        for name in path {
            fd = open(&fd, name)?;
        }
        Ok(fd)
    }
}

impl Directory {
    /// Its entries, at most so many, and whether there were more.
    pub fn entries(&self, most: usize, marks: Marks) -> Result<(Vec<Entry>, bool), Errno> {
        let mut room = [MaybeUninit::uninit(); 8192];
        let mut list = RawDir::new(&self.fd, &mut room);
        let mut entries = Vec::new();
        while let Some(entry) = list.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() >= most {
                return Ok((entries, true));
            }
            let mut kind = entry.file_type();
            let mut device = None;
            // A device's number is looked at, and the type where the directory does not have it.
            if matches!(kind, FileType::CharacterDevice | FileType::Unknown)
                && let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            {
                (kind, device) = (FileType::from_raw_mode(stat.st_mode), Some(stat.st_rdev));
            }
            entries.push(self.told(name.to_bytes(), kind, device, marks));
        }
        Ok((entries, false))
    }

    /// One name in it, if there is such.
    pub fn entry(&self, name: &[u8], marks: Marks) -> Option<Entry> {
        let stat = rustix::fs::statat(&self.fd, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        Some(self.told(name, kind, Some(stat.st_rdev), marks))
    }

    fn told(&self, name: &[u8], kind: FileType, device: Option<u64>, marks: Marks) -> Entry {
        let whiteout = match kind {
            FileType::CharacterDevice => device == Some(0),
            FileType::RegularFile => self.mark == Some(b'x') && self.is_marked(name, marks),
            _ => false,
        };
        Entry { name: name.to_vec(), mode: kind.as_raw_mode(), whiteout }
    }

    /// The whiteouts of Linux 6.7 on where a layer is itself on an overlay: a file with this attribute.
    fn is_marked(&self, name: &[u8], marks: Marks) -> bool {
        let mut path = format!("/proc/self/fd/{}/", self.fd.as_raw_fd()).into_bytes();
        path.extend(name);
        rustix::fs::lgetxattr(OsStr::from_bytes(&path), marks.attribute("whiteout"), &mut [0; 8]).is_ok()
    }
}
