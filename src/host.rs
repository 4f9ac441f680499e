//! Which machine, kernel and user is the container built on? All that a plan depends on besides the
//! container itself, as plain data: a plan is a pure function of both, so a test can make a host up.
//!
//! [`Host::look`] is paid by every run, so it reads each file once and tries nothing out; what has to
//! be tried is asked by `crate::doctor`. What only explains a refusal is read when one is explained ([`Later`]). What
//! cannot be read is left empty, never a failure.
//!
//! Next: [`cgroup`] (where groups are made), [`ids`] (uid ranges), [`dirs`] (where our files are).

pub mod cgroup;
pub mod dirs;
pub mod identity;
pub mod ids;
mod later;
mod lsm;

pub use cgroup::{Cgroups, Hierarchy, Mode, Place};
pub use dirs::Dirs;
pub use identity::{Caps, IdMap, UserNamespace};
pub use ids::{Helper, IdRange, Privilege};
pub use later::Later;
pub use lsm::Lsm;

use crate::kernel::ident;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The machine and the user, as far as a plan depends on them.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The kernel's release as uname(2) gives it, `6.1.0-18-cloud-amd64`.
    pub kernel: String,
    /// Its version and patchlevel, to compare with.
    pub release: (u32, u32),
    /// The machine's name as uname(2) gives it, `x86_64`.
    pub arch: String,
    /// The effective ids, and the supplementary groups.
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// The user's name, where /etc/passwd has it.
    pub user: Option<String>,
    pub caps: Caps,
    /// no_new_privs is set: no setuid helper will help (prctl(2)).
    pub no_new_privs: bool,
    /// We are already behind a seccomp filter: an outer container's.
    pub seccomp_filtered: bool,
    pub user_namespace: UserNamespace,
    /// The network namespace that we are in belongs to another user namespace: whoever is root here is nobody there.
    pub foreign_network: bool,
    pub cgroup: Cgroups,
    /// The ranges of subordinate ids that are this user's (subuid(5), subgid(5)).
    pub subuid: Vec<IdRange>,
    pub subgid: Vec<IdRange>,
    pub newuidmap: Later<Option<Helper>>,
    pub newgidmap: Later<Option<Helper>>,
    /// The resource limits as they are now, by OCI's names for them.
    pub limits: Later<BTreeMap<String, Limit>>,
    pub oom_score_adj: Later<i32>,
    pub dirs: Dirs,
    pub lsm: Later<Lsm>,
    /// The sysctls that allow or forbid namespaces; one that this kernel lacks is not there.
    pub sysctls: Later<BTreeMap<String, u64>>,
    /// /etc/resolv.conf as it is.
    pub resolv_conf: Option<String>,
}

/// A resource limit; `None` is no limit (getrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

/// The sysctls that say whether namespaces may be made. The first is Debian's, the next two Ubuntu's.
const SYSCTLS: [&str; 11] = [
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    "kernel.apparmor_restrict_unprivileged_unconfined",
    "user.max_cgroup_namespaces",
    "user.max_ipc_namespaces",
    "user.max_mnt_namespaces",
    "user.max_net_namespaces",
    "user.max_pid_namespaces",
    "user.max_time_namespaces",
    "user.max_user_namespaces",
    "user.max_uts_namespaces",
];

impl Host {
    /// Look at this machine and user. Reads only; about a tenth of a millisecond.
    pub fn look() -> Host {
        let (kernel, arch) = ident::uname();
        let (uid, gid) = ident::effective_ids();
        let status = identity::parse_status(&read("/proc/self/status"));
        let passwd = identity::find_user(&read("/etc/passwd"), uid);
        let user = passwd.as_ref().map(|entry| entry.name.clone());
        let ranges = |file| ids::parse_ranges(&read(file), user.as_deref(), uid);
        let user_namespace = UserNamespace::look();
        Host {
            release: identity::parse_release(&kernel),
            kernel,
            arch,
            uid,
            gid,
            groups: status.groups,
            caps: status.caps,
            no_new_privs: status.no_new_privs,
            seccomp_filtered: status.seccomp_filtered,
            foreign_network: !user_namespace.initial && !identity::owns_network(),
            user_namespace,
            cgroup: Cgroups::look(),
            subuid: ranges("/etc/subuid"),
            subgid: ranges("/etc/subgid"),
            newuidmap: Later::new(|| ids::find_helper("newuidmap")),
            newgidmap: Later::new(|| ids::find_helper("newgidmap")),
            limits: Later::new(|| {
                let named = |(name, soft, hard)| (String::from(name), Limit { soft, hard });
                ident::limits().map(named).collect()
            }),
            oom_score_adj: Later::new(|| read("/proc/self/oom_score_adj").trim().parse().unwrap_or(0)),
            dirs: Dirs::look(uid, passwd.map(|entry| entry.home)),
            lsm: Later::new(Lsm::look),
            sysctls: Later::new(|| {
                SYSCTLS.iter().filter_map(|name| Some((String::from(*name), sysctl(name)?))).collect()
            }),
            resolv_conf: Some(read("/etc/resolv.conf")).filter(|text| !text.is_empty()),
            user,
        }
    }

    /// Is the kernel at least this old? Only a hint, since distributions add to old kernels: try where you can.
    pub fn at_least(&self, version: u32, patchlevel: u32) -> bool {
        self.release >= (version, patchlevel)
    }

    /// Root as the kernel means it: CAP_SYS_ADMIN in the user namespace that we are in.
    pub fn is_privileged(&self) -> bool {
        self.caps.effective & (1 << CAP_SYS_ADMIN) != 0
    }

    /// Whether an interface can be put into the network namespace that we are in.
    pub fn can_link(&self) -> bool {
        self.is_privileged() && self.caps.effective & (1 << CAP_NET_ADMIN) != 0 && !self.foreign_network
    }
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;

fn sysctl(name: &str) -> Option<u64> {
    read(Path::new("/proc/sys").join(name.replace('.', "/"))).trim().parse().ok()
}

/// A small text file, or nothing; no file that we read is near the limit, a hostile one could be.
fn read(path: impl AsRef<Path>) -> String {
    const LIMIT: u64 = 8 << 20;
    let mut bytes = Vec::with_capacity(4096);
    match std::fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)) {
        Ok(_) => String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests;
