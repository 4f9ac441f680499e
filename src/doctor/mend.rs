//! Which command mends it here? The package manager is the distribution's, from os-release(5).
//!
//! Next: [`super::causes`].

use crate::host::Host;
use std::path::Path;

/// The distribution, as far as installing goes.
#[derive(Debug, Default, PartialEq)]
pub struct Distribution {
    pub name: Option<String>,
    pub manager: Option<Manager>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manager {
    Apt,
    Dnf,
    Pacman,
    Apk,
    Zypper,
}

/// What os-release calls itself or is like, and who installs there.
const MANAGERS: [(&str, Manager); 11] = [
    ("debian", Manager::Apt),
    ("ubuntu", Manager::Apt),
    ("fedora", Manager::Dnf),
    ("rhel", Manager::Dnf),
    ("centos", Manager::Dnf),
    ("amzn", Manager::Dnf),
    ("arch", Manager::Pacman),
    ("alpine", Manager::Apk),
    ("suse", Manager::Zypper),
    ("opensuse", Manager::Zypper),
    ("sles", Manager::Zypper),
];

/// What is installed, by the name that each distribution gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Package {
    /// newuidmap(1) and newgidmap(1)
    Newuidmap,
    /// nft(8)
    Nft,
}

impl Distribution {
    pub fn look() -> Distribution {
        let read = std::fs::read_to_string;
        parse(&read("/etc/os-release").or_else(|_| read("/usr/lib/os-release")).unwrap_or_default())
    }

    /// The command that installs a package.
    pub fn install(&self, package: Package, host: &Host) -> Option<String> {
        let command = match (self.manager?, package) {
            (Manager::Apt, Package::Newuidmap) => "apt-get install uidmap",
            (Manager::Dnf, Package::Newuidmap) => "dnf install shadow-utils",
            (Manager::Pacman, Package::Newuidmap) => "pacman -S shadow",
            (Manager::Apk, Package::Newuidmap) => "apk add shadow-uidmap",
            (Manager::Zypper, Package::Newuidmap) => "zypper install shadow",
            (Manager::Apt, Package::Nft) => "apt-get install nftables",
            (Manager::Dnf, Package::Nft) => "dnf install nftables",
            (Manager::Pacman, Package::Nft) => "pacman -S nftables",
            (Manager::Apk, Package::Nft) => "apk add nftables",
            (Manager::Zypper, Package::Nft) => "zypper install nftables",
        };
        Some(as_root(host, command))
    }
}

/// os-release(5): `KEY=value`, the value perhaps quoted.
pub fn parse(text: &str) -> Distribution {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let value = line.strip_prefix(key)?.strip_prefix('=')?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
        })
    };
    let kin = [value("ID"), value("ID_LIKE")].map(Option::unwrap_or_default).join(" ").to_lowercase();
    let words = || kin.split([' ', '-']);
    let manager = words().find_map(|word| MANAGERS.iter().find(|(name, _)| *name == word));
    Distribution { name: value("PRETTY_NAME").or(value("ID")), manager: manager.map(|(_, manager)| *manager) }
}

/// The command as this user has to type it.
pub fn as_root(host: &Host, command: &str) -> String {
    match host.uid {
        0 => command.to_owned(),
        _ => format!("sudo {command}"),
    }
}

/// Give a user a range of ids that overlaps nobody's: after the last one given.
pub fn give_range(host: &Host) -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let user = host.user.clone().unwrap_or_else(|| host.uid.to_string());
    let first = next_range(&(read("/etc/subuid") + "\n" + &read("/etc/subgid")));
    let last = first.saturating_add(65_535);
    let command = format!("usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {user}");
    as_root(host, &command)
}

fn next_range(text: &str) -> u32 {
    let end = |line: &str| {
        let mut numbers = line.split(':').skip(1).map(|number| number.trim().parse::<u32>().ok());
        numbers.next()??.checked_add(numbers.next()??)
    };
    text.lines().filter_map(end).fold(100_000, u32::max)
}

/// Load a module, where modules can be loaded; else the kernel was built without it.
pub fn load_module(host: &Host, module: &str) -> Option<String> {
    let modules = Path::new("/proc/modules").exists();
    modules.then(|| as_root(host, &format!("modprobe {module}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_manager_is_that_of_the_nearest_kin() {
        let of = |text: &str| parse(text).manager;
        assert_eq!(of("NAME=x\nID=debian\n"), Some(Manager::Apt));
        assert_eq!(of("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Some(Manager::Dnf));
        assert_eq!(of("ID=opensuse-tumbleweed\nID_LIKE='opensuse suse'"), Some(Manager::Zypper));
        assert_eq!(of("ID=opensuse-leap"), Some(Manager::Zypper));
        assert_eq!(of("ID=alpine"), Some(Manager::Apk));
        assert_eq!(of("ID=\"alpine\""), Some(Manager::Apk));
        assert_eq!(of("ID=manjaro\nID_LIKE=arch"), Some(Manager::Pacman));
        assert_eq!(of("ID=nixos"), None);
    }

    #[test]
    fn a_new_range_overlaps_none() {
        assert_eq!(next_range(""), 100_000);
        assert_eq!(next_range("ann:100000:65536\nbob:165536:65536\nann:5:5\n"), 231_072);
        assert_eq!(next_range("ann:4294967295:9\nx\n:::\n"), 100_000);
    }

    proptest! {
        #[test]
        fn no_input_panics(text in "(?s)(ID=|ID_LIKE=|[a-z:0-9\"\n]){0,40}") {
            parse(&text);
            next_range(&text);
        }
    }
}
