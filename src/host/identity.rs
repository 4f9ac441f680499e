//! Who are we, and in which user namespace? Read from /proc/self/status, the id maps and /etc/passwd.
//!
//! Next: [`super::ids`], which further ids are ours to give.

use super::read;
use crate::kernel::{Errno, nsfs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The five sets of capabilities, a bit each (capabilities(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Caps {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub bounding: u64,
    pub ambient: u64,
}

/// The user namespace that we are in (user_namespaces(7)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UserNamespace {
    /// It is the machine's first one, not that of a container.
    pub initial: bool,
    pub uid_map: Vec<IdMap>,
    pub gid_map: Vec<IdMap>,
    /// Whether setgroups(2) has been denied in it.
    pub setgroups_denied: bool,
}

/// One line of /proc/PID/uid_map: `count` ids from `inside` on are those from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdMap {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

impl UserNamespace {
    pub fn look() -> UserNamespace {
        let uid_map = parse_id_map(&read("/proc/self/uid_map"));
        let link = std::fs::read_link("/proc/self/ns/user").unwrap_or_default();
        UserNamespace {
            // A full map is not enough: root can give one to a namespace of its own. The number is part
            // of the kernel's interface (PROC_USER_INIT_INO).
            initial: match link.to_str() {
                Some(link) if link.starts_with("user:[") => link == "user:[4026531837]",
                _ => uid_map == [IdMap { inside: 0, outside: 0, count: u32::MAX }],
            },
            uid_map,
            gid_map: parse_id_map(&read("/proc/self/gid_map")),
            setgroups_denied: read("/proc/self/setgroups").trim() == "deny",
        }
    }
}

/// Whether our network namespace belongs to our user namespace. That of a namespace further up cannot be seen (EPERM).
pub fn owns_network() -> bool {
    let owner =
        std::fs::File::open("/proc/self/ns/net").map_err(Errno::from).and_then(|net| nsfs::owner(&net));
    let ours = std::fs::metadata("/proc/self/ns/user").map(|link| link.ino());
    matches!((owner, ours), (Ok(owner), Ok(ours)) if owner == ours)
}

/// What we need of /proc/self/status.
#[derive(Debug, Default, PartialEq)]
pub struct Status {
    pub groups: Vec<u32>,
    pub caps: Caps,
    pub no_new_privs: bool,
    pub seccomp_filtered: bool,
}

/// /proc/PID/status (proc_pid_status(5)).
pub fn parse_status(text: &str) -> Status {
    let mut status = Status::default();
    let hex = |value: &str| u64::from_str_radix(value, 16).unwrap_or(0);
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key {
            "Groups" => status.groups = value.split_whitespace().filter_map(|id| id.parse().ok()).collect(),
            "CapInh" => status.caps.inheritable = hex(value),
            "CapPrm" => status.caps.permitted = hex(value),
            "CapEff" => status.caps.effective = hex(value),
            "CapBnd" => status.caps.bounding = hex(value),
            "CapAmb" => status.caps.ambient = hex(value),
            "NoNewPrivs" => status.no_new_privs = value == "1",
            "Seccomp" => status.seccomp_filtered = value == "2",
            _ => {}
        }
    }
    status
}

/// /proc/PID/uid_map (user_namespaces(7)).
pub fn parse_id_map(text: &str) -> Vec<IdMap> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
            Some(IdMap { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? })
        })
        .collect()
}

/// A user of /etc/passwd, as far as we need one.
#[derive(Debug, PartialEq)]
pub struct User {
    pub name: String,
    pub home: PathBuf,
}

/// The first user with that id (passwd(5)). Users kept elsewhere (LDAP) have no name here: asking for
/// them loads the machine's NSS modules, which a static program cannot.
pub fn find_user(passwd: &str, uid: u32) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        let found = id.parse() == Ok(uid) && !name.is_empty();
        found.then(|| User { name: name.into(), home: fields.nth(2).unwrap_or_default().into() })
    })
}

/// `6.1.0-18-cloud-amd64` is (6, 1).
pub fn parse_release(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
