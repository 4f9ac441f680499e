//! How does it reach anybody (5.6.1)? What the container thinks that it has, the pair that the kernel made, and what the host
//! has of it: the other end, a bridge, and what lets packets pass. No rule at all is an answer too.
//!
//! Next: [`super::way`], a packet's way by it.

use super::{Draw, Drawing, Shown, way};
use crate::probes::Reading;
use crate::probes::host_network::HostNetwork;
use crate::probes::network::Interface;
use crate::terminal::text::clean;
use crate::view::Inside;
use crate::web::scene::{Link, Panel, Row, Scene, Side, State, Tone, part};
use std::collections::BTreeMap;

pub const DRAWING: Drawing = Drawing {
    id: "net",
    title: "Network",
    section: "5.6.1",
    stages: &["clone", "veth"],
    draw: Draw::Process(draw),
};

/// More of a kind than these are counted.
const MOST: usize = 8;

/// Where its interfaces are.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// There is no container yet.
    Before,
    /// In the host's namespace.
    Shared,
    /// In another one.
    Apart,
}

fn draw(shown: &Shown) -> Scene {
    let place = place(shown);
    let network = &shown.view.outside.host_network;
    let pairs = pairs(shown);
    // It names interfaces, and the container chooses what its own are called.
    let mut scene = Scene { says: clean(&says(shown, place, &pairs)), ..Scene::default() };
    scene.columns = vec![
        vec![inside(shown, place)],
        kernel(shown, place, &pairs),
        vec![outside(place, network), passing(network)],
    ];
    scene.widths = vec![10, 9, 10];
    if place == Place::Apart {
        scene.below = way::below(shown, &pairs);
    }
    for pair in &pairs {
        let (near, far) =
            (key(shown, pair.inside, pair.interface), pair.end.map(|(name, end)| key(shown, name, end)));
        scene.links.push(
            Link::new(format!("inside/interface:{near}"), format!("pair/interface:{near}"), "")
                .same(format!("interface:{near}")),
        );
        if let Some(far) = far {
            scene.links.push(
                Link::new(format!("pair/interface:{far}"), format!("outside/interface:{far}"), "")
                    .same(format!("interface:{far}")),
            );
        }
    }
    scene
}

fn place(shown: &Shown) -> Place {
    let host = shown.view.outside.namespaces.get("net").and_then(Reading::value).is_none_or(|ns| ns.host);
    match (shown.apart, host) {
        (false, _) => Place::Before,
        (true, true) => Place::Shared,
        (true, false) => Place::Apart,
    }
}

/// A veth inside, and the end of it that the host has.
pub struct Pair<'a> {
    pub inside: &'a str,
    pub interface: &'a Interface,
    pub end: Option<(&'a str, &'a Interface)>,
}

fn pairs<'a>(shown: &'a Shown) -> Vec<Pair<'a>> {
    let inside = shown.view.inside.as_ref().and_then(|inside| inside.interfaces.value());
    let ends = shown.view.outside.host_network.ends.value();
    let mut pairs = Vec::new();
    // In the reader's own namespace no end is the other world's.
    for (name, interface) in inside.into_iter().flatten().filter(|_| place(shown) == Place::Apart) {
        let is_end = |end: &Interface| Some(end.index) == interface.peer && end.peer == Some(interface.index);
        if interface.kind.as_deref() == Some("veth") {
            let end = ends.into_iter().flatten().find(|(_, end)| is_end(end));
            pairs.push(Pair { inside: name, interface, end: end.map(|(name, end)| (name.as_str(), end)) });
        }
    }
    pairs
}

/// The host's end of each of its pairs, with the key that the end inside has: they are drawn as one wire elsewhere.
pub fn outer_ends(shown: &Shown) -> Vec<Row> {
    let row = |pair: Pair| {
        let (name, _) = pair.end?;
        let at = format!("/outside/host_network/ends/value/{}", part(name));
        let key = key(shown, pair.inside, pair.interface);
        let (_, end) = pair.end?;
        Some(
            match end.addresses.first() {
                Some(address) => {
                    Row::new("other end", format!("{name} {address}")).fact(format!("{at}/addresses/0"))
                }
                None => Row::new("other end", name),
            }
            .same("interface", key),
        )
    };
    pairs(shown).into_iter().filter_map(row).collect()
}

fn says(shown: &Shown, place: Place, pairs: &[Pair]) -> String {
    let interfaces = shown.view.inside.as_ref().and_then(|inside| inside.interfaces.value());
    let count = interfaces.map_or(0, BTreeMap::len);
    let forward = shown.view.outside.host_network.ip_forward.value();
    match (place, pairs.first()) {
        (Place::Before, _) => {
            format!(
                "Still learnctr’s own process: it sees the host’s {count} interfaces, as every process does."
            )
        }
        (Place::Shared, _) => format!(
            "It has no network of its own: the host’s {count} interfaces are its own too, and so are the ports on them."
        ),
        (Place::Apart, None) => match interfaces {
            Some(interfaces) if interfaces.values().any(|one| !one.addresses.is_empty()) => format!(
                "Its network is its own and leads nowhere: {} reaches nobody but itself.",
                names(interfaces)
            ),
            Some(interfaces) => format!(
                "Its network is its own and still without an address: it has {}, and nobody can reach it.",
                names(interfaces)
            ),
            None => "Its network is its own; what is in it could not be read.".to_owned(),
        },
        (Place::Apart, Some(pair)) => {
            let first = match pair.end {
                Some((end, _)) => format!(
                    "What it calls {} is one end of a pair; the other end is {end} on the host.",
                    pair.inside
                ),
                None => format!(
                    "What it calls {} is one end of a pair; the host does not find the other.",
                    pair.inside
                ),
            };
            match forward {
                Some(false) => {
                    format!("{first} The host passes nothing on: it reaches the host, and no further.")
                }
                Some(true) => format!("{first} The host passes packets on to where they are to go."),
                None => first,
            }
        }
    }
}

fn names(interfaces: &BTreeMap<String, Interface>) -> String {
    interfaces.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The same object everywhere: by its hardware address, and lo, which has none, by whose it is.
pub fn key(shown: &Shown, name: &str, interface: &Interface) -> String {
    let real = interface.mac.clone().filter(|mac| mac.chars().any(|digit| !matches!(digit, '0' | ':')));
    real.unwrap_or_else(|| format!("{}-{name}", shown.view.pid))
}

fn inside(shown: &Shown, place: Place) -> Panel {
    let (side, title) = match place {
        Place::Before => (Side::Host, "learnctr sees"),
        Place::Shared | Place::Apart => (Side::Container, "The container thinks"),
    };
    let mut panel = Panel::new("inside", side, title);
    let Some(inside) = &shown.view.inside else {
        return panel.row(Row::new("", "the inside was not looked at").tone(Tone::Off));
    };
    let tone = if place == Place::Shared { Tone::Shared } else { Tone::Plain };
    match inside.interfaces.get() {
        Ok(interfaces) => {
            for (name, one) in interfaces.iter().take(MOST) {
                let at = format!("/inside/interfaces/value/{}", part(name));
                panel.rows.extend(interface(name, one, &at, &key(shown, name, one), tone));
            }
            panel.rows.extend(more(interfaces.len()));
        }
        Err(errno) => panel.rows.push(Row::refused("interfaces", errno).fact("/inside/interfaces/refused")),
    }
    panel.rows(routes(inside)).rows(servers(shown, inside))
}

/// One interface: its name and state, and below that its addresses.
fn interface(name: &str, one: &Interface, at: &str, key: &str, tone: Tone) -> Vec<Row> {
    // lo has no operational state of its own (RFC 2863): it is unknown, and works when it was set up. A pair's is
    // down until both ends are set up and the kernel has seen that.
    let state = match (one.up, one.state.as_str()) {
        (true, "up") | (false, _) => format!("{}, mtu {}", one.state, one.mtu),
        (true, state @ "unknown") => format!("set up ({state}), mtu {}", one.mtu),
        (true, state) => format!("set up, not working yet ({state}), mtu {}", one.mtu),
    };
    let mut rows = vec![Row::new(name, state).fact(format!("{at}/state")).same("interface", key).tone(tone)];
    for (number, address) in one.addresses.iter().take(MOST).enumerate() {
        let bare = address.split('/').next().unwrap_or_default();
        rows.push(
            Row::new("", address).fact(format!("{at}/addresses/{number}")).same("addr", bare).indent(1),
        );
    }
    if let Some(mac) = one.mac.as_ref().filter(|_| name != "lo") {
        rows.push(Row::new("", format!("mac {mac}")).fact(format!("{at}/mac")).indent(1));
    }
    rows
}

fn more(count: usize) -> Option<Row> {
    let more = count.checked_sub(MOST).filter(|more| *more > 0)?;
    Some(Row::new("", format!("and {more} more")).tone(Tone::Off))
}

fn routes(inside: &Inside) -> Vec<Row> {
    let routes = match inside.routes.get() {
        Ok(routes) => routes,
        Err(errno) => return vec![Row::refused("routes", errno).fact("/inside/routes/refused")],
    };
    let gateway = routes.get("default").and_then(|route| route.via.as_ref());
    let mut rows = vec![match gateway {
        Some(via) => Row::new("gateway", via).fact("/inside/routes/value/default/via").same("addr", via),
        None => Row::new("gateway", "none").tone(Tone::Off),
    }];
    let others = || routes.iter().filter(|(destination, _)| *destination != "default");
    for (destination, route) in others().take(MOST) {
        let row =
            // Of several to one place the key has a number behind it.
            Row::new("route", format!("{} {}", destination.split('#').next().unwrap_or_default(), route.interface.as_deref().unwrap_or(&route.kind)));
        let field = if route.interface.is_some() { "interface" } else { "kind" };
        rows.push(row.fact(format!("/inside/routes/value/{}/{field}", part(destination))));
    }
    rows.extend(more(others().count()));
    rows
}

/// Those of /etc/resolv.conf, which is the host's file for as long as the root is.
fn servers(shown: &Shown, inside: &Inside) -> Vec<Row> {
    let Some(file) = inside.files.get("/etc/resolv.conf") else { return Vec::new() };
    let text = match file.get() {
        Ok(text) => text,
        Err(errno) => {
            return vec![Row::refused("DNS", errno).fact("/inside/files/~1etc~1resolv.conf/refused")];
        }
    };
    let tone = if shown.in_hosts_root() { Tone::Shared } else { Tone::Plain };
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim);
    let rows: Vec<Row> = servers.take(3).map(|server| Row::new("DNS", server).tone(tone)).collect();
    match rows.is_empty() {
        true => vec![Row::new("DNS", "no server in /etc/resolv.conf").tone(Tone::Off)],
        false => rows,
    }
}

/// Which namespaces there are, and the pair between them.
fn kernel(shown: &Shown, place: Place, pairs: &[Pair]) -> Vec<Panel> {
    let mut namespaces = Panel::new("namespaces", Side::Kernel, "Network namespaces");
    if let Some(reading) = shown.view.outside.namespaces.get("net") {
        let at = "/outside/namespaces/net";
        namespaces.rows.push(match reading.get() {
            Ok(ns) => {
                Row::new(if place == Place::Before { "learnctr’s" } else { "container’s" }, ns.id.to_string())
                    .fact(format!("{at}/value/id"))
                    .same("ns", ns.id)
                    .tone(if ns.host { Tone::Shared } else { Tone::Own })
            }
            Err(errno) => Row::refused("container’s", errno).fact(format!("{at}/refused")),
        });
    }
    let regular = shown.run.begun.as_ref().and_then(|begun| begun.regular.as_ref());
    if let Some(ns) = regular.and_then(|view| view.outside.namespaces.get("net")?.value()) {
        namespaces.rows.push(
            Row::new("the host’s", ns.id.to_string())
                .fact("/regular/outside/namespaces/net/value/id")
                .same("ns", ns.id)
                .tone(Tone::Shared),
        );
    }
    let mut pair = Panel::new("pair", Side::Kernel, "The pair (veth)");
    for one in pairs {
        let at = format!("/inside/interfaces/value/{}/index", part(one.inside));
        pair.rows.push(
            Row::new(one.inside, format!("index {}", one.interface.index))
                .fact(at)
                .same("interface", key(shown, one.inside, one.interface)),
        );
        pair.rows.push(match one.end {
            Some((name, end)) => Row::new(name, format!("index {}", end.index))
                .fact(format!("/outside/host_network/ends/value/{}/index", part(name)))
                .same("interface", key(shown, name, end)),
            None => {
                let index = one.interface.peer.map_or_else(|| "?".to_owned(), |peer| peer.to_string());
                Row::new("its peer", format!("index {index}, not found"))
                    .fact(format!("/inside/interfaces/value/{}/peer", part(one.inside)))
                    .tone(Tone::Off)
            }
        });
    }
    if pairs.is_empty() {
        let why = match place {
            Place::Apart => "none: no wire leads out of it",
            Place::Before | Place::Shared => "none is needed: it is one network",
        };
        pair = pair.state(State::Off).row(Row::new("", why));
    }
    vec![pair, namespaces]
}

fn outside(place: Place, network: &HostNetwork) -> Panel {
    let mut panel = Panel::new("outside", Side::Host, "The host has");
    panel.rows = ends("ends", &network.ends);
    if panel.rows.is_empty() {
        let why = match place {
            Place::Apart => "no end of a pair of its",
            Place::Before | Place::Shared => "the same interfaces",
        };
        return panel.state(State::Off).row(Row::new("", why));
    }
    let bridges = ends("bridges", &network.bridges);
    if bridges.is_empty() {
        return panel.row(Row::new("bridge", "none: the end is a port of no bridge").tone(Tone::Off));
    }
    panel.row(Row::new("bridge", "the end is a port of:")).rows(bridges)
}

fn ends(field: &str, reading: &Reading<BTreeMap<String, Interface>>) -> Vec<Row> {
    let at = format!("/outside/host_network/{field}");
    match reading.get() {
        Ok(all) => {
            let rows = all.iter().take(MOST).flat_map(|(name, one)| {
                let key = one.mac.as_deref().unwrap_or(name);
                interface(name, one, &format!("{at}/value/{}", part(name)), key, Tone::Plain)
            });
            rows.chain(more(all.len())).collect()
        }
        Err(errno) => vec![Row::refused(field, errno).fact(format!("{at}/refused"))],
    }
}

/// What the host lets pass, and what looks at packets on their way.
fn passing(network: &HostNetwork) -> Panel {
    let at = "/outside/host_network";
    let mut panel = Panel::new("passing", Side::Host, "What the host lets pass").row(Row::read(
        "ip_forward",
        &format!("{at}/ip_forward"),
        &network.ip_forward,
        |yes| {
            if *yes {
                "yes: from one interface to another".into()
            } else {
                "no: not to another interface".into()
            }
        },
    ));
    match network.chains.get() {
        Ok(chains) if chains.is_empty() => {
            panel.rows.push(Row::new("nf_tables", "no chain").tone(Tone::Off));
        }
        Ok(chains) => {
            panel.rows.extend(chains.iter().take(MOST).map(|(name, chain)| {
                let policy =
                    chain.policy.as_ref().map_or_else(String::new, |policy| format!(", else {policy}"));
                Row::new("nf_tables", format!("{name}: at {}, {}{policy}", chain.hook, chain.kind))
                    .fact(format!("{at}/chains/value/{}/hook", part(name)))
            }));
            panel.rows.extend(more(chains.len()));
        }
        Err(errno) => panel.rows.push(Row::refused("nf_tables", errno).fact(format!("{at}/chains/refused"))),
    }
    panel.row(match network.legacy_tables.get() {
        Ok(tables) if tables.is_empty() => Row::new("iptables", "no table").tone(Tone::Off),
        Ok(tables) => Row::new("iptables", tables.join(" ")).fact(format!("{at}/legacy_tables/value")),
        Err(errno) => Row::refused("iptables", errno).fact(format!("{at}/legacy_tables/refused")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_set_up_and_does_not_work_yet_is_not_called_down_alone() {
        let told = |up: bool, state: &str| {
            let one = serde_json::json!({"index": 2, "up": up, "state": state, "mtu": 1500, "addresses": []});
            let one: Interface = serde_json::from_value(one).unwrap();
            interface("eth0", &one, "/at", "key", Tone::Plain)[0].value.clone()
        };
        assert_eq!(told(true, "up"), "up, mtu 1500");
        assert_eq!(told(false, "down"), "down, mtu 1500");
        assert_eq!(told(true, "unknown"), "set up (unknown), mtu 1500");
        assert_eq!(told(true, "lowerlayerdown"), "set up, not working yet (lowerlayerdown), mtu 1500");
    }
}
