//! Do others see the same? Independent witnesses look at the processes that a view is taken of: capsh(1), lsns(8),
//! findmnt(8) and ip(8).
//!
//! Next: `witnesses_host`, what the host has of a container, and `view`, what no witness can say.

mod subject;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use subject::{alone, everybody, taken, witness};

#[test]
fn capsh_decodes_the_same_capabilities() {
    let _alone = alone();
    for (pid, _subject) in everybody("capsh") {
        let view = taken(pid);
        let sets = view.outside.capabilities.value().unwrap();
        assert_eq!(sets.len(), 5);
        for set in sets.values() {
            let Some(said) = witness("capsh", &["capsh", &format!("--decode={}", set.hex)]) else { continue };
            let said = said.trim().split_once('=').unwrap().1.to_uppercase();
            assert_eq!(set.names.join(","), said);
        }
    }
}

#[test]
fn lsns_sees_the_same_namespaces() {
    let _alone = alone();
    for (pid, _subject) in everybody("lsns") {
        let Some(said) = witness("lsns", &["lsns", "-J", "-o", "NS,TYPE", "-p", &pid.to_string()]) else {
            continue;
        };
        let said: Value = serde_json::from_str(&said).unwrap();
        let said: BTreeMap<String, u64> = said["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["type"].as_str().unwrap().to_owned(), one["ns"].as_u64().unwrap()))
            .collect();
        let view = taken(pid);
        let ours: BTreeMap<String, u64> = view
            .outside
            .namespaces
            .iter()
            .filter(|(kind, _)| !kind.ends_with("_for_children"))
            .map(|(kind, reading)| (kind.clone(), reading.value().unwrap().id))
            .collect();
        assert_eq!(ours, said);
    }
}

#[test]
fn findmnt_sees_the_same_mounts() {
    let _alone = alone();
    for (pid, _subject) in everybody("findmnt") {
        let columns = "TARGET,FSTYPE,VFS-OPTIONS,PROPAGATION,MAJ:MIN";
        let pid_text = pid.to_string();
        let Some(said) = witness("findmnt", &["findmnt", "-J", "--list", "-N", &pid_text, "-o", columns])
        else {
            continue;
        };
        let said: Value = serde_json::from_str(&said).unwrap();
        let word = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        let mut said: Vec<_> = said["filesystems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let propagation = word(one, "propagation");
                (
                    word(one, "target"),
                    word(one, "fstype"),
                    word(one, "vfs-options"),
                    propagation,
                    word(one, "maj:min"),
                )
            })
            .collect();
        let view = taken(pid);
        let mut ours: Vec<_> = view
            .outside
            .mounts
            .value()
            .unwrap()
            .iter()
            .map(|(place, mount)| {
                let place = place.split_once('#').map_or(place.as_str(), |(place, _)| place).to_owned();
                // findmnt says `private,slave` where the kernel says `master:N` alone.
                let propagation = mount.propagation.kind.clone();
                let propagation = if propagation == "slave" { "private,slave".into() } else { propagation };
                (place, mount.filesystem.clone(), mount.flags.join(","), propagation, mount.device.clone())
            })
            .collect();
        said.sort();
        ours.sort();
        assert_eq!(ours, said);
    }
}

#[test]
fn ip_sees_the_same_interfaces_addresses_and_routes() {
    let _alone = alone();
    for (pid, _subject) in everybody("ip") {
        let enter = |rest: &[&str]| {
            let pid = format!("{pid}");
            let own = pid == std::process::id().to_string();
            let user = own
                || std::fs::read_link(format!("/proc/{pid}/ns/user")).ok()
                    == std::fs::read_link("/proc/self/ns/user").ok();
            let mut command = if own { vec![] } else { vec!["nsenter", "-t", &pid, "-n"] };
            if !user {
                command.extend(["-U", "--preserve-credentials"]);
            }
            witness("ip", &[&command[..], rest].concat())
                .map(|text| serde_json::from_str::<Value>(&text).unwrap())
        };
        let view = taken(pid);
        let inside = view.inside.as_ref().unwrap();
        let Some(said) = enter(&["ip", "-j", "addr"]) else { continue };
        let said: BTreeMap<String, _> = said
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let addresses: BTreeSet<String> = one["addr_info"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|address| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]))
                    .collect();
                let up = one["flags"].as_array().unwrap().contains(&"UP".into());
                let state = one["operstate"].as_str().unwrap().to_lowercase();
                (
                    one["ifname"].as_str().unwrap().to_owned(),
                    (one["ifindex"].as_u64(), up, state, one["mtu"].as_u64(), addresses),
                )
            })
            .collect();
        let ours: BTreeMap<String, _> = inside
            .interfaces
            .value()
            .unwrap()
            .iter()
            .map(|(name, one)| {
                let (index, mtu) = (Some(u64::from(one.index)), Some(u64::from(one.mtu)));
                (
                    name.clone(),
                    (index, one.up, one.state.clone(), mtu, one.addresses.iter().cloned().collect()),
                )
            })
            .collect();
        assert_eq!(ours, said);

        let Some(said) = enter(&["ip", "-j", "-4", "route"]) else { continue };
        let said: BTreeSet<_> = said
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["gateway"].as_str().map(str::to_owned), one["dev"].as_str().map(str::to_owned)))
            .collect();
        let is_v4 = |to: &&String| !to.contains(':') && !to.contains("IPv6");
        let routes = inside.routes.value().unwrap();
        let ours: BTreeSet<_> = routes
            .iter()
            .filter(|(to, _)| is_v4(to))
            .map(|(_, one)| (one.via.clone(), one.interface.clone()))
            .collect();
        assert_eq!(ours, said);
    }
}
