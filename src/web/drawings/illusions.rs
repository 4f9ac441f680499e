//! What does the kernel answer differently to the two sides? Three illusions (5.2.1): the number of a process, where a path
//! leads, and where an interface ends; on the left the host, on the right the container, between them what the kernel has.
//!
//! Next: `process`.

use super::{Draw, Drawing, Shown};
use crate::probes::layers::{Contents, Layer};
use crate::probes::mounts::Mount;
use crate::probes::network::Interface;
use crate::probes::root;
use crate::terminal::text::list;
use crate::view::KernelView;
use crate::web::scene::{Link, Panel, Row, Scene, Side, Tone, part};

pub const DRAWING: Drawing = Drawing {
    id: "illusions",
    title: "Three illusions",
    section: "5.2.1",
    stages: &["clone", "veth", "pivot-root", "exec"],
    draw: Draw::Process(draw),
};

/// More paths, or interfaces, than these are not followed.
const MOST: usize = 8;

/// The same thing from the host, in the kernel, from inside; of each, the rows of one number belong together.
struct Band {
    host: Panel,
    kernel: Panel,
    container: Panel,
    links: Vec<Link>,
}

fn draw(shown: &Shown) -> Scene {
    let bands = [numbers(shown), paths(shown), interfaces(shown)];
    let mut scene = Scene { says: says(shown), aligned: true, widths: vec![13, 11, 9], ..Scene::default() };
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    for band in bands {
        let [host, kernel, container] = &mut columns;
        host.push(band.host);
        kernel.push(band.kernel);
        container.push(band.container);
        scene.links.extend(band.links);
    }
    scene.columns = columns.into();
    scene
}

fn says(shown: &Shown) -> String {
    let outside = &shown.view.outside;
    let mut told = Vec::new();
    if let Some([first, .., last]) = outside.pids.value().map(Vec::as_slice) {
        told.push(format!("process {first} is {last} to itself"));
    }
    if let Some(path) =
        outside.root.value().and_then(|root| root.on_host.as_ref()).filter(|_| !shown.in_hosts_root())
    {
        told.push(match outside.layers.value().is_some_and(|layers| layers.contains_key("upper")) {
            true => format!("what it writes below / is in {path}"),
            false => format!("its / is {path}"),
        });
    }
    for (name, one) in inner(shown.view) {
        if let Some((other, _)) = other_end(shown.view, one) {
            told.push(format!("its {name} ends at {other}"));
        }
    }
    match (shown.apart, told.is_empty()) {
        (false, _) => "There is no container yet: learnctr itself is told what the host is told.".to_owned(),
        (true, true) => "So far the kernel gives it the same answers as the host.".to_owned(),
        (true, false) => {
            format!("To the same question the kernel answers both sides differently: {}.", told.join(", "))
        }
    }
}

fn band(shown: &Shown, id: &str, titles: [&str; 3]) -> Band {
    let [host, kernel, container] = titles;
    let side = if shown.apart { Side::Container } else { Side::Host };
    Band {
        host: Panel::new(format!("host-{id}"), Side::Host, host),
        kernel: Panel::new(format!("kernel-{id}"), Side::Kernel, kernel),
        container: Panel::new(format!("container-{id}"), side, container),
        links: Vec::new(),
    }
}

impl Band {
    /// Three rows beside each other; those with keys are linked.
    fn row(&mut self, id: &str, host: Row, kernel: Row, container: Row) {
        let ends = [("host", &host), ("kernel", &kernel), ("container", &container)];
        let end = |(side, row): &(&str, &Row)| row.same.as_ref().map(|same| format!("{side}-{id}/{same}"));
        for pair in ends.windows(2) {
            if let [from, to] = pair
                && let (Some(from), Some(to), Some(same)) = (end(from), end(to), &to.1.same)
            {
                self.links.push(Link::new(from, to, "").same(same));
            }
        }
        self.host.rows.push(host);
        self.kernel.rows.push(kernel);
        self.container.rows.push(container);
    }
}

/// Process numbers: one for each level of pid namespaces.
fn numbers(shown: &Shown) -> Band {
    let mut band = band(shown, "pid", ["The host counts", "The kernel counts by level", "It counts"]);
    let outside = &shown.view.outside;
    let pids = match outside.pids.get() {
        Ok(pids) => pids,
        Err(errno) => {
            let row = Row::refused("pid", errno).fact("/outside/pids/refused");
            band.row("pid", row.clone(), row.clone(), row);
            return band;
        }
    };
    let number = |at: usize| {
        let pid = pids.get(at).map(i32::to_string).unwrap_or_default();
        Row::new("pid", pid).fact(format!("/outside/pids/value/{at}")).same("process", shown.view.pid)
    };
    let last = pids.len().saturating_sub(1);
    let blank = || Row::new("", "");
    let levels: Vec<Row> = (0..=last).map(|at| level(shown, at, last)).collect();
    let end = |side: &str| format!("{side}-pid/process:{}", shown.view.pid);
    for (side, level) in [("host", levels.first()), ("container", levels.last())] {
        if let Some(key) = level.and_then(|row| row.same.as_ref()) {
            let link = Link::new(end(side), format!("kernel-pid/{key}"), "");
            band.links.push(link.same(format!("process:{}", shown.view.pid)));
        }
    }
    band.host.rows.push(number(0));
    band.host.rows.extend(regular_counts(shown));
    band.container.rows.push(number(last));
    band.container.rows.extend(counted(shown));
    band.kernel.rows.extend(levels);
    if band.kernel.rows.len() == 1 {
        band.kernel.rows.push(blank());
    }
    band
}

/// What a level's namespace is called: of those between the first and the last the number alone is known.
fn level(shown: &Shown, at: usize, last: usize) -> Row {
    let pid = shown.view.outside.pids.value().and_then(|pids| pids.get(at)).map(i32::to_string);
    let own = shown.view.outside.namespaces.get("pid").and_then(|one| one.value());
    let host = regular(shown).and_then(|view| view.outside.namespaces.get("pid")?.value());
    let namespace = if at == last { own } else { host.filter(|_| at == 0) };
    let pid = pid.unwrap_or_default();
    let label = format!("level {at}");
    let row = match namespace {
        Some(ns) => Row::new(label, format!("{pid} in {}", ns.id)),
        None => Row::new(label, pid),
    };
    let tone = if at == last && own.is_some_and(|ns| !ns.host) { Tone::Own } else { Tone::Shared };
    let row = row.fact(format!("/outside/pids/value/{at}")).tone(tone);
    match namespace {
        Some(ns) => row.same("ns", ns.id),
        None => row,
    }
}

fn regular<'a>(shown: &'a Shown) -> Option<&'a KernelView> {
    shown.run.begun.as_ref()?.regular.as_deref()
}

fn regular_counts(shown: &Shown) -> Option<Row> {
    let count = regular(shown)?.inside.as_ref()?.processes.value()?.count;
    Some(Row::new("in all", format!("{count} processes")).fact("/regular/inside/processes/value/count"))
}

fn counted(shown: &Shown) -> Option<Row> {
    let seen = shown.view.inside.as_ref()?.processes.value()?;
    let names = seen.named.iter().map(|(pid, name)| format!("{pid} {name}"));
    let told = match seen.named.is_empty() {
        true => String::new(),
        false => format!(": {}", list(names, ", ", 3)),
    };
    let noun = if seen.count == 1 { "process" } else { "processes" };
    let row = Row::new("in all", format!("{} {noun}{told}", seen.count));
    Some(row.fact("/inside/processes/value/count"))
}

/// Paths: what is opened inside, which mount and layer has it, where that lies on the host.
fn paths(shown: &Shown) -> Band {
    let titles = ["It lies on the host at", "The kernel finds it in", "It opens"];
    let mut band = band(shown, "path", titles);
    for path in candidates(shown).into_iter().take(MOST) {
        if let Some((host, kernel)) = follow(shown, &path) {
            let container = match kernel.tone {
                Tone::Refused => Row::new("path", &path).tone(Tone::Refused),
                _ => Row::new("path", &path),
            };
            let key = |row: Row| row.same("path", &path);
            band.row("path", key(host), key(kernel), key(container));
        }
    }
    band
}

/// Paths of as many kinds as there are: the root, its program, one of each layer, one that is in several, one that was
/// deleted, one that the host lends, one that no disk has.
fn candidates(shown: &Shown) -> Vec<String> {
    let outside = &shown.view.outside;
    let mut found = vec!["/".to_owned()];
    let mut add = |path: Option<String>| found.extend(path.filter(|path| !found.contains(path)));
    if shown.in_hosts_root() {
        let files = shown.view.inside.as_ref().map(|inside| inside.files.keys());
        for path in files.into_iter().flatten() {
            add(Some(path.clone()));
        }
        return found;
    }
    let layers = by_order(shown);
    add(outside.executable.value().filter(|path| holder(&layers, path).is_some()).cloned());
    for (name, _, contents) in &layers {
        let first = |kind: &str| {
            let is_first = |(path, found): &(&String, &String)| {
                *found == kind && holder(&layers, &format!("/{path}")).is_some_and(|(one, ..)| one == *name)
            };
            contents.entries.iter().find(is_first).map(|(path, _)| format!("/{path}"))
        };
        add(first("whiteout"));
        add(first("file"));
    }
    // A directory below the root that is in several layers is all of them at once.
    let merged = layers.iter().rev().flat_map(|(_, _, contents)| &contents.entries).find(|(path, kind)| {
        let holds = |(_, _, contents): &&(&str, &Layer, &Contents)| contents.entries.contains_key(*path);
        *kind == "directory" && path.contains('/') && layers.iter().filter(holds).count() > 1
    });
    add(merged.map(|(path, _)| format!("/{path}")));
    let mounts = outside.mounts.value();
    let places = || mounts.into_iter().flatten().filter(|(place, _)| !place.contains('#') && *place != "/");
    let is_lent = |(_, mount): &(&String, &Mount)| lends(shown, mount).is_some();
    // A file tells more than a device.
    let files = shown.view.inside.as_ref().map(|inside| &inside.files);
    let is_file = |(place, _): &(&String, &Mount)| files.is_some_and(|files| files.contains_key(*place));
    let lent = places().filter(is_file).chain(places()).find(is_lent).map(|(place, _)| place.clone());
    let made = places().find(|(_, mount)| mount.filesystem == "proc").map(|(place, _)| place.clone());
    found.truncate(MOST - usize::from(lent.is_some()) - usize::from(made.is_some()));
    found.extend(lent.into_iter().chain(made));
    found
}

/// The layers of its root, the uppermost first.
fn by_order<'a>(shown: &'a Shown) -> Vec<(&'a str, &'a Layer, &'a Contents)> {
    let layers = shown.view.outside.layers.value().into_iter().flatten();
    let mut layers: Vec<_> =
        layers.filter_map(|(name, layer)| Some((name.as_str(), layer, layer.contents.value()?))).collect();
    layers.sort_by_key(|(_, layer, _)| layer.order);
    layers
}

/// The uppermost layer that has a path, and as what: that one is seen.
fn holder<'a>(
    layers: &[(&'a str, &'a Layer, &'a Contents)],
    path: &str,
) -> Option<(&'a str, &'a Layer, &'a str)> {
    let path = path.trim_start_matches('/');
    layers.iter().find_map(|(name, layer, contents)| {
        contents.entries.get(path).map(|kind| (*name, *layer, kind.as_str()))
    })
}

/// Where the host has what is mounted here; none for what the kernel makes, or keeps in memory.
fn lends(shown: &Shown, mount: &Mount) -> Option<String> {
    root::on_host(mount, shown.hosts_mounts()?).filter(|_| mount.root != "/")
}

/// The host's row and the kernel's of a path inside.
fn follow(shown: &Shown, path: &str) -> Option<(Row, Row)> {
    let mounts = shown.view.outside.mounts.value()?;
    let below = |place: &str| match place {
        "/" => true,
        place => path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    let place = mounts.keys().filter(|key| !key.contains('#') && below(key)).max_by_key(|key| key.len())?;
    let mount = root::topmost(mounts, place)?;
    let at = format!("/outside/mounts/value/{}", part(place));
    let kind = format!("{at}/filesystem");
    let rest = path.strip_prefix(place.as_str()).unwrap_or_default().trim_start_matches('/');
    if mount.overlay.is_some() {
        return Some(in_layers(shown, path, rest, &kind, mount));
    }
    match root::on_host(mount, shown.hosts_mounts()?) {
        Some(on_host) if mount.root != "/" || place == "/" => {
            let lies = match rest {
                "" => on_host,
                rest => format!("{}/{rest}", on_host.trim_end_matches('/')),
            };
            let host = Row::new("host", lies);
            let host = if host.value.contains(&mount.root) { host.fact(format!("{at}/root")) } else { host };
            let told = match place == "/" {
                true => format!("{} of {}", mount.filesystem, mount.source),
                false => format!("{}, mounted over it", mount.filesystem),
            };
            Some((host, Row::new("mount", told).fact(kind)))
        }
        _ => {
            let host = Row::new("host", "nowhere: it is on no disk").tone(Tone::Off);
            Some((
                host,
                Row::new("mount", format!("{}, the kernel’s own", mount.filesystem))
                    .fact(kind)
                    .tone(Tone::Own),
            ))
        }
    }
}

fn in_layers(shown: &Shown, path: &str, rest: &str, kind: &str, mount: &Mount) -> (Row, Row) {
    let layers = by_order(shown);
    if rest.is_empty() {
        let count = mount
            .overlay
            .as_ref()
            .map_or(0, |overlay| overlay.lower.len() + usize::from(overlay.upper.is_some()));
        let kernel = Row::new("mount", format!("{}, {count} layers in one", mount.filesystem)).fact(kind);
        let root = shown.view.outside.root.value().and_then(|root| root.on_host.as_ref());
        let host = match root {
            Some(root) => Row::new("writes go to", root).fact("/outside/root/value/on_host"),
            None => Row::new("host", "at no path of the host’s").tone(Tone::Off),
        };
        return (host, kernel);
    }
    let holding: Vec<&str> = layers
        .iter()
        .filter(|(_, _, contents)| contents.entries.contains_key(rest))
        .map(|(name, ..)| *name)
        .collect();
    let Some((name, layer, found)) = holder(&layers, path) else {
        let unknown = || Row::new("layer", "deeper than was looked").tone(Tone::Off);
        return (unknown(), unknown());
    };
    let at = |name: &str| format!("/outside/layers/value/{}/path", part(name));
    let lies = |layer: &Layer| format!("{}/{rest}", layer.path);
    match (found, holding.as_slice()) {
        ("whiteout", [_, hidden, ..]) => {
            let kernel = Row::new("layer", format!("{name}: a whiteout hides it")).tone(Tone::Refused);
            let host = layers
                .iter()
                .find(|(one, ..)| one == hidden)
                .map(|(one, layer, _)| Row::new(*one, lies(layer)).fact(at(one)));
            (host.unwrap_or_else(|| Row::new("host", "")), kernel)
        }
        ("directory", [_, _, ..]) => {
            let kernel = Row::new("layers", format!("{}: merged", holding.join(", ")));
            (Row::new(name, format!("{} and below", lies(layer))).fact(at(name)), kernel)
        }
        _ => {
            let tone = if name == "upper" { Tone::Own } else { Tone::Plain };
            (Row::new(name, lies(layer)).fact(at(name)), Row::new("layer", name).tone(tone))
        }
    }
}

/// Interfaces: what it has, and what the host has at the other end.
fn interfaces(shown: &Shown) -> Band {
    let titles = ["The host’s end", "The kernel connects", "It has"];
    let mut band = band(shown, "net", titles);
    let Some(inside) = &shown.view.inside else {
        let unseen = || Row::new("interfaces", "the inside was not looked at").tone(Tone::Off);
        band.row("net", unseen(), unseen(), unseen());
        return band;
    };
    if let Err(errno) = inside.interfaces.get() {
        let refused = || Row::refused("interfaces", errno).fact("/inside/interfaces/refused");
        band.row("net", refused(), refused(), refused());
        return band;
    }
    let shared =
        shown.view.outside.namespaces.get("net").and_then(|one| one.value()).is_some_and(|ns| ns.host);
    for (name, one) in inner(shown.view).take(MOST) {
        let at = format!("/inside/interfaces/value/{}", part(name));
        let key = one.mac.clone().filter(|mac| mac != "00:00:00:00:00:00");
        let key = key.unwrap_or_else(|| format!("{}-{name}", shown.view.pid));
        let container = interface(name, one, &at).same("interface", &key);
        let (host, kernel) = match (shared, other_end(shown.view, one)) {
            (true, _) => (
                interface(name, one, &at).same("interface", &key).tone(Tone::Shared),
                Row::new("index", format!("{}, the host’s own", one.index))
                    .fact(format!("{at}/index"))
                    .same("interface", &key),
            ),
            (false, Some((other, end))) => {
                let host_at = format!("/outside/host_network/ends/value/{}", part(other));
                let kernel = Row::new("pair", format!("{} and {}, a veth", end.index, one.index));
                (
                    interface(other, end, &host_at).same("interface", end.mac.as_deref().unwrap_or(other)),
                    kernel.fact(format!("{at}/peer")).same("interface", &key),
                )
            }
            (false, None) => {
                let told = match (name.as_str(), one.peer) {
                    ("lo", _) => "the loopback: it ends where it begins",
                    (_, Some(_)) => "the other end was not found",
                    (_, None) => "no pair",
                };
                let kernel = Row::new("index", format!("{}, {told}", one.index)).fact(format!("{at}/index"));
                (Row::new("host", "no other end here").tone(Tone::Off), kernel.same("interface", &key))
            }
        };
        band.row("net", host, kernel, container);
    }
    if band.host.rows.is_empty() {
        let none = || Row::new("interfaces", "none").tone(Tone::Off);
        band.row("net", none(), none(), none());
    }
    band
}

/// Its interfaces, the loopback last.
fn inner(view: &KernelView) -> impl Iterator<Item = (&String, &Interface)> {
    let all = || view.inside.as_ref().and_then(|inside| inside.interfaces.value()).into_iter().flatten();
    all().filter(|(name, _)| *name != "lo").chain(all().filter(|(name, _)| *name == "lo"))
}

/// By its index, which the other end has as its peer, and the other way round.
fn other_end<'a>(view: &'a KernelView, inner: &Interface) -> Option<(&'a str, &'a Interface)> {
    let ends = view.outside.host_network.ends.value()?;
    let is_other =
        |(_, end): &(&String, &Interface)| inner.peer == Some(end.index) && end.peer == Some(inner.index);
    ends.iter().find(is_other).map(|(name, end)| (name.as_str(), end))
}

fn interface(name: &str, one: &Interface, at: &str) -> Row {
    match one.addresses.first() {
        Some(address) => Row::new(name, address).fact(format!("{at}/addresses/0")),
        None => Row::new(name, format!("{}, no address", one.state)).fact(format!("{at}/state")),
    }
}
