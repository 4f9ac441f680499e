//! What does its root consist of (5.5.1, 5.5.2)? The layers as they lie on the host, the one that is written on top, and the
//! tree that they are together: each name with the layers that it comes from. What was written is a copy in the upper
//! layer, what was deleted a whiteout there; below, nothing has changed.
//!
//! Next: `mounts`.

use super::{Draw, Drawing, Shown};
use crate::probes::layers::{Contents, Kind, Layer};
use crate::probes::root::topmost;
use crate::terminal::text::clean;
use crate::web::scene::{Link, Panel, Row, Scene, Side, Tone, part};
use std::collections::{BTreeMap, BTreeSet};

pub const DRAWING: Drawing = Drawing {
    id: "files",
    title: "Its files",
    section: "5.5.1, 5.5.2",
    stages: &["image", "overlay", "pivot-root", "exec"],
    draw: Draw::Process(draw),
};

/// More rows of a kind than these are counted.
const MOST: usize = 24;
const WHITEOUT: &str = "whiteout";

/// The layers from the uppermost down, with their names in the view.
type Layers<'a> = Vec<(&'a str, &'a Layer)>;

fn draw(shown: &Shown) -> Scene {
    let layers = match shown.view.outside.layers.get() {
        Ok(layers) => {
            let mut layers: Layers = layers.iter().map(|(name, layer)| (name.as_str(), layer)).collect();
            layers.sort_by_key(|(_, layer)| layer.order);
            layers
        }
        Err(errno) => {
            let refused = Row::refused("layers", errno).fact("/outside/layers/refused");
            let panel = Panel::new("tree", Side::Container, "Its root").row(refused);
            return Scene {
                says: format!("Its mounts could not be read: {}.", errno.name()),
                columns: vec![vec![panel]],
                ..Scene::default()
            };
        }
    };
    let touched = touched(&layers);
    let mut scene = Scene { says: says(shown, &layers, &touched), ..Scene::default() };
    let whole = Panel::new("whole", Side::Host, "Its root, on the host").rows(place(shown));
    scene.columns = match layers.is_empty() {
        true => vec![vec![whole], vec![tree(shown, &layers, &touched)]],
        false => {
            let mut left: Vec<Panel> = layers.iter().map(|one| layer(one, &touched)).collect();
            left.push(whole);
            vec![left, vec![tree(shown, &layers, &touched)]]
        }
    };
    for one in touched.iter().take(MOST) {
        let key = format!("file:/{}", one.path);
        scene.links.push(Link::new(format!("upper/{key}"), format!("tree/{key}"), "").same(key));
    }
    scene
}

/// A name in the upper layer that is no mere directory on the way to one.
struct Touched<'a> {
    path: &'a str,
    kind: &'a str,
    /// The uppermost layer below that has the name, too.
    below: Option<&'a str>,
}

fn touched<'a>(layers: &Layers<'a>) -> Vec<Touched<'a>> {
    let upper = layers.iter().find(|(_, layer)| layer.kind == Kind::Upper);
    let Some(contents) = upper.and_then(|(_, layer)| layer.contents.value()) else { return Vec::new() };
    let below = |path: &String| contents.below.get(path).map(String::as_str);
    let entries = contents.entries.iter().map(|(path, kind)| Touched { path, kind, below: below(path) });
    entries.filter(|one| one.kind != "directory" || one.below.is_none()).collect()
}

fn says(shown: &Shown, layers: &Layers, touched: &[Touched]) -> String {
    let whose = if shown.apart { "The container" } else { "learnctr" };
    let mounts = shown.view.outside.mounts.value();
    let read_only =
        mounts.and_then(|all| topmost(all, "/")).is_some_and(|root| root.flags.iter().any(|f| f == "ro"));
    if shown.in_hosts_root() {
        return match layers.len() {
            0 => format!("{whose} still has the host’s own root: every file of the host is in its sight."),
            count => format!(
                "{count} layers are stacked into one tree; it stands ready, but it is not its root yet."
            ),
        };
    }
    if layers.is_empty() {
        return "Its root is no overlay: what it writes is written where its root lies.".to_owned();
    }
    let lower = layers.iter().filter(|(_, layer)| layer.kind == Kind::Lower).count();
    let gone = touched.iter().filter(|one| one.kind == WHITEOUT).count();
    let over = touched.iter().filter(|one| one.kind != WHITEOUT && one.below.is_some()).count();
    let new = touched.len() - gone - over;
    let stack = format!("One tree of {lower} layers that are only read and one that is written");
    match (read_only, touched.len()) {
        (true, _) => format!("{stack}; but the root is mounted read-only, and nothing can be written."),
        (_, 0) => format!("{stack}; nothing was written yet."),
        _ => format!(
            "{stack}. Written over: {over}, deleted: {gone}, new: {new}; what lies below has not changed."
        ),
    }
}

/// One layer: where it is on the host, and what is in it.
fn layer((name, layer): &(&str, &Layer), touched: &[Touched]) -> Panel {
    let at = format!("/outside/layers/value/{}", part(name));
    let is_upper = layer.kind == Kind::Upper;
    let base = layer.path.rsplit('/').next().unwrap_or_default();
    let (side, title) = match is_upper {
        true => (Side::Container, format!("{name}: what is written goes here")),
        false => (Side::Host, clean(&format!("{name}: {base}, only read"))),
    };
    let path = Row::new("on the host", &layer.path).fact(format!("{at}/path")).same("layer", &layer.path);
    let mut panel = Panel::new(*name, side, title).row(path);
    let contents = match layer.contents.get() {
        Ok(contents) => contents,
        Err(errno) => {
            return panel.row(Row::refused("entries", errno).fact(format!("{at}/contents/refused")));
        }
    };
    match is_upper {
        true => panel.rows.extend(changes(touched, &format!("{at}/contents/value/entries"))),
        false => panel.rows.extend(listed(contents)),
    }
    for one in touched.iter().filter(|one| one.below == Some(name)).take(MOST) {
        let below = format!("/outside/layers/value/upper/contents/value/below/{}", part(one.path));
        panel.rows.push(
            Row::new(one.path, format!("unchanged, in {name}"))
                .fact(below)
                .same("file", format!("/{}", one.path)),
        );
    }
    for (path, errno) in &contents.refused {
        let fact = format!("{at}/contents/value/refused/{}", part(path));
        panel.rows.push(Row::refused(path, *errno).fact(fact));
    }
    if contents.more {
        panel.rows.push(Row::new("", "and more").tone(Tone::Off));
    }
    panel
}

fn changes(touched: &[Touched], at: &str) -> Vec<Row> {
    if touched.is_empty() {
        return vec![Row::new("", "empty").tone(Tone::Off)];
    }
    let row = |one: &Touched| {
        let row = match (one.kind, one.below) {
            (WHITEOUT, Some(below)) => Row::new(one.path, format!("whiteout: hides that of {below}")),
            (WHITEOUT, None) => Row::new(one.path, WHITEOUT),
            (kind, Some(below)) => Row::new(one.path, format!("{kind}, over that of {below}")),
            (kind, None) => Row::new(one.path, format!("{kind}, new")),
        };
        let tone = if one.kind == WHITEOUT { Tone::Refused } else { Tone::Own };
        row.fact(format!("{at}/{}", part(one.path))).same("file", format!("/{}", one.path)).tone(tone)
    };
    let more = touched.len().checked_sub(MOST).filter(|more| *more > 0);
    let rows = touched.iter().take(MOST).map(row);
    rows.chain(more.map(|more| Row::new("", format!("and {more} more")).tone(Tone::Off))).collect()
}

/// A directory of the highest level a row, with what is directly in it; then all the rest of that level.
fn listed(contents: &Contents) -> Vec<Row> {
    let mut inside: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in contents.entries.keys() {
        let (top, below) = path.split_once('/').unwrap_or((path, ""));
        let names = inside.entry(top).or_default();
        if !below.is_empty() && !below.contains('/') {
            names.push(below);
        }
    }
    let others: Vec<&str> =
        inside.iter().filter(|(_, names)| names.is_empty()).map(|(name, _)| *name).collect();
    let mut rows: Vec<Row> = inside
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .take(MOST)
        .map(|(name, names)| Row::new(format!("{name}/"), names.join(" ")))
        .collect();
    if !others.is_empty() {
        rows.push(Row::new("", others.join(" ")));
    }
    rows
}

/// Which file system the root is, and where the host has it.
fn place(shown: &Shown) -> Vec<Row> {
    let root = match shown.view.outside.root.get() {
        Ok(root) => root,
        Err(errno) => return vec![Row::refused("root", errno).fact("/outside/root/refused")],
    };
    let tone = if shown.in_hosts_root() { Tone::Shared } else { Tone::Plain };
    let mut rows = Vec::new();
    if let Some(kind) = &root.filesystem {
        rows.push(Row::new("type", kind).fact("/outside/root/value/filesystem").tone(tone));
    }
    rows.push(match &root.on_host {
        Some(path) => Row::new(
            if root.filesystem.as_deref() == Some("overlay") { "writes go to" } else { "path" },
            path,
        )
        .fact("/outside/root/value/on_host")
        .same("root", 1),
        None => Row::new("path", "none of the host’s leads there"),
    });
    rows
}

/// The layers that a name comes from: of a directory all down to one that is opaque, of anything else the uppermost.
fn sources<'a>(layers: &Layers<'a>, path: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (name, layer) in layers {
        let kind = layer.contents.value().and_then(|contents| contents.entries.get(path));
        match kind.map(String::as_str) {
            None => {}
            Some("directory") => found.push(*name),
            Some(WHITEOUT) => break,
            Some("opaque directory") => {
                found.push(*name);
                break;
            }
            // A directory above it hides it.
            Some(_) if found.is_empty() => return vec![*name],
            Some(_) => break,
        }
    }
    found
}

/// What is at the root, as it is seen inside; before it is the root, as it will be.
fn tree(shown: &Shown, layers: &Layers, touched: &[Touched]) -> Panel {
    let before = shown.in_hosts_root();
    let title = match (before, layers.is_empty()) {
        (true, true) => "What it sees at /",
        (true, false) => "What it will see at /",
        (false, _) => "What the container sees at /",
    };
    let side = if before && layers.is_empty() { Side::Host } else { Side::Container };
    let mut panel = Panel::new("tree", side, title);
    let inside = shown.view.inside.as_ref().map(|inside| &inside.root);
    let entries = inside.and_then(|root| root.value()).map(|root| &root.entries);
    let seen = entries.filter(|_| !before || layers.is_empty());
    let mut names: BTreeSet<&str> =
        seen.into_iter().flatten().map(|(name, _)| name.as_str()).take(2 * MOST).collect();
    if seen.is_none() {
        let all = layers.iter().filter_map(|(_, layer)| layer.contents.value());
        names.extend(
            all.flat_map(|contents| contents.entries.keys())
                .filter(|path| !path.contains('/'))
                .map(String::as_str),
        );
    }
    if side == Side::Host {
        let list: Vec<&str> = names.into_iter().collect();
        return panel.row(Row::new("entries", list.join(" ")).tone(Tone::Shared));
    }
    for name in names {
        panel.rows.push(entry(
            shown,
            layers,
            name,
            seen.and_then(|all| all.get(name)).map(|one| one.kind.as_str()),
        ));
        let under = |one: &&Touched| one.path.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        panel.rows.extend(touched.iter().filter(under).take(MOST).map(|one| {
            let rest = one.path.get(name.len() + 1..).unwrap_or(one.path);
            let row = match one.kind {
                WHITEOUT => Row::new(rest, "gone: a whiteout").tone(Tone::Refused),
                _ => Row::new(rest, "upper").tone(Tone::Own),
            };
            row.same("file", format!("/{}", one.path)).indent(1)
        }));
    }
    let gone = touched.iter().filter(|one| one.kind == WHITEOUT && !one.path.contains('/'));
    panel.rows.extend(gone.take(MOST).map(|one| {
        let key = format!("/{}", one.path);
        Row::new(one.path, "gone: a whiteout").tone(Tone::Refused).same("file", key)
    }));
    if let Some(Err(errno)) = inside.map(|root| root.get()) {
        panel.rows.push(Row::refused("/", errno).fact("/inside/root/refused"));
    }
    panel
}

/// One name at the root: what it is and where it comes from.
fn entry(shown: &Shown, layers: &Layers, name: &str, kind: Option<&str>) -> Row {
    let key = format!("/{name}");
    let mounts = shown.view.outside.mounts.value();
    if kind.is_some()
        && let Some(mount) = mounts.and_then(|all| topmost(all, &key))
    {
        let fact = format!("/outside/mounts/value/{}/filesystem", part(&key));
        return Row::new(format!("{name}/"), format!("a mount of its own: {}", mount.filesystem))
            .fact(fact)
            .same("mount", &key);
    }
    let from = sources(layers, name).join(" + ");
    let slash = if kind.is_none_or(|kind| kind == "directory") { "/" } else { "" };
    let row = match (kind, from.is_empty()) {
        (Some(kind), true) => Row::new(format!("{name}{slash}"), kind),
        (Some(kind), false) => Row::new(format!("{name}{slash}"), format!("{kind} of {from}")),
        (None, _) => return Row::new(name, format!("of {from}")),
    };
    row.fact(format!("/inside/root/value/entries/{}/kind", part(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::Reading;

    fn made(order: usize, kind: Kind, entries: &[(&str, &str)]) -> Layer {
        let entries = entries.iter().map(|(path, kind)| ((*path).to_owned(), (*kind).to_owned())).collect();
        let contents = Contents { entries, ..Contents::default() };
        Layer { order, kind, path: "/x".into(), contents: Reading::new("", Ok(contents)) }
    }

    #[test]
    fn a_directory_comes_from_all_layers_down_to_an_opaque_one() {
        let upper =
            made(0, Kind::Upper, &[("etc", "directory"), ("gone", "whiteout"), ("new", "opaque directory")]);
        let one = made(
            1,
            Kind::Lower,
            &[("etc", "directory"), ("gone", "file"), ("file", "file"), ("new", "directory")],
        );
        let two = made(2, Kind::Lower, &[("etc", "file"), ("file", "file"), ("gone", "file")]);
        let layers: Layers = vec![("upper", &upper), ("lower 1", &one), ("lower 2", &two)];
        assert_eq!(sources(&layers, "etc"), ["upper", "lower 1"]);
        assert_eq!(sources(&layers, "file"), ["lower 1"]);
        assert_eq!(sources(&layers, "new"), ["upper"]);
        assert!(sources(&layers, "gone").is_empty() && sources(&layers, "none").is_empty());
    }
}
