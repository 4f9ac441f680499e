//! What refuses a new root? pivot_root(2) has one errno for five causes.
//!
//! Next: [`super::hostname`].

use crate::kernel::Errno;
use crate::stage::Pitfall;
use crate::step::Step;
use std::path::Path;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "pivot_root|chroot|fchdir",
        Errno::ENOENT,
        "there is no new root: the stage overlay was left out, which mounts it and keeps a handle on it",
        |s| Some(s.root().is_none()),
        "do not skip the stage overlay",
    ),
    Pitfall::new(
        "pivot_root",
        Errno::EINVAL,
        "the new root is not a mount point",
        |s| s.is_mount_point(&s.root()?).map(|is| !is),
        "mount the directory on itself first: mount --bind DIR DIR, as the stage overlay does",
    ),
    Pitfall::new(
        "pivot_root",
        Errno::EINVAL,
        "the mount above the new root is shared, and what is moved there would travel to others",
        |s| s.is_shared(above(&s.root()?)),
        "mount --make-rprivate / first, in the new mount namespace, as the stage clone does",
    ),
    Pitfall::new(
        "pivot_root",
        Errno::EINVAL,
        "the new root's own mount is shared",
        |s| s.is_shared(&s.root()?),
        "mount --make-rprivate / first, in the new mount namespace",
    ),
    Pitfall::new(
        "pivot_root",
        Errno::EINVAL,
        "the root is the initramfs (rootfs), which cannot be left this way",
        |s| s.in_initramfs(),
        "--chroot; or move to another root first, with switch_root(8)",
    ),
    Pitfall::new(
        "pivot_root",
        Errno::EINVAL,
        "learnctr was started in a chroot(2): its root is no mount point",
        |s| s.chrooted(),
        "--chroot; or make the root a mount point before: mount --bind DIR DIR",
    ),
    Pitfall::new(
        "pivot_root",
        Errno::EINVAL,
        "learnctr was started in a chroot(2), as process 1 has another root: a shared mount above it refuses this, and cannot be reached from here",
        |s| if s.chrooted()? || !s.is_process_1_elsewhere()? { Some(false) } else { None },
        "--chroot; or enter with `unshare --mount chroot DIR`, where nothing is shared",
    ),
    Pitfall::new(
        "pivot_root",
        Errno::EBUSY,
        "the new root is on the very mount that is the root now",
        |s| Some(s.mount_of(&s.root()?)?.point == Path::new("/")),
        "another directory; one that is a mount of its own",
    ),
    Pitfall::new(
        "umount2",
        Errno::EINVAL,
        "the old root came from an outer user namespace and is locked together with what is mounted below it, or is no mount point",
        |s| if s.in_user_namespace()? { None } else { Some(false) },
        "MNT_DETACH of the whole old root is allowed, of a part of it is not",
    ),
    Pitfall::new(
        "umount2",
        Errno::EBUSY,
        "somebody still works in the old root, and MNT_DETACH was not asked for",
        |s| Some(matches!(s.step(), Step::Umount { flags: 0, .. })),
        "umount2 with MNT_DETACH",
    ),
    Pitfall::new(
        "mount",
        Errno::EPERM,
        "the root's mount has flags that are locked in this user namespace: a remount has to repeat them",
        |s| s.in_user_namespace(),
        "`findmnt -no OPTIONS /` inside shows them",
    ),
];

fn above(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
