//! What refuses a limit or a setting?
//!
//! Next: [`super::caps`].

use crate::kernel::Errno;
use crate::refusal::Scene;
use crate::refusal::process::SYS_RESOURCE;
use crate::stage::Pitfall;
use crate::step::{At, Step};
use std::path::Path;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "*",
        Errno::ENOENT,
        "there is no proc inside to write it to: the stage mounts was left out, or the container mounts none on /proc",
        |s| {
            Some(
                matches!(s.step(), Step::Write { path: At::Proc(_), .. })
                    && !s.made().any(|step| *step == Step::OpenProc),
            )
        },
        "do not skip the stage mounts, or leave the setting out too: --skip limits",
    ),
    Pitfall::new(
        "write",
        Errno::ENOENT,
        "AppArmor was told `{text}`, and no profile of that name is loaded into the kernel",
        |s| Some(is_label(s)),
        "{sudo}apparmor_parser -r FILE loads one, {sudo}aa-status lists those that are (Docker loads docker-default when it starts); or --security-opt apparmor=unconfined",
    ),
    Pitfall::new(
        "openat2",
        Errno::ENOENT,
        "this kernel, {kernel}, has no setting {path} in the namespaces of the container: it was built without it, or it is the machine's and not a namespace's",
        |s| Some(is_sysctl(s) && !s.obstacles().collect::<Vec<_>>().is_empty()),
        "`sysctl -a` inside lists those there are; leave it out",
    ),
    Pitfall::new(
        "openat2|write",
        Errno::EACCES,
        "{path} belongs to the whole machine, or to a namespace that the host's user owns",
        |s| Some(is_sysctl(s) && s.in_user_namespace()?),
        "only settings of the container's own namespaces can be set: net.*, kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*",
    ),
    Pitfall::new(
        "openat2|write",
        Errno::EPERM,
        "{path} belongs to the whole machine, and asks for a capability there",
        |s| Some(is_sysctl(s)),
        "only settings of the container's own namespaces can be set: net.*, kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*",
    ),
    Pitfall::new(
        "openat2",
        Errno::EACCES,
        "{path} can only be read",
        |s| if is_sysctl(s) { None } else { Some(false) },
        "`ls -l` of it; leave it out",
    ),
    Pitfall::new(
        "write",
        Errno::EINVAL,
        "{path} does not take the value {text}",
        |s| Some(is_sysctl(s)),
        "`cat` of it shows what it looks like; man 5 proc_sys",
    ),
    Pitfall::new(
        "write",
        Errno::ERANGE,
        "{path} does not take a number as large or as small as {text}",
        |s| Some(is_sysctl(s)),
        "man 5 proc_sys has the range",
    ),
    Pitfall::new(
        "openat2",
        Errno::EXDEV,
        "learnctr itself refuses: something is mounted over {path}, and a setting written there would go to it (CVE-2025-52881)",
        |_| Some(true),
        "take that mount out of mounts[] or volumes",
    ),
    Pitfall::new(
        "openat2",
        Errno::ELOOP,
        "learnctr itself refuses: a symlink is on the way to {path} (CVE-2025-52881)",
        |_| Some(true),
        "take it out of mounts[] or volumes",
    ),
    Pitfall::new(
        "openat2|write",
        Errno::EACCES,
        "the score would be lower than {score}, which learnctr itself has, and only CAP_SYS_RESOURCE lowers it",
        |s| Some(is_score(s) && *s.host.oom_score_adj > score(s)? && s.lacks_cap(SYS_RESOURCE)?),
        "--oom-score-adj {score} or more; or start learnctr with CAP_SYS_RESOURCE: `capsh --print` shows what you have",
    ),
    Pitfall::new(
        "openat2|write",
        Errno::EACCES,
        "the score would be lower than {score}, which learnctr itself has; CAP_SYS_RESOURCE in a user namespace of its own does not count",
        |s| Some(is_score(s) && *s.host.oom_score_adj > score(s)? && s.in_user_namespace()?),
        "--oom-score-adj {score} or more",
    ),
    Pitfall::new(
        "write",
        Errno::EINVAL,
        "an oom score is between -1000 and 1000",
        |s| Some(is_score(s)),
        "--oom-score-adj within that",
    ),
    Pitfall::new(
        "prlimit64|prlimit",
        Errno::EPERM,
        "the hard limit of {resource} is {ulimit} here, and raising it takes CAP_SYS_RESOURCE in the machine's first user namespace",
        |s| Some(raises(s)? && (s.lacks_cap(SYS_RESOURCE)? || s.in_user_namespace()?)),
        "--ulimit with at most {ulimit}; `ulimit -H -a` lists all; root of the machine may raise it (limits.conf(5), LimitNOFILE= of systemd)",
    ),
    Pitfall::new(
        "prlimit64|prlimit",
        Errno::EPERM,
        "nobody may have more open files than the sysctl fs.nr_open says",
        |s| match s.step() {
            Step::Prlimit { resource, hard, .. } if resource == "RLIMIT_NOFILE" => {
                let most = std::fs::read_to_string("/proc/sys/fs/nr_open").ok()?;
                Some(*hard > most.trim().parse().ok()?)
            }
            _ => Some(false),
        },
        "--ulimit nofile= with less than `sysctl -n fs.nr_open`",
    ),
    Pitfall::new(
        "prlimit64|prlimit",
        Errno::EINVAL,
        "the soft limit is higher than the hard one",
        |s| Some(matches!(s.step(), Step::Prlimit { soft, hard, .. } if soft > hard)),
        "--ulimit NAME=SOFT:HARD with SOFT at most HARD",
    ),
    Pitfall::new(
        "keyctl",
        Errno::EDQUOT,
        "{user} has as many keys as kernel.keys.maxkeys allows: each container's keyring is one",
        |_| Some(true),
        "`cat /proc/key-users` counts them; {sudo}sysctl -w kernel.keys.maxkeys=2000",
    ),
    Pitfall::new(
        "keyctl",
        Errno::EACCES,
        "a keyring of that name is there already and is somebody else's",
        |_| None,
        "give another --name; `cat /proc/keys`",
    ),
    Pitfall::new(
        "setsid",
        Errno::EPERM,
        "the process leads a process group already",
        |_| Some(true),
        "it is process 1 of a session already: nothing is left to do",
    ),
    Pitfall::new(
        "ioctl",
        Errno::ENOENT,
        "there is no terminal: the stage mounts was left out, which makes it",
        |s| Some(s.without("mounts")),
        "do not skip the stage mounts, or leave out --tty",
    ),
    Pitfall::new(
        "ioctl",
        Errno::EPERM,
        "the terminal is another session's already, or the process leads no session",
        |_| None,
        "start without --tty",
    ),
];

fn is_sysctl(s: &Scene) -> bool {
    matches!(s.step(), Step::Write { path: At::Proc(path), .. } if path.starts_with("sys"))
}

fn is_label(s: &Scene) -> bool {
    matches!(s.step(), Step::Write { path: At::Proc(path), text } if path.starts_with("self/attr") && text.starts_with("exec "))
}

fn is_score(s: &Scene) -> bool {
    matches!(s.step(), Step::Write { path: At::Proc(path), .. } if path == Path::new("self/oom_score_adj"))
}

fn score(s: &Scene) -> Option<i32> {
    match s.step() {
        Step::Write { text, .. } => text.trim().parse().ok(),
        _ => None,
    }
}

fn raises(s: &Scene) -> Option<bool> {
    match s.step() {
        Step::Prlimit { resource, hard, .. } => {
            let now = s.host.limits.get(resource)?;
            Some(now.hard.is_some_and(|now| *hard > now))
        }
        _ => Some(false),
    }
}
