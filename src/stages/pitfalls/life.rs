//! What refuses to stop, or to go?
//!
//! This is the last file of pitfalls. Next: `crate::plan`.

use crate::kernel::Errno;
use crate::stage::Pitfall;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "openat|write|read",
        Errno::ENOENT,
        "the group is not there any more: somebody removed it",
        |s| s.group().map(|group| !group.is_dir()),
        "`cat /proc/PID/cgroup` says where the process is now",
    ),
    Pitfall::new(
        "openat|write",
        Errno::ENOENT,
        "this kernel, {kernel}, cannot freeze groups of version 2, which Linux 5.2 brought",
        |s| Some(s.is_version2()? && !s.host.at_least(5, 2)),
        "leave it out: --skip freeze --skip thaw",
    ),
    Pitfall::new(
        "read",
        Errno::EBUSY,
        "a process of the group cannot be stopped yet: it waits in the kernel without being interruptible (state D)",
        |s| Some(s.group()?.is_dir()),
        "`cat {group}/cgroup.procs`, and State in /proc/PID/status of each",
    ),
    Pitfall::new(
        "write",
        Errno::EBUSY,
        "a group above {group} is frozen, so this one cannot be thawed alone",
        |_| None,
        "`cat {above}/freezer.parent_freezing`",
    ),
    Pitfall::new(
        "kill",
        Errno::EPERM,
        "the process is another user's now, and learnctr lacks CAP_KILL over it",
        |_| None,
        "{sudo}kill PID",
    ),
    Pitfall::new(
        "kill",
        Errno::ESRCH,
        "the process has ended already",
        |_| Some(true),
        "nothing is left to do",
    ),
    Pitfall::new(
        "rmdir",
        Errno::EBUSY,
        "processes or groups are still in {group}, and could not be ended within five seconds",
        |s| s.is_occupied(),
        "`cat {group}/cgroup.procs`, and State in /proc/PID/status of each; then rmdir {group}",
    ),
    Pitfall::new(
        "unlinkat",
        Errno::EPERM,
        "files in {path} belong to other ids of your range, or are immutable (chattr(1))",
        |_| None,
        "as root of such a user namespace: unshare --map-auto --map-root-user rm -r {path}",
    ),
    Pitfall::new(
        "unlinkat",
        Errno::EBUSY,
        "something is still mounted below {path}",
        |_| None,
        "`findmnt -R {path}` shows it; then umount it",
    ),
];
