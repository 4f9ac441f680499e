//! What refuses a control group, a limit, or a process in it? cgroups(7) and the kernel's own two guides.
//!
//! Next: [`super::veth`].

use crate::kernel::Errno;
use crate::refusal::process::SYS_ADMIN;
use crate::stage::Pitfall;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "mkdirat|openat|write",
        Errno::EACCES,
        "{nearest} was not delegated to {user}: a group can be made only where directory and cgroup.procs are writable",
        |s| s.not_ours(),
        "systemd-run --user --scope -p Delegate=yes learnctr …",
    ),
    Pitfall::new(
        "mkdirat",
        Errno::EEXIST,
        "a group of this name is there already: {group}",
        |s| s.group().map(|group| group.exists()),
        "give another --name, or remove it when nothing lives in it: rmdir {group}",
    ),
    Pitfall::new(
        "mkdirat",
        Errno::EAGAIN,
        "a group above {group} allows no more groups below it (cgroup.max.descendants, cgroup.max.depth)",
        |s| s.is_full_of_groups(),
        "raise it there, or give another --cgroup-parent",
    ),
    Pitfall::new(
        "mkdirat",
        Errno::ENOSPC,
        "the kernel keeps no more groups of this kind (memory: 65535 with those that are still dying)",
        |_| None,
        "`cat /proc/cgroups` counts them; remove what is not needed",
    ),
    Pitfall::new(
        "mkdirat|openat|write",
        Errno::EROFS,
        "control groups are mounted read-only here, as an outer container has them",
        |s| s.is_read_only(),
        "start the outer container with -v /sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host, or do without limits: --skip cgroup",
    ),
    Pitfall::new(
        "openat|write",
        Errno::ENOENT,
        "the controller {controller} is not enabled for {group}: the group above does not have it in cgroup.subtree_control",
        |s| Some(s.is_version2()? && s.is_not_enabled()?),
        "{sudo}sh -c 'echo +{controller} > {above}/cgroup.subtree_control'",
    ),
    Pitfall::new(
        "openat|write",
        Errno::ENOENT,
        "the controller to be enabled is not there: cgroup.controllers in {group} does not have it",
        |s| Some(s.writes("cgroup.subtree_control") && s.is_not_available()?),
        "{sudo}sh -c 'echo \"{text}\" > {above}/cgroup.subtree_control' enables it from above; with version 1 mounted too, that one may have it",
    ),
    Pitfall::new(
        "openat|write",
        Errno::ENOENT,
        "this kernel, {kernel}, was built or booted without {file} (swap is counted only with swapaccount=1 before Linux 6.1)",
        |s| Some(!s.is_version2()? && s.group()?.is_dir() && !s.path()?.exists()),
        "do without that limit; for swap, boot with swapaccount=1",
    ),
    Pitfall::new(
        "openat|write",
        Errno::EACCES,
        "this kernel, {kernel}, does not have {file} in a control group: it cannot be made there",
        |s| Some(s.group()?.is_dir() && !s.path()?.exists()),
        "do without that limit",
    ),
    Pitfall::new(
        "write",
        Errno::EBUSY,
        "processes are in {group} itself, so it can enable no controller for groups below it (no internal processes)",
        |s| Some(s.writes("cgroup.subtree_control") && s.is_occupied()?),
        "move them into a group below, or give another --cgroup-parent; systemd-run --user --scope -p Delegate=yes starts in a fresh one",
    ),
    Pitfall::new(
        "write",
        Errno::EBUSY,
        "{group} has controllers enabled for groups below it, so no process can be in it (no internal processes)",
        |s| Some(s.writes("cgroup.procs") && s.is_inner()?),
        "give another --cgroup-parent",
    ),
    Pitfall::new(
        "write",
        Errno::EBUSY,
        "more memory is in use in {group} than the limit to be set, and it cannot be taken back",
        |s| s.uses_more(),
        "a higher --memory",
    ),
    Pitfall::new(
        "write",
        Errno::EINVAL,
        "memory alone would be more than memory and swap together, which the kernel allows at no moment: the order of the two writes counts",
        |s| s.is_more_than_with_swap(),
        "--memory-swap is the sum: give at least --memory",
    ),
    Pitfall::new(
        "write",
        Errno::EINVAL,
        "{file} does not take the value {text}",
        |s| if s.is_more_than_with_swap() == Some(true) { Some(false) } else { None },
        "https://docs.kernel.org/admin-guide/cgroup-v2.html has what each file takes; with version 1, cgroup-v1/",
    ),
    Pitfall::new(
        "write",
        Errno::ERANGE,
        "this machine does not have the processors or memory nodes {text}, or no such weight is allowed",
        |_| Some(true),
        "`cat /sys/devices/system/cpu/online` shows which there are",
    ),
    Pitfall::new(
        "write",
        Errno::ENOSPC,
        "the cpuset of {group} is empty, and no process can enter it (version 1)",
        |s| Some(s.writes("cgroup.procs") && s.has_empty_cpuset()?),
        "write cpuset.cpus and cpuset.mems first, from the group above on down",
    ),
    Pitfall::new(
        "write",
        Errno::EACCES,
        "the group above does not have all of the processors {text} (version 1: a cpuset is a part of the one above)",
        |s| Some(s.controller().as_deref() == Some("cpuset") && s.is_version2() == Some(false)),
        "`cat {above}/{file}` shows which it has",
    ),
    Pitfall::new(
        "write",
        Errno::EOPNOTSUPP,
        "{group} is a group for threads, or below one: cgroup.type in it is not domain",
        |s| s.is_threaded(),
        "give another --cgroup-parent",
    ),
    Pitfall::new(
        "write",
        Errno::EPERM,
        "device rules ask for CAP_SYS_ADMIN in the machine's first user namespace",
        |s| {
            Some(
                s.controller().as_deref() == Some("devices")
                    && (s.in_user_namespace()? || s.lacks_cap(SYS_ADMIN)?),
            )
        },
        "start learnctr as root of the machine",
    ),
    Pitfall::new(
        "write",
        Errno::ESRCH,
        "the process that was to be put in has ended",
        |s| Some(s.pid.is_none_or(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())),
        "`dmesg | tail`: was it killed?",
    ),
    Pitfall::new(
        "write",
        Errno::EINVAL,
        "a realtime process needs a share of realtime in its group (cpu.rt_runtime_us, version 1)",
        |s| if s.writes("cgroup.procs") { None } else { Some(false) },
        "start learnctr with an ordinary policy: chrt --other 0 learnctr …",
    ),
    Pitfall::new(
        "bpf",
        Errno::EPERM,
        "a device program asks for CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, in the machine's first user namespace",
        |s| Some(s.in_user_namespace()? || s.lacks_cap(SYS_ADMIN)?),
        "start learnctr as root of the machine; an ordinary user's container is held by its user namespace in place of it",
    ),
    Pitfall::new(
        "bpf",
        Errno::EINVAL,
        "this kernel, {kernel}, was built without CONFIG_CGROUP_BPF",
        |_| None,
        "another kernel, or version 1's devices controller",
    ),
    Pitfall::new(
        "unshare",
        Errno::EPERM,
        "the process lacks CAP_SYS_ADMIN, which a cgroup namespace asks for",
        |s| s.lacks_cap(SYS_ADMIN),
        "start learnctr as root, or leave it out: --cgroupns host",
    ),
];
