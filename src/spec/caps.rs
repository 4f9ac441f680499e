//! Which capabilities does the container get? Docker's 14, and what `--cap-add` and `--cap-drop` make of them.
//!
//! Next: `default`; `learnctr decode caps` prints the same names.

use super::Error;
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities};

/// Every capability by its number, without the `CAP_` (capabilities(7)).
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Docker's default: 00000000a80425fb.
pub const DOCKER: u64 = 0xa804_25fb;

/// The number of a capability by its name, with or without `CAP_`, in any case.
pub fn number(name: &str) -> Option<usize> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == bare)
}

/// The names in a set, in the order of their numbers: `CAP_CHOWN`, …
pub fn names(set: u64) -> Vec<String> {
    NAMES
        .iter()
        .enumerate()
        .filter(|(n, _)| set >> n & 1 == 1)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect()
}

/// A set as the OCI types have it.
pub fn set(set: u64) -> Vec<Capability> {
    NAMES
        .iter()
        .enumerate()
        .filter(|(n, _)| set >> n & 1 == 1)
        .filter_map(|(_, name)| name.parse().ok())
        .collect()
}

/// A set of the OCI types as a mask.
pub fn mask(set: Option<&Capabilities>) -> u64 {
    let known = set.into_iter().flatten().filter_map(|cap| number(&cap.to_string()));
    known.fold(0, |mask, number| mask | 1 << number)
}

/// The three sets that a container's process gets, as Docker gives them.
pub fn sets(all: u64) -> LinuxCapabilities {
    let set: Capabilities = set(all).into_iter().collect();
    let mut sets = LinuxCapabilities::default();
    sets.set_inheritable(None).set_ambient(None);
    sets.set_bounding(Some(set.clone())).set_effective(Some(set.clone())).set_permitted(Some(set));
    sets
}

/// What `--cap-add` and `--cap-drop` leave of Docker's default. `ALL` comes first, so that
/// `--cap-drop ALL --cap-add X` is X alone and `--cap-add ALL --cap-drop X` is all but X.
pub fn resolve(add: &[String], drop: &[String]) -> Result<u64, Error> {
    let all = (1u64 << NAMES.len()) - 1;
    let (add_all, add) = parse(add, "--cap-add")?;
    let (drop_all, drop) = parse(drop, "--cap-drop")?;
    let base = match (add_all, drop_all) {
        (true, true) => {
            let both = "ALL, which --cap-drop has too";
            return Err(Error::new("--cap-add", both, "ALL in one of the two, names in the other"));
        }
        (false, true) => 0,
        (true, false) => all,
        (false, false) => DOCKER,
    };
    Ok((base & !drop) | add)
}

fn parse(names: &[String], option: &str) -> Result<(bool, u64), Error> {
    let mut all = false;
    let mut set = 0;
    for name in names.iter().flat_map(|names| names.split(',')) {
        match number(name) {
            Some(number) => set |= 1 << number,
            None if name.eq_ignore_ascii_case("ALL") || name.eq_ignore_ascii_case("CAP_ALL") => all = true,
            None => {
                let expected = format!("ALL or one of {}", NAMES.join(", "));
                return Err(Error::new(option, format!("{name:?} is no capability"), expected));
            }
        }
    }
    Ok((all, set))
}

#[cfg(test)]
mod test {
    use super::*;

    fn of(add: &[&str], drop: &[&str]) -> Result<u64, Error> {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        resolve(&owned(add), &owned(drop))
    }

    #[test]
    fn dockers_fourteen_and_what_is_made_of_them() {
        assert_eq!(names(DOCKER).len(), 14);
        assert_eq!(set(u64::MAX).len(), NAMES.len());
        assert_eq!(of(&[], &[]), Ok(0xa804_25fb));
        assert_eq!(of(&["cap_sys_admin"], &["ALL"]), Ok(1 << 21));
        assert_eq!(of(&["ALL"], &["MKNOD"]), Ok(0x1ff_ffff_ffff & !(1 << 27)));
        assert_eq!(of(&["net_admin"], &["NET_RAW"]), Ok((0xa804_25fb | 1 << 12) & !(1 << 13)));
        assert!(of(&["SYS_BOGUS"], &[]).is_err());
        assert!(of(&["ALL"], &["ALL"]).is_err());
    }
}
