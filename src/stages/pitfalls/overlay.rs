//! What refuses an overlay, or the root's own mount?
//!
//! Next: [`super::mounts`].

use super::userns::{APPARMOR_MOUNT, apparmor};
use crate::kernel::Errno;
use crate::refusal::Scene;
use crate::refusal::process::DAC_OVERRIDE;
use crate::stage::Pitfall;
use std::path::Path;

const ELSEWHERE: &str =
    "keep the containers on another file system: LEARNCTR_DATA=/dev/shm/learnctr learnctr …";
/// mount(2) copies one page of options, the last byte of which is the end.
const PAGE: usize = 4096;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "mount",
        Errno::ENOENT,
        "the stage image was left out: it makes the directories that are to be merged, and overlay does not",
        |s| Some(s.asks_for("overlay") && s.without("image")),
        "do not skip the stage image",
    ),
    Pitfall::new("mount|openat", Errno::ENOENT, CUT, cut, SHORTER),
    Pitfall::new("mount", Errno::EINVAL, CUT, cut, SHORTER),
    Pitfall::new(
        "mount",
        Errno::ENODEV,
        "this kernel, {kernel}, does not have overlay, or its module is not loaded",
        |s| Some(s.asks_for("overlay")),
        "{sudo}modprobe overlay",
    ),
    Pitfall::new(
        "mount",
        Errno::EPERM,
        "overlay in a user namespace needs Linux 5.11, and this is {kernel}",
        |s| Some(s.asks_for("overlay") && s.in_user_namespace()? && !s.host.at_least(5, 11)),
        "as root without --userns; or a newer kernel",
    ),
    APPARMOR_MOUNT,
    Pitfall::new(
        "mount",
        Errno::EACCES,
        "overlay keeps a directory of mode 0 in work, and whoever mounts it needs CAP_DAC_OVERRIDE to enter that",
        |s| Some(s.asks_for("overlay") && s.lacks_cap(DAC_OVERRIDE)?),
        "start learnctr with CAP_DAC_OVERRIDE: `capsh --print` shows what you have",
    ),
    Pitfall::new(
        "mount",
        Errno::EACCES,
        "AppArmor's profile of the user namespace denies mounts to programs without a profile of their own (Ubuntu)",
        apparmor,
        "{sudo}sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "upper is on {upperfs}, which cannot carry an upper layer: overlay wants extended attributes, d_type and a rename that leaves a whiteout",
        |s| Some(s.asks_for("overlay") && NO_UPPER.contains(&&*s.fstype(&s.upper()?)?)),
        ELSEWHERE,
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "upper and work are on different mounts, and a file cannot be renamed from one to the other",
        |s| {
            let directories = s.overlay_directories();
            let [.., upper, work] = directories.as_slice() else { return Some(false) };
            Some(s.mount_of(upper)?.point != s.mount_of(work)?.point)
        },
        "keep both in one directory: LEARNCTR_DATA=DIR",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "other file systems are mounted below a layer, and a user namespace that did not mount them may not show what they hide (mount_namespaces(7))",
        |s| {
            let (directories, mounts) = (s.overlay_directories(), s.mounts()?);
            let lower = directories.get(..directories.len().saturating_sub(2)).unwrap_or_default();
            let is_below = |point: &Path| lower.iter().any(|dir| point != dir && point.starts_with(dir));
            Some(s.in_user_namespace()? && mounts.iter().any(|mount| is_below(&mount.point)))
        },
        "--rootfs with a directory that has none (`findmnt -R DIR`), such as a copy; as root it goes",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "the file systems of the layers stack too deep (an overlay on an overlay on an overlay), or overlay of this kernel, {kernel}, does not know one of the options {options}",
        |s| if s.asks_for("overlay") { None } else { Some(false) },
        "`dmesg | grep overlay` has the kernel's reason",
    ),
    Pitfall::new(
        "mount",
        Errno::EBUSY,
        "upper or work is in use by another overlay mount",
        |s| s.asks_for("overlay").then_some(true),
        "`grep overlay /proc/*/mountinfo` shows whose",
    ),
    Pitfall::new(
        "mount",
        Errno::ESTALE,
        "upper was used with other layers before, and remembers them (index, NFS export)",
        |s| s.asks_for("overlay").then_some(true),
        "begin with an empty upper: remove the container's directory",
    ),
    Pitfall::new(
        "openat",
        Errno::ENOENT,
        "the stage image was left out: it makes the directory that the root is mounted on",
        |s| Some(s.without("image")),
        "do not skip the stage image",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "{source} is in another mount namespace, or a mount in it may not be copied (unbindable), or is locked in this user namespace",
        |s| if s.source().is_some() { None } else { Some(false) },
        "`findmnt -o TARGET,PROPAGATION -T {source}`; give another directory",
    ),
];

const CUT: &str = "the options are longer than a page (4095 bytes), and mount(2) cuts them there: too many layers, or too long paths";
const SHORTER: &str = "shorter paths: LEARNCTR_DATA=/l; or fewer layers";

fn cut(s: &Scene) -> Option<bool> {
    Some(s.asked_mount().is_some_and(|(_, data)| data.len() >= PAGE))
}

/// File systems that have no whiteouts or no attributes for an upper layer.
const NO_UPPER: [&str; 12] = [
    "overlay", "nfs", "nfs4", "fuse", "fuseblk", "vfat", "exfat", "ntfs3", "9p", "cifs", "ramfs", "squashfs",
];
