//! What are the rows of what a process sees itself?

use super::outside::ids;
use super::{Row, Section, Tone, plain, row, rows};
use crate::probes::{entries, network, processes};
use crate::terminal::text::list;
use crate::view::Inside;
use std::collections::BTreeMap;

const MOST: usize = 40;

pub fn sections(inside: &Inside) -> Vec<Section> {
    vec![
        (
            "Process",
            vec![
                row("host name", &inside.hostname, |name| plain(name)),
                row("ids", &inside.ids, |all| plain(ids(all))),
            ],
        ),
        ("Processes in /proc", rows("processes", &inside.processes, seen)),
        ("Cgroups", rows("cgroups", &inside.cgroups, by_path)),
        (
            "Interfaces",
            rows("interfaces", &inside.interfaces, |all| {
                all.iter()
                    .map(|(name, one)| {
                        Row::new(if one.up { Tone::Own } else { Tone::Dim }, name, interface(one))
                    })
                    .collect()
            }),
        ),
        (
            "Routes",
            rows("routes", &inside.routes, |all| match all.is_empty() {
                true => vec![Row::new(Tone::Dim, "none", "")],
                false => all.iter().map(|(to, one)| Row::new(Tone::Plain, to, route(one))).collect(),
            }),
        ),
        ("Root directory", rows("/", &inside.root, |list| vec![Row::new(Tone::Plain, "/", names(list))])),
        ("Devices", rows("/dev", &inside.devices, devices)),
        (
            "Files",
            inside
                .files
                .iter()
                .map(|(path, reading)| row(path, reading, |text| plain(text.trim_end())))
                .collect(),
        ),
    ]
}

fn seen(seen: &processes::Seen) -> Vec<Row> {
    match seen.named.is_empty() {
        true => vec![Row::new(Tone::Plain, "count", seen.count.to_string())],
        false => {
            let mut all: Vec<_> = seen.named.iter().collect();
            all.sort_by_key(|(pid, _)| pid.parse::<u32>().unwrap_or(0));
            all.into_iter().map(|(pid, name)| Row::new(Tone::Own, pid, name)).collect()
        }
    }
}

/// The hierarchies that say the same together, since on a container's inside that is all of them.
fn by_path(paths: &BTreeMap<String, String>) -> Vec<Row> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, path) in paths {
        groups.entry(path).or_default().push(name);
    }
    groups.into_iter().map(|(path, names)| Row::new(Tone::Plain, path, names.join(" "))).collect()
}

pub fn interface(interface: &network::Interface) -> String {
    let mut words = vec![format!("index {}", interface.index)];
    words.extend(interface.kind.clone());
    words.push(if interface.up { format!("up, {}", interface.state) } else { "down".to_owned() });
    words.push(format!("mtu {}", interface.mtu));
    words.extend(interface.mac.clone().filter(|mac| !mac.trim_matches(['0', ':']).is_empty()));
    if let Some(peer) = interface.peer {
        let place = interface.peer_namespace.map_or("", |_| " in another network namespace");
        words.push(format!("peer index {peer}{place}"));
    }
    words.extend(interface.master.map(|index| format!("port of index {index}")));
    words.extend(interface.addresses.iter().cloned());
    words.join(", ")
}

pub fn route(route: &network::Route) -> String {
    let mut words = Vec::new();
    words.extend((route.kind != "unicast").then(|| route.kind.clone()));
    words.extend(route.via.as_ref().map(|via| format!("via {via}")));
    words.extend(route.interface.as_ref().map(|name| format!("dev {name}")));
    words.extend(route.source.as_ref().map(|source| format!("src {source}")));
    words.extend(route.metric.map(|metric| format!("metric {metric}")));
    words.join(" ")
}

fn names(list_of: &entries::Entries) -> String {
    let name = |(name, entry): (&String, &entries::Entry)| match (&entry.link, entry.kind.as_str()) {
        (Some(link), _) => format!("{name}→{link}"),
        (None, "directory") => format!("{name}/"),
        _ => name.clone(),
    };
    list(list_of.entries.iter().map(name), "  ", MOST)
}

fn devices(list_of: &entries::Entries) -> Vec<Row> {
    let device = |(name, entry): (&String, &entries::Entry)| {
        let letter = if entry.kind == "block device" { 'b' } else { 'c' };
        Some(format!("{name} {letter} {} {}", entry.device.as_ref()?, entry.mode.as_ref()?))
    };
    let others = list_of.entries.iter().filter(|(_, entry)| entry.device.is_none());
    let others = entries::Entries {
        entries: others.map(|(name, entry)| (name.clone(), entry.clone())).collect(),
        more: false,
    };
    let mut found =
        vec![Row::new(Tone::Plain, "nodes", list(list_of.entries.iter().filter_map(device), ", ", MOST))];
    found.push(Row::new(Tone::Plain, "others", names(&others)));
    found.retain(|row| !row.text.is_empty());
    if list_of.more {
        found.push(Row::new(Tone::Dim, "…", "and more"));
    }
    found
}
