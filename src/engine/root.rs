//! How does the child work inside the root file system? It keeps a descriptor of it and resolves every
//! path below that, whatever symlinks an image holds.
//!
//! Next: `child`, whose steps these are.

use crate::kernel::fs::{self, Opened};
use crate::kernel::{Errno, libc_flags as o};
use crate::step::Kind;
use std::path::{Component, Path, PathBuf};

/// `path` as seen from the root: absolute, `.` and `..` resolved by name, never above `/`.
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    clean
}

/// Open the parent of `path` and give the last name, for calls that make something there.
pub fn parent(root: &Opened, path: &Path) -> Result<(Opened, PathBuf), Errno> {
    let path = clean(path);
    let name = path.file_name().ok_or(Errno::EEXIST)?;
    let above = directory(root, path.parent().unwrap_or_else(|| Path::new("")))?;
    Ok((above, PathBuf::from(name)))
}

/// Open a directory inside the root; made with those above it where it is missing.
pub fn directory(root: &Opened, path: &Path) -> Result<Opened, Errno> {
    let path = clean(path);
    let open = || fs::open_in(root, &path, o::O_PATH | o::O_DIRECTORY, 0);
    let missing = open();
    let (Err(Errno::ENOENT), Some(above), Some(name)) = (&missing, path.parent(), path.file_name()) else {
        return missing;
    };
    match fs::mkdir(&directory(root, above)?, Path::new(name), 0o755) {
        Ok(()) | Err(Errno::EEXIST) => open(),
        Err(errno) => Err(errno),
    }
}

/// Make sure that `path` can be mounted on, as a directory or a file; `None` when it was there.
pub fn mount_point(
    root: &Opened,
    path: &Path,
    kind: Kind,
    source: Option<&Path>,
) -> Result<Option<String>, Errno> {
    let path = clean(path);
    match fs::open_in(root, &path, o::O_PATH, 0) {
        Ok(_) => return Ok(None),
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    let directory = match (kind, source) {
        (Kind::Directory, _) | (Kind::AsSource, None) => true,
        (Kind::File, _) => false,
        (Kind::AsSource, Some(source)) => fs::fstat(&fs::open(source, o::O_PATH)?)?.is_directory(),
    };
    if directory {
        self::directory(root, &path)?;
    } else {
        parent(root, &path)?;
        fs::open_in(root, &path, o::O_CREAT | o::O_EXCL | o::O_WRONLY | o::O_NOFOLLOW, 0o644)?;
    }
    Ok(Some("made".to_owned()))
}

/// Cover a path, so that nothing of it can be read: a file with the container's /dev/null, a directory with
/// an empty read-only tmpfs. Says so when there is nothing to cover.
pub fn mask(root: &Opened, path: &Path) -> Result<Option<String>, Errno> {
    let target = match fs::open_in(root, path, o::O_PATH, 0) {
        Ok(target) => target,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Some("not there, nothing to mask".to_owned())),
        Err(errno) => return Err(errno),
    };
    if fs::fstat(&target)?.is_directory() {
        fs::mount_on(Some("tmpfs"), &target, Some("tmpfs"), o::MS_RDONLY, None)?;
        return Ok(None);
    }
    let null = fs::open_in(root, Path::new("dev/null"), o::O_PATH, 0)?;
    // An image, or another container that shares the volume, could have put anything in its place: what
    // covers must be the real one (CVE-2025-31133).
    if !fs::fstat(&null)?.is_char(1, 3) {
        return Err(Errno::EIO);
    }
    fs::mount_on(Some(&null.magic()), &target, None, o::MS_BIND, None)?;
    Ok(None)
}

/// Make a path read-only: a mount of its own, then that mount without writing. The flags that it came with
/// must be repeated, or the remount would take them away.
pub fn read_only(root: &Opened, path: &Path) -> Result<Option<String>, Errno> {
    let under = match fs::open_in(root, path, o::O_PATH, 0) {
        Ok(target) => target,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Some("not there, nothing to protect".to_owned())),
        Err(errno) => return Err(errno),
    };
    fs::mount_on(Some(&under.magic()), &under, None, o::MS_BIND | o::MS_REC, None)?;
    let mounted = fs::open_in(root, path, o::O_PATH, 0)?;
    let flags = fs::mount_flags(&mounted)? | o::MS_BIND | o::MS_REMOUNT | o::MS_RDONLY;
    fs::mount_on(None, &mounted, None, flags, None)?;
    Ok(None)
}
