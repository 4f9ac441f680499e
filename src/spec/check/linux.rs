//! The rules of `linux`: namespaces and what needs them, devices, resources, sysctls.
//!
//! Next: `crate::plan`.

use super::super::{Error, Note, cgroup, ids as maps, mount, sysctl};
use super::{Checked, ids};
use oci_spec::runtime::{Linux, LinuxDeviceType, LinuxIdMapping, LinuxNamespaceType, LinuxResources};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

pub fn check(checked: &Checked, linux: &Linux, notes: &mut Vec<Note>) -> Result<(), Error> {
    namespaces(checked, linux)?;
    user_namespace(checked, linux)?;
    devices(checked, linux)?;
    if let Some(resources) = linux.resources() {
        check_resources(checked, resources)?;
    }
    if let Some(path) = linux.cgroups_path() {
        let text = path.to_string_lossy();
        checked.no_nul("linux.cgroupsPath", &text)?;
        if !text.is_empty() && !path.components().any(|part| matches!(part, Component::Normal(_))) {
            let expected = "a group of its own, such as /learnctr-web: limits of this one would be for all of this machine";
            return checked.fault("linux.cgroupsPath", format!("{text:?}"), expected);
        }
        if text.split(':').count() == 3 {
            let why = "is written for systemd (slice:prefix:name); it is used as a path";
            notes.push(Note::new("cgroup", format!("linux.cgroupsPath {text:?} {why}")));
        }
    }
    if let Some(propagation) = linux.rootfs_propagation().as_ref().filter(|text| !text.is_empty())
        && mount::parse(&[propagation]).propagation.is_empty()
    {
        return checked.fault(
            "linux.rootfsPropagation",
            format!("{propagation:?}"),
            "rslave, rprivate, rshared or the like",
        );
    }
    for (name, paths) in [("maskedPaths", linux.masked_paths()), ("readonlyPaths", linux.readonly_paths())] {
        for (index, path) in paths.iter().flatten().enumerate() {
            checked.absolute(&format!("linux.{name}[{index}]"), path.as_ref())?;
        }
    }
    let mut sysctls: Vec<_> = linux.sysctl().iter().flatten().collect();
    sysctls.sort();
    for (name, value) in sysctls {
        sysctl(checked, name, value)?;
    }
    Ok(())
}

fn namespaces(checked: &Checked, linux: &Linux) -> Result<(), Error> {
    let all = linux.namespaces().as_deref().unwrap_or(&[]);
    for (index, namespace) in all.iter().enumerate() {
        let path = format!("linux.namespaces[{index}]");
        if all.iter().take(index).any(|other| other.typ() == namespace.typ()) {
            return checked.fault(&path, format!("a second namespace {}", namespace.typ()), "each kind once");
        }
        if let Some(joined) = namespace.path() {
            checked.absolute(&format!("{path}.path"), joined)?;
            if namespace.typ() == LinuxNamespaceType::Mount {
                let expected = "no path: what is mounted in a namespace of others would stay there, and pivot_root(2) would \
                                take their root away (the host's, if it is /proc/1/ns/mnt)";
                return checked.fault(&format!("{path}.path"), format!("{joined:?}"), expected);
            }
        }
    }
    if !checked.has(LinuxNamespaceType::Mount) {
        let expected = r#"{"type": "mount"}: without it each mount would be the host's"#;
        return checked.fault("linux.namespaces", "no mount namespace", expected);
    }
    let offsets = linux.time_offsets().as_ref().filter(|offsets| !offsets.is_empty());
    for (clock, offset) in offsets.into_iter().flatten() {
        if !checked.has(LinuxNamespaceType::Time) {
            return checked.fault("linux.timeOffsets", "offsets", "a time namespace in linux.namespaces too");
        }
        let path = format!("linux.timeOffsets.{clock}");
        if clock != "monotonic" && clock != "boottime" {
            return checked.fault(&path, format!("{clock:?}"), "monotonic or boottime (time_namespaces(7))");
        }
        if let Some(n) = offset.nanosecs().filter(|n| *n > 999_999_999) {
            return checked.fault(&format!("{path}.nanosecs"), n, "0 to 999999999");
        }
    }
    Ok(())
}

fn user_namespace(checked: &Checked, linux: &Linux) -> Result<(), Error> {
    let user = checked.namespace(LinuxNamespaceType::User);
    let joined = user.is_some_and(|namespace| namespace.path().is_some());
    let process = checked.spec.process().as_ref().map(|process| process.user());
    let wanted = [process.map(|user| user.uid()), process.map(|user| user.gid())];
    let both = [("uid", linux.uid_mappings()), ("gid", linux.gid_mappings())];
    for ((kind, map), wanted) in both.into_iter().zip(wanted) {
        let path = format!("linux.{kind}Mappings");
        let map: &[LinuxIdMapping] = map.as_deref().unwrap_or(&[]);
        match user {
            None if !map.is_empty() => {
                return checked.fault(&path, "mappings", "a user namespace in linux.namespaces too");
            }
            Some(_) if joined && !map.is_empty() => {
                return checked.fault(
                    &path,
                    "mappings",
                    "none: the user namespace that is joined has its own",
                );
            }
            Some(_) if !joined && map.is_empty() => {
                let expected =
                    r#"who is root inside, such as [{"containerID": 0, "hostID": 100000, "size": 65536}]"#;
                return checked.fault(&path, "nothing", expected);
            }
            _ => ids::check(checked, &path, map)?,
        }
        if let Some(id) = wanted.filter(|id| !map.is_empty() && !maps::mapped(map, *id)) {
            let expected = format!("one that linux.{kind}Mappings maps: setting others gives EINVAL");
            return checked.fault(&format!("process.user.{kind}"), id, &expected);
        }
    }
    Ok(())
}

fn devices(checked: &Checked, linux: &Linux) -> Result<(), Error> {
    for (index, device) in linux.devices().iter().flatten().enumerate() {
        let path = format!("linux.devices[{index}]");
        checked.absolute(&format!("{path}.path"), device.path())?;
        let number = |n: i64, most: i64| (0..=most).contains(&n);
        match device.typ() {
            LinuxDeviceType::A => {
                return checked.fault(&format!("{path}.type"), r#""a""#, "b, c, u or p: one device");
            }
            LinuxDeviceType::P => {}
            // 12 bits and 20 bits (makedev(3)).
            _ if !number(device.major(), 0xfff) || !number(device.minor(), 0xf_ffff) => {
                let found = format!("{}:{}", device.major(), device.minor());
                return checked.fault(&path, found, "a major of 0 to 4095 and a minor of 0 to 1048575");
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_resources(checked: &Checked, resources: &LinuxResources) -> Result<(), Error> {
    for (index, rule) in resources.devices().iter().flatten().enumerate() {
        let path = format!("linux.resources.devices[{index}]");
        let access = rule.access().as_deref().unwrap_or("");
        if access.is_empty() || !access.chars().all(|c| "rwm".contains(c)) {
            return checked.fault(
                &format!("{path}.access"),
                format!("{access:?}"),
                "one or more of r, w and m",
            );
        }
        if let Some(LinuxDeviceType::U | LinuxDeviceType::P) = rule.typ() {
            return checked.fault(&format!("{path}.type"), "u or p", "a, b or c");
        }
        for (name, number) in [("major", rule.major()), ("minor", rule.minor())] {
            if let Some(n) = number.filter(|n| *n < -1 || *n > i64::from(u32::MAX)) {
                return checked.fault(&format!("{path}.{name}"), n, "a device's number, or -1 for any");
            }
        }
    }
    for (index, huge) in resources.hugepage_limits().iter().flatten().enumerate() {
        let path = format!("linux.resources.hugepageLimits[{index}].pageSize");
        let size = huge.page_size();
        let digits = size.trim_end_matches(|c: char| "KMGB".contains(c));
        if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) || !size.ends_with("B") {
            return checked.fault(
                &path,
                format!("{size:?}"),
                r#"a size of the kernel's, such as "2MB" or "1GB""#,
            );
        }
    }
    // What cannot be written in either version is a fault of the description.
    for limits in [cgroup::v1(resources), cgroup::v2(resources)] {
        let limits =
            limits.map_err(|error| Error { at: format!("{}: {}", checked.file, error.at), ..error })?;
        for write in limits.writes {
            checked.no_nul(&format!("linux.resources ({})", write.file), &write.value)?;
        }
    }
    Ok(())
}

/// Kernel parameters that the IPC namespace has its own of.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// A parameter may be set only where it is the container's own: else it would be the host's.
fn sysctl(checked: &Checked, name: &str, value: &str) -> Result<(), Error> {
    let path = format!("linux.sysctl[{name:?}]");
    checked.no_nul(&path, name)?;
    checked.no_nul(&path, value)?;
    let dots = sysctl::dotted(name);
    if dots.split('.').any(|part| part.is_empty() || part.starts_with('/') || part == "..") {
        return checked.fault(&path, format!("{name:?}"), "a kernel parameter, such as net.core.somaxconn");
    }
    let (kind, namespace) = match dots.as_str() {
        "kernel.hostname" => {
            return checked.fault(&path, format!("{value:?}"), "the field hostname in its place");
        }
        "kernel.domainname" => (LinuxNamespaceType::Uts, "uts"),
        ipc if IPC.contains(&ipc) || ipc.starts_with("fs.mqueue.") => (LinuxNamespaceType::Ipc, "ipc"),
        net if net.starts_with("net.") => (LinuxNamespaceType::Network, "network"),
        _ => {
            let expected = "one that a namespace has its own of: net.*, fs.mqueue.*, kernel.shm*, kernel.msg*, kernel.sem";
            return checked.fault(&path, format!("{value:?}"), expected);
        }
    };
    let expected = match checked.namespace(kind) {
        None => format!("a {namespace} namespace in linux.namespaces too: else it would be set for the host"),
        Some(joined) if joined.path().as_ref().is_some_and(|joined| is_own(joined, kind)) => {
            format!(
                "another {namespace} namespace than the host's, which linux.namespaces joins: it would be set for the host"
            )
        }
        Some(_) => return Ok(()),
    };
    checked.fault(&path, format!("{value:?}"), &expected)
}

/// Whether this path is the namespace that we are in ourselves.
fn is_own(path: &Path, kind: LinuxNamespaceType) -> bool {
    let own = match kind {
        LinuxNamespaceType::Uts => "/proc/self/ns/uts",
        LinuxNamespaceType::Ipc => "/proc/self/ns/ipc",
        _ => "/proc/self/ns/net",
    };
    let inode = |path: &Path| std::fs::metadata(path).map(|of| (of.dev(), of.ino())).ok();
    inode(path).is_some_and(|joined| Some(joined) == inode(Path::new(own)))
}
