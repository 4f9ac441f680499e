//! Who made the call that was refused, and with which privilege?
//!
//! Next: [`super::mounts`].

use super::Scene;
use crate::kernel::bpf::Action;
use crate::kernel::bpf::explore::Verdict;
use crate::kernel::{caps, libc_flags as o, seccomp};
use crate::stage::Side;
use crate::step::Step;

/// Capabilities, by their numbers in linux/capability.h.
const CHOWN: u32 = 0;
pub const DAC_OVERRIDE: u32 = 1;
pub const DAC_READ_SEARCH: u32 = 2;
const SETGID: u32 = 6;
const SETUID: u32 = 7;
pub const SETPCAP: u32 = 8;
pub const NET_ADMIN: u32 = 12;
const SYS_CHROOT: u32 = 18;
pub const SYS_ADMIN: u32 = 21;
pub const SYS_RESOURCE: u32 = 24;
pub const MKNOD: u32 = 27;

/// The capability that a call asks for (capabilities(7)); what is not here asks for none, or for several.
const NEEDED: [(&str, u32); 19] = [
    ("mount", SYS_ADMIN),
    ("umount2", SYS_ADMIN),
    ("pivot_root", SYS_ADMIN),
    ("move_mount", SYS_ADMIN),
    ("open_tree", SYS_ADMIN),
    ("mount_setattr", SYS_ADMIN),
    ("setns", SYS_ADMIN),
    ("sethostname", SYS_ADMIN),
    ("setdomainname", SYS_ADMIN),
    ("clone", SYS_ADMIN),
    ("clone3", SYS_ADMIN),
    ("chroot", SYS_CHROOT),
    ("mknodat", MKNOD),
    ("setgroups", SETGID),
    ("setresgid", SETGID),
    ("setresuid", SETUID),
    ("lchown", CHOWN),
    ("fchownat", CHOWN),
    ("sendto", NET_ADMIN),
];

/// The kinds of namespaces, by flag and by name in /proc/PID/ns.
pub const KINDS: [(i32, &str); 8] = [
    (o::CLONE_NEWUSER, "user"),
    (o::CLONE_NEWNS, "mnt"),
    (o::CLONE_NEWPID, "pid"),
    (o::CLONE_NEWNET, "net"),
    (o::CLONE_NEWUTS, "uts"),
    (o::CLONE_NEWIPC, "ipc"),
    (o::CLONE_NEWCGROUP, "cgroup"),
    (o::CLONE_NEWTIME, "time"),
];

impl Scene<'_> {
    /// The process that made the call, as /proc calls it.
    pub fn actor(&self) -> Option<String> {
        match self.one.side {
            Side::Host => Some("self".to_owned()),
            Side::Child => Some(self.pid?.to_string()),
        }
    }

    /// A file of that process in /proc.
    pub fn proc(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.actor()?)).ok()
    }

    /// A field of /proc/PID/status.
    pub fn status(&self, field: &str) -> Option<String> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }

    fn capabilities(&self, set: &str) -> Option<u64> {
        u64::from_str_radix(&self.status(set)?, 16).ok()
    }

    /// Whether the process has a capability in its effective set.
    pub fn has_cap(&self, number: u32) -> Option<bool> {
        Some(self.capabilities("CapEff")? >> number & 1 == 1)
    }

    pub fn lacks_cap(&self, number: u32) -> Option<bool> {
        self.has_cap(number).map(|has| !has)
    }

    /// The capability that the refused call asks for, if the process lacks it.
    pub fn missing_cap(&self) -> Option<String> {
        let name = self.call_name();
        let (_, number) = NEEDED.iter().find(|(call, _)| *call == name)?;
        self.lacks_cap(*number)?.then(|| caps::name(*number))
    }

    fn link(&self, pid: &str, kind: &str) -> Option<String> {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
        Some(link.to_string_lossy().into_owned())
    }

    /// Whether the process has its own namespace of this kind, not the one of the host's process.
    pub fn has_own(&self, kind: &str) -> Option<bool> {
        Some(self.link(&self.actor()?, kind)? != self.link("self", kind)?)
    }

    /// Whether the process is not in the machine's first user namespace: what belongs to that one (device
    /// nodes, most sysctls, the clock) is then refused, whatever its capabilities are.
    pub fn in_user_namespace(&self) -> Option<bool> {
        Some(self.link(&self.actor()?, "user")? != "user:[4026531837]")
    }

    /// Whether there is a map for this id in the process's user namespace: `uid_map` or `gid_map`.
    pub fn is_mapped(&self, file: &str, id: u32) -> Option<bool> {
        let maps = crate::host::identity::parse_id_map(&self.proc(file)?);
        Some(maps.iter().any(|map| id.checked_sub(map.inside).is_some_and(|offset| offset < map.count)))
    }

    /// The id of a refused setresuid, setresgid or setgroups that has no map.
    pub fn unmapped_id(&self) -> Option<u32> {
        let (file, ids): (_, &[u32]) = match self.step() {
            Step::SetResUid { uid } => ("uid_map", &[*uid]),
            Step::SetResGid { gid } => ("gid_map", &[*gid]),
            Step::SetGroups { gids } => ("gid_map", gids),
            _ => return None,
        };
        ids.iter().find(|id| self.is_mapped(file, **id) == Some(false)).copied()
    }

    /// setgroups(2) was given up for the process's user namespace.
    pub fn setgroups_denied(&self) -> Option<bool> {
        Some(self.proc("setgroups")?.trim() == "deny")
    }

    /// Whether the container's own filter, loaded before this step, refuses the call: asked of the filter
    /// itself. `None` where it depends on the arguments.
    pub fn own_filter_refuses(&self) -> Option<bool> {
        let filter = self.made().find_map(|step| match step {
            Step::Seccomp { program, .. } => Some(&program.0),
            _ => None,
        });
        let Some(filter) = filter else { return Some(false) };
        match seccomp::ask(&[filter], &self.call_name())? {
            Verdict::Always(Action::Allow | Action::Log) => Some(false),
            Verdict::Always(_) => Some(true),
            _ => None,
        }
    }

    /// An outer container's filter is on us, and what it answers cannot be read from inside: a candidate.
    pub fn outer_filter(&self) -> Option<bool> {
        if self.host.seccomp_filtered { None } else { Some(false) }
    }

    /// A limit of namespaces (namespaces(7), /proc/sys/user): the sysctl's name where it is reached for one of
    /// these flags, as far as this user namespace says.
    pub fn namespace_limit(&self, flags: u64) -> Option<(String, u64)> {
        let limits = KINDS.iter().filter(|(flag, _)| flags & *flag as u64 != 0).filter_map(|(_, kind)| {
            let name = format!("user.max_{kind}_namespaces");
            Some((name.clone(), *self.host.sysctls.get(&name)?))
        });
        limits.min_by_key(|(_, limit)| *limit)
    }

    /// The flags of a step that makes namespaces.
    pub fn namespace_flags(&self) -> u64 {
        match self.step() {
            Step::Unshare { flags } | Step::Clone { flags, .. } => *flags,
            _ => 0,
        }
    }
}
