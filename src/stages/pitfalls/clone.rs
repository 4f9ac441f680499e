//! What refuses namespaces, and the process in them?
//!
//! Next: [`super::cgroup`].

use super::userns::apparmor;
use crate::kernel::Errno;
use crate::refusal::Scene;
use crate::refusal::process::{KINDS, SYS_ADMIN};
use crate::stage::Pitfall;
use crate::step::{At, Step};
use std::path::Path;

const AS_ROOT: &str =
    "start learnctr as root, or let it make a user namespace first: do not skip the stage userns";

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "unshare|clone|clone3|setns|mount",
        Errno::EPERM,
        "each namespace but a user namespace asks for CAP_SYS_ADMIN, and {user} has it only in a user namespace of its own, which was left out",
        |s| Some(s.without("userns") && s.host.uid != 0 && s.lacks_cap(SYS_ADMIN)?),
        AS_ROOT,
    ),
    Pitfall::new(
        "unshare|clone|clone3|mount",
        Errno::EPERM,
        "AppArmor made the user namespace but gives no capabilities in it to programs without a profile of their own (kernel.apparmor_restrict_unprivileged_userns is 1, Ubuntu)",
        apparmor,
        "{sudo}sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    Pitfall::new(
        "unshare|clone|clone3",
        Errno::EPERM,
        "the process lacks CAP_SYS_ADMIN, which every namespace but a user namespace asks for",
        |s| Some((!s.without("userns") || s.host.uid == 0) && s.lacks_cap(SYS_ADMIN)?),
        AS_ROOT,
    ),
    Pitfall::new(
        "unshare|clone|clone3",
        Errno::ENOSPC,
        "the sysctl {limit} is 0: no namespace of that kind may be made",
        |s| Some(s.forbidden_by_limit()),
        "{sudo}sysctl -w {limit}=15000",
    ),
    Pitfall::new(
        "unshare|clone|clone3",
        Errno::ENOSPC,
        "as many namespaces of one kind as {limit} (or another of user.max_*_namespaces) allows are there already, here or in an outer user namespace; pid namespaces nest 32 deep",
        |s| if s.forbidden_by_limit() { Some(false) } else { None },
        "`lsns` shows them; {sudo}sysctl -w {limit}=15000",
    ),
    Pitfall::new(
        "unshare|clone|clone3",
        Errno::EINVAL,
        "this kernel, {kernel}, was built without one of these kinds of namespace: compare with ls /proc/self/ns",
        |s| s.lacks_namespace_kind(),
        "`learnctr doctor` says which; leave it out with --pid host, --uts host, --ipc host or --network host",
    ),
    Pitfall::new(
        "clone3",
        Errno::EBUSY,
        "the group has controllers enabled for groups below it, so no process can be born in it (cgroups(7), no internal processes)",
        |s| s.is_inner(),
        "give another --cgroup-parent",
    ),
    Pitfall::new(
        "clone3",
        Errno::EOPNOTSUPP,
        "the group is one for threads, or below one: cgroup.type in it is not domain",
        |s| s.is_threaded(),
        "give another --cgroup-parent",
    ),
    Pitfall::new(
        "clone3",
        Errno::EACCES,
        "{user} may not move a process from its own group to {group}: cgroup.procs of the group above both has to be writable (cgroups(7), delegation)",
        |_| None,
        "systemd-run --user --scope -p Delegate=yes learnctr …",
    ),
    Pitfall::new(
        "setns",
        Errno::EINVAL,
        "{path} is no namespace of the kind that the configuration says, or you are in it already (a user namespace)",
        |_| Some(true),
        "`ls -l /proc/PID/ns` shows those of a process; correct linux.namespaces[].type",
    ),
    Pitfall::new(
        "setns",
        Errno::EPERM,
        "CAP_SYS_ADMIN is needed in the user namespace that owns {path}",
        |_| None,
        "start learnctr as root, or join that user namespace too",
    ),
    Pitfall::new(
        "mount",
        Errno::EINVAL,
        "/ is not a mount point for this process: it lives in a chroot(2), and only a mount has a propagation",
        |s| s.is_mount_point(Path::new("/")).map(|is| !is),
        "make it one first: `mount --bind DIR DIR` before `chroot DIR`",
    ),
    Pitfall::new(
        "write|openat",
        Errno::EINVAL,
        "the clock would be set back to before the machine's boot, or by more than the kernel takes (time_namespaces(7))",
        |s| Some(is_offsets(s)),
        "a positive --time-namespace",
    ),
    Pitfall::new(
        "write|openat",
        Errno::EACCES,
        "offsets can be written only while no process is in the time namespace",
        |s| Some(is_offsets(s)),
        "leave --time-namespace out",
    ),
];

fn is_offsets(s: &Scene) -> bool {
    matches!(s.step(), Step::Write { path: At::Host(path), .. } if path.ends_with("timens_offsets"))
}

impl Scene<'_> {
    fn lacks_namespace_kind(&self) -> Option<bool> {
        let flags = self.namespace_flags();
        let there = |kind: &str| Path::new("/proc/self/ns").join(kind).symlink_metadata().is_ok();
        Some(KINDS.iter().any(|(flag, kind)| flags & *flag as u64 != 0 && !there(kind)))
    }
}
