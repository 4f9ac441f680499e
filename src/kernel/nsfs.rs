//! To whom does a namespace belong? nsfs answers: the user namespace that owns it, its parent, and the user
//! that made it (ioctl_ns(2)).

use super::Errno;
use super::call::call;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// NS_GET_USERNS and its like (linux/nsfs.h): `_IO(0xb7, n)`.
const USERNS: (libc::Ioctl, &str) = (0xb701, "NS_GET_USERNS");
const PARENT: (libc::Ioctl, &str) = (0xb702, "NS_GET_PARENT");
const OWNER_UID: (libc::Ioctl, &str) = (0xb704, "NS_GET_OWNER_UID");

/// The inode number of the user namespace that owns it. EPERM: one that the caller cannot see.
pub fn owner(namespace: &File) -> Result<u64, Errno> {
    related(namespace, USERNS)
}

/// The inode number of the parent of a PID or user namespace; EINVAL for other kinds.
pub fn parent(namespace: &File) -> Result<u64, Errno> {
    related(namespace, PARENT)
}

fn related(namespace: &File, (request, name): (libc::Ioctl, &str)) -> Result<u64, Errno> {
    let fd = namespace.as_raw_fd();
    let found = call("ioctl", format_args!("{fd}, {name}"), || {
        // SAFETY: these requests take no argument; the descriptor that they return is new and ours.
        match unsafe { libc::ioctl(fd, request) } {
            // SAFETY: see above.
            new @ 0.. => Ok(unsafe { OwnedFd::from_raw_fd(new) }),
            _ => Err(Errno::last()),
        }
    })?;
    Ok(File::from(found).metadata()?.ino())
}

/// The user that made a user namespace, as the caller's user namespace sees it.
pub fn owner_uid(namespace: &File) -> Result<u32, Errno> {
    let fd = namespace.as_raw_fd();
    let mut uid: libc::uid_t = 0;
    call("ioctl", format_args!("{fd}, {}, {:?}", OWNER_UID.1, &raw const uid), || {
        // SAFETY: the kernel writes one uid_t, which `uid` is.
        match unsafe { libc::ioctl(fd, OWNER_UID.0, &raw mut uid) } {
            0.. => Ok(()),
            _ => Err(Errno::last()),
        }
    })?;
    Ok(uid)
}
