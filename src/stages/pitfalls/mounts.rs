//! What refuses /proc, /sys, /dev and volumes?
//!
//! Next: [`super::pivot_root`].

use super::userns::APPARMOR_MOUNT;
use crate::kernel::Errno;
use crate::kernel::libc_flags as o;
use crate::refusal::Scene;
use crate::refusal::files::Obstacle;
use crate::refusal::process::MKNOD;
use crate::refusal::program::is_character_device;
use crate::stage::Pitfall;
use crate::step::{At, Kind, Step};

pub const ALL: &[Pitfall] = &[
    Pitfall::new("*", Errno::ENOENT, NO_ROOT, |s| Some(s.root().is_none()), KEEP_OVERLAY),
    Pitfall::new(
        "openat2",
        Errno::ENOENT,
        "there is no /dev/pts/ptmx inside: no devpts is mounted there, and the terminal has to come from one",
        |s| Some(matches!(s.step(), Step::Terminal { .. }) && s.obstacles().next().is_some()),
        "mount devpts on /dev/pts (mounts[] of config.json), or leave out --tty",
    ),
    Pitfall::new(
        "openat2|open_tree",
        Errno::ENOENT,
        "there is no /dev/null inside, and it is what hides a file",
        |s| Some(matches!(s.step(), Step::Mask { .. }) && is_character_device(s, &null(), 1, 3).is_none()),
        "mount a tmpfs on /dev (mounts[] of config.json), which learnctr then fills",
    ),
    Pitfall::new(
        "mount",
        Errno::EIO,
        "learnctr itself refuses: /dev/null inside is not the character device 1:3, and what it would hide could be read (CVE-2025-31133)",
        |s| is_character_device(s, &null(), 1, 3).map(|real| matches!(s.step(), Step::Mask { .. }) && !real),
        "`ls -l` of dev in the image or the volume that put it there; take it out",
    ),
    Pitfall::new(
        "fstatfs",
        Errno::EIO,
        "learnctr itself refuses: what is mounted on /proc inside is not a procfs, and writing a setting there would write to something else (CVE-2025-52881)",
        |s| Some(s.fstype(&s.path()?)? != "proc"),
        "mount proc on /proc (mounts[] of config.json)",
    ),
    Pitfall::new(
        "mount|openat2",
        Errno::EEXIST,
        "{obstacle}: nothing is made through a symlink",
        |s| s.has_obstacle(|obstacle| matches!(obstacle, Obstacle::Dangling(..))),
        "mount on what the symlink should lead to, or make that first",
    ),
    Pitfall::new(
        "mknodat|symlinkat",
        Errno::EEXIST,
        "{path} is there already",
        |_| Some(true),
        "take it out of the image, or mount a tmpfs on /dev",
    ),
    Pitfall::new(
        "mount",
        Errno::ENOTDIR,
        "one is a directory and the other a file: {source} cannot be mounted on {path}",
        |s| Some(s.is_directory(&At::Host(s.source()?))? != s.is_directory(&s.at_path()?)?),
        "a file on a file, a directory on a directory: --volume SOURCE:PATH",
    ),
    Pitfall::new(
        "mount",
        Errno::ENOTDIR,
        "{path} is a file, and {fstype} can be mounted only on a directory",
        |s| Some(s.asked_mount().is_some() && !s.is_directory(&s.at_path()?)?),
        "another path, or take the file out of the image",
    ),
    Pitfall::new(
        "mount",
        Errno::ENODEV,
        "this kernel, {kernel}, has no file system {fstype}, or its module is not loaded",
        |s| Some(s.asked_mount().is_some()),
        "`cat /proc/filesystems` lists those it has; {sudo}modprobe {fstype}",
    ),
    Pitfall::new(
        "mount",
        Errno(15),
        "{fstype} wants a block device, and {path} would be a mount of something else",
        |s| Some(s.asked_mount().is_some()),
        "`cat /proc/filesystems`: those marked nodev need none",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "the options {options} name an id that has no map in this user namespace (gid=5 is the group tty)",
        |s| s.unmapped_option(),
        "map it (a range in /etc/subgid), or leave gid= out of the options",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "{fstype} does not know one of the options {options}, or not with that value",
        |s| if s.asked_mount().is_some() && s.unmapped_option() != Some(true) { None } else { Some(false) },
        "`dmesg | tail` has the kernel's reason; man 5 {fstype}",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "{path} is not a mount point, and only a mount has flags and propagation that can be changed",
        |s| Some(changes(s) && !s.is_mount_point(&s.path()?)?),
        "mount something there first, or ask for a bind mount",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "{source} is in another mount namespace, or unbindable, or has locked mounts below it: in a user namespace bind it with rbind",
        |s| if s.source().is_some() { None } else { Some(false) },
        "`findmnt -o TARGET,PROPAGATION -T {source}`",
    ),
    Pitfall::new(
        "mount",
        Errno::EPERM,
        "a new proc would show what is covered here ({covered}), so the kernel mounts none in a user namespace: an outer container \
         masks parts of /proc (mount_too_revealing)",
        |s| Some(s.asks_for("proc") && s.has_own("user")? && !s.covered_proc()?.is_empty()),
        "start the outer container with --security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL (podman); \
         or share its processes: --pid host and -v /proc:/proc",
    ),
    Pitfall::new(
        "mount",
        Errno::EPERM,
        "proc shows a pid namespace, and the one that the process is in belongs to another user namespace",
        |s| Some(s.asks_for("proc") && s.in_user_namespace()? && !s.has_own("pid")?),
        "--pid private; or bind the host's: -v /proc:/proc",
    ),
    Pitfall::new(
        "mount",
        Errno::EPERM,
        "sysfs shows a network namespace, and the one that the process is in belongs to another user namespace (--network host)",
        |s| Some(s.asks_for("sysfs") && s.in_user_namespace()? && !s.has_own("net")?),
        "--network none; or bind the host's: -v /sys:/sys:ro",
    ),
    Pitfall::new(
        "mount",
        Errno::EPERM,
        "mqueue shows an IPC namespace, and the one that the process is in belongs to another user namespace (--ipc host)",
        |s| Some(s.asks_for("mqueue") && s.in_user_namespace()? && !s.has_own("ipc")?),
        "--ipc private",
    ),
    Pitfall::new(
        "mount",
        Errno::EPERM,
        "{path} came from an outer user namespace with flags that are locked (ro, nosuid, nodev, noexec): a remount may not take them away",
        |s| Some(changes(s) && s.in_user_namespace()? && s.mounted_at(&s.path()?)?.is_some()),
        "keep these flags: -v SOURCE:PATH:ro, and `findmnt -no OPTIONS -T SOURCE`",
    ),
    Pitfall::new(
        "mount",
        Errno::EPERM,
        "{fstype} is not a file system that may be mounted in a user namespace (no FS_USERNS_MOUNT)",
        |s| {
            Some(
                s.in_user_namespace()?
                    && s.asked_mount().is_some_and(|(kind, _)| !IN_USER_NAMESPACE.contains(&kind)),
            )
        },
        "mount it on the host and bind it in: -v /mnt:/mnt",
    ),
    APPARMOR_MOUNT,
    Pitfall::new(
        "mount",
        Errno::EBUSY,
        "{fstype} is mounted elsewhere with other options, or, for a cgroup of version 1, its controllers are in another hierarchy",
        |s| if s.asked_mount().is_some() { None } else { Some(false) },
        "`grep {fstype} /proc/mounts` shows where; bind it in from there",
    ),
    Pitfall::new(
        "mount",
        Errno::EBUSY,
        "a file on {path} is open for writing, so it cannot become read-only",
        |s| Some(changes(s) && !bind(s)),
        "`fuser -m` of it shows who has it open",
    ),
    Pitfall::new(
        "mknodat",
        Errno::EPERM,
        "device nodes belong to the machine's first user namespace: no capability inside another is enough (mknod(2))",
        |s| s.in_user_namespace(),
        "bind the host's node in place of making one: --device or -v /dev/NAME:/dev/NAME",
    ),
    Pitfall::new(
        "mknodat",
        Errno::EPERM,
        "the device rules of the control group that learnctr is in do not allow to make this node",
        |s| if s.lacks_cap(MKNOD)? { Some(false) } else { None },
        "`cat /sys/fs/cgroup/devices/*/devices.list`; an outer container allows it with --device-cgroup-rule",
    ),
    Pitfall::new(
        "openat2",
        Errno::EACCES,
        "the root's directory {obstacle}",
        |s| s.has_obstacle(|obstacle| matches!(obstacle, Obstacle::Closed(..))),
        "chmod o+x on the way to it",
    ),
    Pitfall::new(
        "openat2|mkdirat|symlinkat|mknodat",
        Errno::EROFS,
        "{path} has to be made to be mounted on, and the root file system is mounted read-only",
        |s| {
            Some(
                matches!(s.step(), Step::MountPoint { .. } | Step::Symlink { .. } | Step::Mknod { .. })
                    && s.is_read_only()?,
            )
        },
        "make the directory or file in the image, or take a root file system that can be written to: --rootfs puts an overlay over it",
    ),
    Pitfall::new(
        "openat2|mkdirat|symlinkat",
        Errno::EACCES,
        "{path} has to be made to be mounted on, and {user} may not write to that directory of the root file system",
        |s| {
            if matches!(s.step(), Step::MountPoint { .. } | Step::Symlink { .. }) {
                None
            } else {
                Some(false)
            }
        },
        "make it in the image, or own it: `chown` to who is root inside (`cat /proc/PID/uid_map`)",
    ),
    Pitfall::new(
        "openat2|mkdirat|mknodat",
        Errno(75),
        "the directory that {path} is to be made in belongs to an id that this user namespace does not map",
        |_| Some(true),
        "own it by who is root inside, as `cat /proc/PID/uid_map` says: chown -R",
    ),
    Pitfall::new(
        "mount_setattr",
        Errno::EPERM,
        "a mount below {path} came from an outer user namespace with locked flags",
        |s| s.in_user_namespace(),
        "leave out rrw, rsuid, rdev, rexec; ro alone is allowed",
    ),
    Pitfall::new(
        "ioctl|openat2",
        Errno::ENOSPC,
        "this devpts has no terminal left (kernel.pty.max, or the mount's max=)",
        |s| Some(matches!(s.step(), Step::Terminal { .. })),
        "{sudo}sysctl -w kernel.pty.max=4096",
    ),
    Pitfall::new(
        "ioctl",
        Errno::EIO,
        "learnctr itself refuses: /dev/console inside is a symlink, and the terminal would be mounted where it leads (CVE-2025-52565)",
        |s| Some(matches!(s.step(), Step::Terminal { .. })),
        "take it out of the image",
    ),
    Pitfall::new(
        "fchown",
        Errno::EINVAL,
        "the user that the terminal is to belong to has no map in this user namespace",
        |s| s.in_user_namespace(),
        "map it, or --user root",
    ),
];

const NO_ROOT: &str = "there is no root file system to work in: the stage overlay was left out, which mounts it and keeps a handle on it";
const KEEP_OVERLAY: &str =
    "do not skip the stage overlay; what it takes is not the layers alone but the mount point for pivot_root";

/// What the kernel lets root of a user namespace mount (FS_USERNS_MOUNT), up to Linux 6.18.
const IN_USER_NAMESPACE: [&str; 12] = [
    "proc",
    "sysfs",
    "tmpfs",
    "devpts",
    "mqueue",
    "overlay",
    "cgroup",
    "cgroup2",
    "ramfs",
    "fuse",
    "binfmt_misc",
    "devtmpfs",
];

fn null() -> At {
    At::Root("/dev/null".into())
}

/// A change of a mount that is there, not a new one.
fn changes(s: &Scene) -> bool {
    let kinds = o::MS_REMOUNT | o::MS_PRIVATE | o::MS_SLAVE | o::MS_SHARED | o::MS_UNBINDABLE;
    matches!(s.step(), Step::Mount { flags, .. } if flags & kinds != 0)
        || matches!(s.step(), Step::Remount { .. } | Step::ReadOnly { .. })
}

fn bind(s: &Scene) -> bool {
    matches!(s.step(), Step::MountPoint { kind: Kind::AsSource, .. } | Step::Mount { fstype: None, .. })
}
