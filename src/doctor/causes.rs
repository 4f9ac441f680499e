//! Why was it refused, here? An errno has several causes; those whose conditions can be looked at are
//! looked at, and what remains is said as candidates.
//!
//! Next: [`super::table`].

use super::case::Case;
use super::mend::{as_root, load_module};
use crate::host::Hierarchy;
use crate::kernel::Errno;
use crate::kernel::call::{Call, Returned};

/// A cause, and the command that takes it away.
#[derive(Debug)]
pub struct Cause {
    pub text: String,
    pub mend: Option<String>,
}

fn cause(text: impl Into<String>, mend: Option<String>) -> Vec<Cause> {
    vec![Cause { text: text.into(), mend }]
}

const EOPNOTSUPP: Errno = Errno(95);
const EPROTONOSUPPORT: Errno = Errno(93);
const ENOSPC: Errno = Errno(28);
const ENODEV: Errno = Errno(19);
const EROFS: Errno = Errno(30);

/// What refused this call.
pub fn of(case: &Case, failed: &Call) -> Vec<Cause> {
    let Returned::Refused(errno) = failed.returned else { return Vec::new() };
    let arg = |text: &str| failed.args.contains(text);
    match (failed.name.as_str(), errno) {
        (_, Errno::ENOSYS) => cause(
            match &case.outer_container {
                Some(sign) => format!(
                    "this kernel is too old for it, or the outer container's filter hides it ({sign})"
                ),
                None => "this kernel is too old for it, or was built without it".into(),
            },
            None,
        ),
        ("unshare", _) if arg("CLONE_NEWUSER") => user_namespace(case, errno),
        ("unshare", ENOSPC) => full(case, &failed.args),
        ("unshare", Errno::EINVAL) => cause("this kernel was built without that namespace", None),
        ("mount", ENODEV) => {
            let kind = failed.args.split(", ").nth(2).unwrap_or_default().trim_matches('"').to_owned();
            cause(format!("this kernel has no file system {kind}"), load_module(case.host, &kind))
        }
        ("mount", Errno::EINVAL) if arg("\"overlay\"") => cause(
            "the file system below cannot carry an upper layer (overlay on overlay, or on NFS)",
            other_data(),
        ),
        ("pivot_root", Errno::EINVAL) => cause(
            "the root is the initramfs, which cannot be left this way",
            Some("learnctr step --chroot".into()),
        ),
        ("openat" | "write", Errno::EPERM | Errno::EACCES) if arg("id_map") => map(case, failed),
        ("write", Errno::EPERM | Errno::EACCES) if arg("/devices.") => {
            cause("device rules ask for CAP_SYS_ADMIN in the machine's first user namespace", None)
        }
        ("mkdir" | "openat", Errno::EPERM | Errno::EACCES) if arg("learnctr-doctor") => {
            cause("the group above belongs to somebody else: it was not delegated to us (cgroups(7))", None)
        }
        ("mkdir", EROFS) => {
            let text = "control groups are mounted read-only, as an outer container has them";
            cause(text, outer(case, "-v /sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host"))
        }
        ("write" | "clone3", Errno::ENOENT)
            if case.host.cgroup.v2().is_some_and(Hierarchy::is_beyond_a_border) =>
        {
            let text = "we are in a cgroup namespace, the mount shows what is above it, and with nsdelegate no process \
                        crosses that border (cgroups(7))";
            cause(text, Some(as_root(case.host, "mount -t cgroup2 none /sys/fs/cgroup")))
        }
        ("recvfrom", EOPNOTSUPP) => {
            let kind = if arg("bridge") { "bridge" } else { "veth" };
            cause("this kernel has no such kind of link", load_module(case.host, kind))
        }
        ("socket" | "recvfrom", EPROTONOSUPPORT | Errno::EINVAL) => {
            cause("this kernel has no nf_tables", load_module(case.host, "nf_tables"))
        }
        (_, Errno::EPERM | Errno::EACCES) => privilege(case, failed),
        _ => Vec::new(),
    }
}

/// What we have too little of to try it, whichever call says so.
pub fn of_ours(errno: Errno) -> Vec<Cause> {
    match errno {
        Errno::EAGAIN => cause(
            "no process can be made to try it in: there are as many as RLIMIT_NPROC (`ulimit -u`), pids.max of our group or kernel.threads-max allows",
            None,
        ),
        Errno::EMFILE => {
            cause("learnctr may open no more files (RLIMIT_NOFILE)", Some("ulimit -n 1024".into()))
        }
        Errno::ENOMEM => cause("there is no memory for a process to try it in", None),
        _ => Vec::new(),
    }
}

/// unshare(CLONE_NEWUSER), the call that most rules are about.
fn user_namespace(case: &Case, errno: Errno) -> Vec<Cause> {
    let sysctl = |name: &str| case.host.sysctls.get(name).copied();
    let set = |setting: &str| Some(as_root(case.host, &format!("sysctl -w {setting}")));
    match errno {
        ENOSPC => full(case, "CLONE_NEWUSER"),
        Errno::EINVAL => cause("this kernel was built without user namespaces (CONFIG_USER_NS)", None),
        Errno::EPERM | Errno::EACCES => {
            let mut found = Vec::new();
            if sysctl("kernel.unprivileged_userns_clone") == Some(0) {
                let setting = "kernel.unprivileged_userns_clone=1";
                found.extend(cause("the sysctl kernel.unprivileged_userns_clone is 0", set(setting)));
            }
            found.extend(apparmor(case));
            if case.chrooted() {
                found.extend(cause(
                    "we are in a chroot, where user namespaces are refused (unshare(2))",
                    None,
                ));
            }
            let mapped = |id: u32, maps: &[crate::host::IdMap]| {
                maps.iter().any(|map| id.checked_sub(map.inside).is_some_and(|offset| offset < map.count))
            };
            let space = &case.host.user_namespace;
            if !mapped(case.host.uid, &space.uid_map) || !mapped(case.host.gid, &space.gid_map) {
                found
                    .extend(cause("our uid or gid is not mapped in the user namespace that we are in", None));
            }
            if case.host.seccomp_filtered {
                let text = "a seccomp filter is on us already: that of an outer container refuses it";
                found.extend(cause(text, outer(case, "--security-opt seccomp=unconfined")));
            }
            if errno == Errno::EACCES && case.host.lsm.has("selinux") {
                found.extend(cause("SELinux may refuse user_namespace create", None));
            }
            if found.is_empty() {
                found = cause(
                    "a chroot, a security module, or a sandbox around us that cannot be seen from here",
                    None,
                );
            }
            found
        }
        _ => Vec::new(),
    }
}

/// Ubuntu's: the namespace is made, and the capabilities in it refused, or it is not made at all.
fn apparmor(case: &Case) -> Vec<Cause> {
    const RESTRICT: &str = "kernel.apparmor_restrict_unprivileged_userns";
    if case.privileged || case.host.sysctls.get(RESTRICT).is_none_or(|value| *value == 0) {
        return Vec::new();
    }
    let mend = as_root(case.host, &format!("sysctl -w {RESTRICT}=0"));
    cause(
        format!("AppArmor restricts user namespaces of programs without a profile ({RESTRICT} is 1)"),
        Some(mend),
    )
}

/// ENOSPC: a limit of user.max_*_namespaces.
fn full(case: &Case, flags: &str) -> Vec<Cause> {
    let kinds = [
        ("NEWUSER", "user"),
        ("NEWNS", "mnt"),
        ("NEWPID", "pid"),
        ("NEWNET", "net"),
        ("NEWUTS", "uts"),
        ("NEWIPC", "ipc"),
        ("NEWCGROUP", "cgroup"),
        ("NEWTIME", "time"),
    ];
    let Some((_, kind)) = kinds.iter().find(|(flag, _)| flags.contains(flag)) else { return Vec::new() };
    let name = format!("user.max_{kind}_namespaces");
    let mend = as_root(case.host, &format!("sysctl -w {name}=15000"));
    match case.host.sysctls.get(&name) {
        Some(0) => cause(format!("the sysctl {name} is 0"), Some(mend)),
        Some(limit) => cause(
            format!(
                "there are {limit} of them already ({name}), or a namespace around ours has a lower limit, or 32 are nested"
            ),
            None,
        ),
        None => cause(format!("{name} of this or an outer user namespace is reached"), None),
    }
}

/// EPERM and EACCES where a capability is asked for.
fn privilege(case: &Case, failed: &Call) -> Vec<Cause> {
    let mut found = apparmor(case);
    let overlay = failed.name == "mount" && failed.args.contains("\"overlay\"");
    if overlay && !case.host.at_least(5, 11) {
        found.extend(cause("overlay in a user namespace needs Linux 5.11", None));
    }
    let revealing = failed.args.contains("\"proc\"") || failed.args.contains("\"sysfs\"");
    if failed.name == "mount" && revealing && (case.outer_container.is_some() || !case.privileged) {
        let text = "parts of /proc or /sys are covered here, as an outer container has it; a new one would uncover them";
        found.extend(cause(text, outer(case, "--security-opt systempaths=unconfined")));
    }
    if let Some(label) = case.host.lsm.label.as_ref().filter(|label| !label.starts_with("unconfined")) {
        let text = format!("the security module may refuse it to {label}");
        found.extend(cause(
            text,
            outer(case, "--security-opt apparmor=unconfined --security-opt label=disable"),
        ));
    }
    if case.host.seccomp_filtered {
        let text = "a seccomp filter is on us already and may refuse it";
        found.extend(cause(text, outer(case, "--security-opt seccomp=unconfined")));
    }
    if found.is_empty() {
        let text = match case.privileged {
            true => "a capability is missing that the call asks for: compare CapEff in /proc/self/status",
            false => {
                "the call asks for a capability over what the machine owns, which an ordinary user lacks"
            }
        };
        found = cause(text, None);
    }
    found
}

/// A map that the kernel did not take.
fn map(case: &Case, failed: &Call) -> Vec<Cause> {
    let mut found = apparmor(case);
    let range = failed.args.contains("100000");
    if range && !case.host.user_namespace.initial {
        return cause("the user namespace that we are in has no ids from 100000 to 165535", None);
    }
    const CAP_SETFCAP: u64 = 1 << 31;
    if case.host.uid == 0 && case.host.caps.effective & CAP_SETFCAP == 0 {
        let text = "uid 0 may be mapped only by one who had CAP_SETFCAP (Linux 5.12, user_namespaces(7))";
        found.extend(cause(text, outer(case, "--cap-add SETFCAP")));
    }
    found
}

/// What an outer container has to be started with, where its engine can be told.
pub fn outer(case: &Case, options: &str) -> Option<String> {
    let sign = case.outer_container.as_ref()?;
    let engine = if sign.contains("dockerenv") { "docker" } else { "podman" };
    sign.contains("env exists").then(|| format!("{engine} run {options} …"))
}

fn other_data() -> Option<String> {
    Some("LEARNCTR_DATA=/dev/shm/learnctr learnctr step".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, IdMap, UserNamespace};
    use std::collections::BTreeMap;

    /// An ordinary user of a machine that is otherwise open.
    fn host(sysctls: &[(&str, u64)]) -> Host {
        let full = vec![IdMap { inside: 0, outside: 0, count: u32::MAX }];
        Host {
            uid: 1000,
            gid: 1000,
            release: (6, 8),
            sysctls: sysctls
                .iter()
                .map(|(name, value)| (String::from(*name), *value))
                .collect::<BTreeMap<_, _>>()
                .into(),
            user_namespace: UserNamespace {
                initial: true,
                uid_map: full.clone(),
                gid_map: full,
                ..Default::default()
            },
            ..Host::default()
        }
    }

    fn causes(host: &Host, name: &str, args: &str, errno: Errno) -> Vec<(String, Option<String>)> {
        let failed = Call { name: name.into(), args: args.into(), returned: Returned::Refused(errno) };
        of(&Case::made_up(host), &failed).into_iter().map(|cause| (cause.text, cause.mend)).collect()
    }

    #[test]
    fn ubuntu_s_restriction_is_named_with_its_sysctl() {
        let host = host(&[("kernel.apparmor_restrict_unprivileged_userns", 1)]);
        // The namespace is made, and what needs a capability in it is refused.
        for (name, args) in [
            ("unshare", "CLONE_NEWUSER"),
            ("unshare", "CLONE_NEWNS"),
            ("write", "3</proc/self/uid_map>, \"0 1000 1\", 8"),
        ] {
            let found = causes(&host, name, args, Errno::EPERM);
            let mend = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
            assert!(
                found.iter().any(|(text, m)| text.contains("AppArmor") && m.as_deref() == Some(mend)),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_limit_that_is_reached_is_not_one_of_nought() {
        let zero = causes(&host(&[("user.max_pid_namespaces", 0)]), "unshare", "CLONE_NEWPID", ENOSPC);
        assert_eq!(zero[0].1.as_deref(), Some("sudo sysctl -w user.max_pid_namespaces=15000"));
        let full = causes(&host(&[("user.max_pid_namespaces", 7)]), "unshare", "CLONE_NEWPID", ENOSPC);
        assert!(full[0].0.starts_with("there are 7") && full[0].1.is_none(), "{full:?}");
    }

    #[test]
    fn a_map_that_is_refused() {
        let mut host = host(&[]);
        let of = |host: &Host, line: &str| {
            causes(host, "write", &format!("3</proc/7/uid_map>, {line:?}"), Errno::EPERM)
        };
        host.user_namespace.initial = false;
        let found = of(&host, "0 100000 65536");
        assert!(found.len() == 1 && found[0].0.contains("no ids from 100000"), "{found:?}");
        host.uid = 0;
        let found = of(&host, "0 0 1");
        assert!(found.len() == 1 && found[0].0.contains("CAP_SETFCAP"), "{found:?}");
        host.caps.effective = u64::MAX;
        assert!(of(&host, "0 0 1").is_empty());
    }

    #[test]
    fn an_unmapped_user_and_an_old_kernel() {
        let mut host = host(&[]);
        host.user_namespace.uid_map.clear();
        let found = causes(&host, "unshare", "CLONE_NEWUSER", Errno::EPERM);
        assert!(found.iter().any(|(text, _)| text.contains("not mapped")), "{found:?}");
        host.release = (5, 4);
        let found = causes(&host, "mount", "\"overlay\", \"merged\", \"overlay\", 0, …", Errno::EPERM);
        assert!(found.iter().any(|(text, _)| text.contains("5.11")), "{found:?}");
    }
}
