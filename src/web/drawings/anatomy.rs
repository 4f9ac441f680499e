//! What is one process, seen from two sides? The host's list and the container's own look (5.1.2), with the namespaces
//! between that make them differ: the same object has the same key on both sides.
//!
//! Next: `illusions`.

use super::{Draw, Drawing, Shown};
use crate::probes::processes::Child;
use crate::terminal::text::list;
use crate::view::Inside;
use crate::web::scene::{Link, Panel, Row, Scene, Side, Tone, part};
use std::collections::BTreeMap;

pub const DRAWING: Drawing = Drawing {
    id: "anatomy",
    title: "One process, two worlds",
    section: "5.1.2",
    stages: &["clone", "cgroup", "veth", "pivot-root", "hostname", "exec"],
    draw: Draw::Process(draw),
};

/// What the container sees, and the namespace that makes it so.
const MADE_BY: [(&str, &str); 5] =
    [("process", "pid"), ("hostname", "uts"), ("root", "mnt"), ("interface", "net"), ("cgroup", "cgroup")];

fn draw(shown: &Shown) -> Scene {
    let container = container(shown);
    let mut links = Vec::new();
    for (row, kind) in MADE_BY {
        let ns = shown.view.outside.namespaces.get(kind).and_then(|reading| reading.value());
        let row =
            container.rows.iter().filter_map(|one| one.same.as_deref()).find(|same| same.starts_with(row));
        if let (Some(ns), Some(row)) = (ns, row) {
            let key = format!("ns:{}", ns.id);
            links.push(Link::new(format!("kernel/{key}"), format!("container/{row}"), "").same(key));
        }
    }
    Scene {
        says: says(shown),
        columns: vec![vec![host(shown)], vec![kernel(shown)], vec![container]],
        widths: vec![10, 9, 10],
        links,
        ..Scene::default()
    }
}

fn says(shown: &Shown) -> String {
    let outside = &shown.view.outside;
    let known: Vec<bool> = outside
        .namespaces
        .iter()
        .filter(|(kind, _)| !kind.ends_with("_for_children"))
        .filter_map(|(_, reading)| reading.value().map(|ns| ns.host))
        .collect();
    let own = match known.iter().filter(|host| !**host).count() {
        0 => format!("All {} namespaces that it is in are the host's", known.len()),
        own => format!("{own} of its {} namespaces are its own, the others the host's", known.len()),
    };
    let pids = outside.pids.value().map(Vec::as_slice).unwrap_or_default();
    match (shown.apart, pids) {
        (false, _) => {
            format!("There is no container yet: this is learnctr itself, an ordinary process. {own}.")
        }
        (true, [outside, .., inside]) => {
            format!("One process: the host counts it as {outside}, it counts itself as {inside}. {own}.")
        }
        (true, [pid]) => format!("One process with one number, {pid}, on both sides. {own}."),
        (true, []) => format!("Its numbers could not be read. {own}."),
    }
}

fn host(shown: &Shown) -> Panel {
    let outside = &shown.view.outside;
    let mut panel = Panel::new("host", Side::Host, "The host sees")
        .row(
            Row::read("pid", "/outside/pids", &outside.pids, |pids| {
                pids.first().map(i32::to_string).unwrap_or_default()
            })
            .fact("/outside/pids/value/0")
            .same("process", shown.view.pid),
        )
        .row(Row::read("name", "/outside/name", &outside.name, String::clone))
        .row(
            Row::read("user", "/outside/ids", &outside.ids, |ids| format!("uid {}", ids.uid.effective))
                .fact("/outside/ids/value/uid/effective"),
        );
    if let Some((at, name, group)) = shown.group() {
        panel.rows.push(
            Row::new("cgroup", &group.path)
                .fact(format!("/outside/cgroups/value/{}/path", part(at)))
                .same("cgroup", name)
                .tone(shown.group_tone()),
        );
    }
    panel.rows.push(match outside.root.get() {
        Ok(root) => match &root.on_host {
            Some(path) => {
                // An overlay lies nowhere on the host: what is written to it does.
                let label =
                    if root.filesystem.as_deref() == Some("overlay") { "writes go to" } else { "root" };
                Row::new(label, path).fact("/outside/root/value/on_host").same("root", 1)
            }
            None => Row::new("root", "no path of the host's leads there").same("root", 1),
        },
        Err(errno) => Row::refused("root", errno),
    });
    if let Some(root) = outside.root.value()
        && let Some(kind) = &root.filesystem
    {
        panel.rows.push(Row::new("root is", kind).fact("/outside/root/value/filesystem"));
    }
    panel.rows.extend(shown.outer_end());
    panel.rows.push(Row::read("hostname", "/outside/hostname", &outside.hostname, String::clone));
    panel.rows.push(Row::read("its parents", "/outside/processes", &outside.processes, |tree| {
        let line = tree.ancestors.iter().map(|one| format!("{} {}", one.pid, one.name));
        list(line.collect::<Vec<_>>().iter().rev(), ", ", 3)
    }));
    if let Some(row) = panel.rows.last_mut() {
        row.fact = None;
    }
    if let Some(tree) = outside.processes.value() {
        panel.rows.extend(children(&tree.children, "/outside/processes/value/children", 0));
    }
    panel
}

/// Of what it started, by the host's numbers.
fn children(tree: &BTreeMap<String, Child>, at: &str, depth: u8) -> Vec<Row> {
    let mut rows = Vec::new();
    for (pid, child) in tree.iter().take(8) {
        let at = format!("{at}/{}", part(pid));
        let label = if rows.is_empty() && depth == 0 { "its children" } else { "" };
        rows.push(
            Row::new(label, format!("{pid} {}", child.name)).fact(format!("{at}/name")).same("process", pid),
        );
        if depth < 3 {
            rows.extend(children(&child.children, &format!("{at}/children"), depth + 1));
        }
    }
    rows
}

fn kernel(shown: &Shown) -> Panel {
    let outside = &shown.view.outside;
    let known = |kind: &str| outside.namespaces.get(kind).and_then(|reading| reading.value()).map(|ns| ns.id);
    let rows = outside.namespaces.iter().filter_map(|(kind, reading)| {
        let at = format!("/outside/namespaces/{}", part(kind));
        // What children will get is said only where it is something else.
        if let Some(plain) = kind.strip_suffix("_for_children")
            && reading.value().is_none_or(|ns| known(plain) == Some(ns.id))
        {
            return None;
        }
        Some(match reading.get() {
            Ok(ns) => Row::new(kind, ns.id.to_string())
                .fact(format!("{at}/value/id"))
                .same("ns", ns.id)
                .tone(if ns.host { Tone::Shared } else { Tone::Own }),
            Err(errno) => Row::refused(kind, errno).fact(format!("{at}/refused")),
        })
    });
    Panel::new("kernel", Side::Kernel, "Its namespaces").rows(rows)
}

fn container(shown: &Shown) -> Panel {
    let outside = &shown.view.outside;
    let title = if shown.apart { "The container sees" } else { "It sees itself as" };
    let side = if shown.apart { Side::Container } else { Side::Host };
    let last = outside.pids.value().map_or(0, |pids| pids.len().saturating_sub(1));
    let mut panel = Panel::new("container", side, title).row(
        Row::read("pid", "/outside/pids", &outside.pids, |pids| {
            pids.last().map(i32::to_string).unwrap_or_default()
        })
        .fact(format!("/outside/pids/value/{last}"))
        .same("process", shown.view.pid),
    );
    match &shown.view.inside {
        Some(inside) => panel.rows.extend(sees(shown, inside)),
        None => panel.rows.push(Row::new("", "the inside was not looked at").tone(Tone::Off)),
    }
    panel
}

fn sees(shown: &Shown, inside: &Inside) -> Vec<Row> {
    let mut rows = vec![
        Row::read("user", "/inside/ids", &inside.ids, |ids| format!("uid {}", ids.uid.effective))
            .fact("/inside/ids/value/uid/effective"),
    ];
    if let (Some((at, name, _)), Some(paths)) = (shown.group(), inside.cgroups.value())
        && let Some(path) = paths.get(at)
    {
        let fact = format!("/inside/cgroups/value/{}", part(at));
        rows.push(Row::new("cgroup", path).fact(fact).same("cgroup", name));
    }
    rows.push(Row::new("root", "/").same("root", 1));
    if let Some(root) = inside.root.value() {
        rows.push(Row::new("in it", list(root.entries.keys(), " ", 24)));
    }
    for (name, interface) in inside.interfaces.value().into_iter().flatten() {
        let at = format!("/inside/interfaces/value/{}", part(name));
        let key = interface.mac.clone().unwrap_or_else(|| format!("{}-{name}", shown.view.pid));
        let address = interface.addresses.first();
        let value = format!("{name} {}", address.map_or("no address", String::as_str));
        let row = Row::new("interface", value).same("interface", key);
        rows.push(match address {
            Some(_) => row.fact(format!("{at}/addresses/0")),
            None => row,
        });
    }
    rows.push(Row::read("hostname", "/inside/hostname", &inside.hostname, String::clone).same("hostname", 1));
    match inside.processes.get() {
        Ok(seen) => {
            let label = |number: usize| if number == 0 { "processes" } else { "" };
            let named = seen.named.iter().take(8).enumerate().map(|(number, (pid, name))| {
                let fact = format!("/inside/processes/value/named/{}", part(pid));
                Row::new(label(number), format!("{pid} {name}")).fact(fact)
            });
            rows.extend(named);
            if seen.named.len() < seen.count as usize || seen.named.len() > 8 {
                rows.push(Row::new("processes", format!("{} in all", seen.count)));
            }
        }
        Err(errno) => rows.push(Row::refused("processes", errno)),
    }
    rows
}
