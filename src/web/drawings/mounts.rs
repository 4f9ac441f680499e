//! What is mounted inside, and what is hidden there (5.5.3)? proc, sys, dev, memory and what the host lends, each with its
//! flags; the paths that are covered or read-only. The host's own mounts are counted, not listed: there may be hundreds.
//!
//! Next: `net`.

use super::{Draw, Drawing, Shown};
use crate::probes::entries::Entry;
use crate::probes::mounts::Mount;
use crate::web::scene::{Panel, Row, Scene, Side, State, Tone, part};

pub const DRAWING: Drawing = Drawing {
    id: "mounts",
    title: "Special file systems",
    section: "5.5.3",
    stages: &["mounts", "pivot-root"],
    draw: Draw::Process(draw),
};

/// More rows than these are counted.
const MOST: usize = 40;

/// A mount that the host has not, with where it is inside.
struct Own<'a> {
    /// Its name in the view.
    key: &'a str,
    /// As the container sees it, or will once this root is its own.
    place: String,
    mount: &'a Mount,
    kind: Kind,
    /// Not all of them have the same propagation.
    differs: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A file system that is on no disk.
    Special,
    /// One of version 1's hierarchies.
    Hierarchy,
    /// A directory or file of the host.
    Lent,
    /// One device of the host.
    Device,
    /// Covered by /dev/null, or by an empty tmpfs.
    Masked,
    /// The same directory, mounted over itself to be read only.
    ReadOnly,
    /// Another mount lies over it: nothing of it is seen.
    Under,
}

fn draw(shown: &Shown) -> Scene {
    let mounts = match shown.view.outside.mounts.get() {
        Ok(mounts) => mounts,
        Err(errno) => {
            let refused = Row::refused("mounts", errno).fact("/outside/mounts/refused");
            let panel = Panel::new("made", Side::Container, "Its mounts").row(refused);
            return Scene {
                says: format!("Its mounts could not be read: {}.", errno.name()),
                columns: vec![vec![panel]],
                ..Scene::default()
            };
        }
    };
    let own = own(shown);
    let of = |kind| own.iter().filter(move |one| one.kind == kind);
    let mut made = Panel::new("made", Side::Container, "Made for it");
    made.rows = capped(of(Kind::Special).flat_map(special).chain(hierarchies(of(Kind::Hierarchy).collect())));
    if made.rows.is_empty() {
        made = made.state(State::Off).row(Row::new("", "nothing yet").tone(Tone::Off));
    } else {
        made.rows.extend(propagation(&own));
    }
    let mut left = vec![host(shown, &own, mounts.len() - own.len())];
    if of(Kind::Lent).chain(of(Kind::Device)).next().is_some() {
        let mut lent = Panel::new("lent", Side::Host, "Lent by the host (bind mounts)");
        lent.rows = capped(of(Kind::Lent).flat_map(lent_rows).chain(of(Kind::Device).map(|one| {
            let at = format!("/outside/mounts/value/{}/root", part(one.key));
            Row::new(&one.place, format!("the host’s device, {} of {}", one.mount.root, one.mount.filesystem))
                .fact(at)
                .same("mount", &one.place)
        })));
        left.push(lent);
    }
    left.push(devices(shown));
    let mut hidden = Panel::new("hidden", Side::Container, "Hidden, and only to be read");
    let dev = own.iter().find(|one| one.place == "/dev").map(|one| one.mount.device.as_str());
    hidden.rows = capped(of(Kind::Masked).chain(of(Kind::ReadOnly)).map(|one| covered(one, dev)));
    match of(Kind::Under).count() {
        0 => {}
        count => {
            hidden.rows.push(Row::new("", format!("{count} more mounts lie under these")).tone(Tone::Off))
        }
    }
    let mut right = vec![made];
    if !hidden.rows.is_empty() {
        right.push(hidden);
    }
    Scene { says: says(shown, &own, mounts.len()), columns: vec![left, right], ..Scene::default() }
}

fn says(shown: &Shown, own: &[Own], all: usize) -> String {
    let count = |kind| own.iter().filter(|one| one.kind == kind).count();
    let (masked, read_only) = (count(Kind::Masked), count(Kind::ReadOnly));
    let hosts = all - own.len();
    let apart = shown.view.outside.namespaces.get("mnt").and_then(|ns| ns.value()).is_some_and(|ns| !ns.host);
    match (own.len(), hosts) {
        (0, _) if !shown.apart => {
            format!("Still learnctr’s own process: it sees the host’s {hosts} mounts, as every process does.")
        }
        (0, _) if apart => format!(
            "Its mount namespace is its own and began as a copy: all {hosts} mounts of the host are in it, and none of its own yet."
        ),
        (0, _) => format!("It is in the host’s mount namespace and sees its {hosts} mounts."),
        (own, 0) => format!(
            "{own} mounts, and the host’s own are out of sight; {masked} paths are covered, {read_only} more were made read-only."
        ),
        (own, hosts) => format!(
            "{own} mounts are its own, {hosts} are still the host’s: the new root stands ready, but it is not yet the root."
        ),
    }
}

fn host(shown: &Shown, own: &[Own], count: usize) -> Panel {
    let panel = Panel::new("host", Side::Host, "The host’s mounts");
    if count == 0 {
        // chroot(2) changes what a path leads to, and no mount: who may call it again gets out.
        let chrooted = shown.view.outside.root.value().is_some_and(|root| root.link != "/");
        let none = if chrooted { "none through its root, but chroot(2) let go of none" } else { "none" };
        return panel.state(State::Off).row(Row::new("in sight", none));
    }
    let panel = panel.row(Row::new("in sight", format!("all {count}")).tone(Tone::Shared));
    match own.iter().find(|one| one.place == "/") {
        Some(root) if shown.in_hosts_root() => {
            panel.row(Row::new("new root", base(root.key)).same("mount", "/"))
        }
        _ => panel,
    }
}

/// Flags are of this mount alone, options of its file system wherever that is mounted.
fn special(one: &Own) -> Vec<Row> {
    let at = format!("/outside/mounts/value/{}", part(one.key));
    let mount = one.mount;
    let head = Row::new(&one.place, format!("{}: {}", mount.filesystem, mount.flags.join(" ")))
        .fact(format!("{at}/flags"))
        .same("mount", &one.place);
    let mut rows = vec![head];
    // An overlay's are its layers, which have a drawing of their own.
    let told = mount.overlay.is_none() && mount.options.iter().any(|option| option != "rw" && option != "ro");
    if told {
        let options = format!("options: {}", mount.options.join(" "));
        rows.push(Row::new("", options).fact(format!("{at}/options")).indent(1));
    }
    if one.differs {
        let kind = format!("propagation: {}", mount.propagation.kind);
        rows.push(Row::new("", kind).fact(format!("{at}/propagation/kind")).indent(1));
    }
    rows
}

/// Most often it is the same for all, and then it is said once.
fn propagation(own: &[Own]) -> Option<Row> {
    let first = own.first()?;
    let kind = &first.mount.propagation.kind;
    own.iter().all(|one| one.mount.propagation.kind == *kind).then(|| {
        Row::new("propagation", format!("{kind}, all of them"))
            .fact(format!("/outside/mounts/value/{}/propagation/kind", part(first.key)))
    })
}

/// Version 1 has a mount for each of its hierarchies; what they have in common is said once.
fn hierarchies(all: Vec<&Own>) -> Vec<Row> {
    let [first, .., last] = all.as_slice() else { return all.into_iter().flat_map(special).collect() };
    let same =
        first.mount.flags == last.mount.flags && all.iter().all(|one| one.mount.flags == first.mount.flags);
    if !same {
        return all.into_iter().flat_map(special).collect();
    }
    let directory = first.place.rsplit_once('/').map_or("", |(directory, _)| directory);
    let names: Vec<&str> = all.iter().map(|one| one.place.rsplit('/').next().unwrap_or_default()).collect();
    let flags = format!("{}: {}", first.mount.filesystem, first.mount.flags.join(" "));
    vec![
        Row::new(format!("{directory}/…"), flags)
            .fact(format!("/outside/mounts/value/{}/flags", part(first.key))),
        Row::new("", format!("{} of them: {}", all.len(), names.join(" "))).indent(1),
    ]
}

fn lent_rows(one: &Own) -> [Row; 2] {
    let at = format!("/outside/mounts/value/{}", part(one.key));
    [
        Row::new(&one.place, &one.mount.root).fact(format!("{at}/root")).same("mount", &one.place),
        Row::new(
            "",
            format!("of {} {}: {}", one.mount.filesystem, one.mount.source, one.mount.flags.join(" ")),
        )
        .fact(format!("{at}/flags"))
        .indent(1),
    ]
}

/// `dev` is the device of its own /dev.
fn covered(one: &Own, dev: Option<&str>) -> Row {
    let at = format!("/outside/mounts/value/{}", part(one.key));
    let row = match one.kind {
        Kind::Masked if one.mount.filesystem == "tmpfs" && one.mount.root == "/" => {
            Row::new(&one.place, "under an empty tmpfs").fact(format!("{at}/filesystem")).tone(Tone::Refused)
        }
        Kind::Masked => {
            let whose = if dev == Some(&one.mount.device) { "its own" } else { "the host’s" };
            let cover = format!("under {whose} /dev{}", one.mount.root);
            Row::new(&one.place, cover).fact(format!("{at}/root")).tone(Tone::Refused)
        }
        _ => Row::new(&one.place, "ro: over itself, read-only").fact(format!("{at}/flags/0")),
    };
    row.same("mount", &one.place)
}

/// What is in /dev, which is the host's for as long as the root is.
fn devices(shown: &Shown) -> Panel {
    let at = "/inside/devices";
    let Some(inside) = &shown.view.inside else {
        return Panel::new("dev", Side::Container, "In /dev").row(Row::new("", "not asked").tone(Tone::Off));
    };
    let entries = match inside.devices.get() {
        Ok(entries) => &entries.entries,
        Err(errno) => {
            let refused = Row::refused("/dev", errno).fact(format!("{at}/refused"));
            return Panel::new("dev", Side::Container, "In /dev").row(refused);
        }
    };
    if shown.in_hosts_root() {
        let count = Row::new("entries", format!("{}: the host’s own /dev", entries.len())).tone(Tone::Shared);
        return Panel::new("dev", Side::Host, "In /dev").row(count);
    }
    let is_device = |entry: &Entry| entry.kind.ends_with("device");
    let rows = entries.iter().filter(|(_, entry)| is_device(entry)).map(|(name, entry)| {
        let number = entry.device.as_deref().unwrap_or("?");
        let mode = entry.mode.as_deref().unwrap_or("");
        Row::new(name, format!("{number}  {} {mode}", entry.kind))
            .fact(format!("{at}/value/entries/{}/device", part(name)))
    });
    let mut panel = Panel::new("dev", Side::Container, "Devices in /dev");
    panel.rows = capped(rows);
    let links: Vec<&str> =
        entries.iter().filter(|(_, entry)| entry.kind == "symlink").map(|(name, _)| name.as_str()).collect();
    if !links.is_empty() {
        panel.rows.push(Row::new("links", links.join(" ")));
    }
    panel
}

fn capped(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.collect();
    if rows.len() > MOST {
        let more = rows.len() - MOST;
        rows.truncate(MOST);
        rows.push(Row::new("", format!("and {more} more")).tone(Tone::Off));
    }
    rows
}

/// The mounts that the host has not; all of them once the root is not the host's.
fn own<'a>(shown: &'a Shown) -> Vec<Own<'a>> {
    let Some(mounts) = shown.view.outside.mounts.value() else { return Vec::new() };
    let host = shown.hosts_mounts();
    let rooted = !shown.in_hosts_root();
    let is_hosts = |key: &str, mount: &Mount| match host {
        Some(host) => host.get(key).is_some_and(|of| of.device == mount.device && of.root == mount.root),
        None => !shown.apart,
    };
    let own: Vec<(&String, &Mount)> =
        mounts.iter().filter(|(key, mount)| rooted || !is_hosts(key, mount)).collect();
    // Where the new root is made, when that is not the root yet: what no other of them carries.
    let carried = |mount: &Mount| own.iter().any(|(_, other)| other.id == mount.parent);
    let mut carriers = own.iter().filter(|(_, mount)| !carried(mount));
    let root = match (carriers.next(), carriers.next()) {
        (Some((place, _)), None) => base(place),
        _ => "/",
    };
    let inside = |key: &str| match base(key).strip_prefix(root) {
        Some("") => "/".to_owned(),
        Some(rest) if root != "/" && rest.starts_with('/') => rest.to_owned(),
        _ => base(key).to_owned(),
    };
    let parent =
        |mount: &Mount| own.iter().find(|(_, other)| other.id == mount.parent).map(|(_, mount)| *mount);
    let differs = own.windows(2).any(|two| match two {
        [(_, one), (_, other)] => one.propagation.kind != other.propagation.kind,
        _ => false,
    });
    own.iter()
        .map(|(key, mount)| {
            let place = inside(key);
            let carries = own.iter().any(|(_, other)| other.parent == mount.id);
            let kind = match is_under(&own, key, mount) {
                true => Kind::Under,
                false => kind(&place, mount, parent(mount), carries),
            };
            Own { key, place, mount, kind, differs }
        })
        .collect()
}

/// Whether a later mount lies on the same place, or on the place of one that carries it.
fn is_under(own: &[(&String, &Mount)], key: &str, mount: &Mount) -> bool {
    let (mut key, mut mount, mut through) = (key, mount, None);
    // As many steps as there are mounts: a made-up trace could go in a circle.
    for _ in own {
        let over = |(other_key, other): &&(&String, &Mount)| {
            other.parent == mount.id && base(other_key) == base(key) && Some(other.id) != through
        };
        if own.iter().any(|other| over(&other)) {
            return true;
        }
        through = Some(mount.id);
        match own.iter().find(|(_, other)| other.id == mount.parent) {
            Some((parent_key, parent)) => (key, mount) = (parent_key, parent),
            None => break,
        }
    }
    false
}

/// `/dev#2` is the second mount on /dev.
fn base(key: &str) -> &str {
    key.split_once('#').map_or(key, |(place, _)| place)
}

fn kind(place: &str, mount: &Mount, parent: Option<&Mount>, carries: bool) -> Kind {
    let read_only = mount.flags.iter().any(|flag| flag == "ro");
    let in_kernels = place.starts_with("/proc/") || place.starts_with("/sys/");
    let empty = mount.filesystem == "tmpfs" && mount.root == "/" && read_only && !carries;
    if in_kernels && (empty || mount.root.ends_with("/null")) {
        Kind::Masked
    } else if read_only && mount.root != "/" && parent.is_some_and(|parent| parent.device == mount.device) {
        Kind::ReadOnly
    } else if mount.filesystem == "cgroup" {
        Kind::Hierarchy
    } else if place.starts_with("/dev/") && mount.root != "/" {
        Kind::Device
    } else if place == "/"
        || mount.device.starts_with("0:") && (mount.root == "/" || mount.filesystem == "cgroup2")
    {
        Kind::Special
    } else {
        Kind::Lent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::mounts;

    #[test]
    fn covers_are_told_from_what_is_mounted_for_use() {
        let text = "1 0 0:4 / / rw - overlay overlay rw\n\
             2 1 0:5 / /proc rw - proc proc rw\n\
             3 2 0:9 / /proc/acpi ro - tmpfs tmpfs ro\n\
             4 2 0:6 /null /proc/keys rw - tmpfs tmpfs rw\n\
             5 2 0:5 /sys /proc/sys ro - proc proc rw\n\
             6 1 0:6 / /dev rw - tmpfs tmpfs rw\n\
             7 6 0:7 /zero /dev/zero rw - devtmpfs udev rw\n\
             8 1 0:8 / /sys ro - sysfs sysfs ro\n\
             9 8 0:10 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n\
             10 9 0:11 /a /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n\
             11 1 254:0 /home/x /srv ro - ext4 /dev/vda rw\n\
             12 8 0:12 /a /sys/fs/cgroup2 ro - cgroup2 cgroup rw\n";
        let mounts = mounts::parse(text);
        let told = |place: &str| {
            let mount = &mounts[place];
            let parent = mounts.values().find(|other| other.id == mount.parent);
            kind(place, mount, parent, mounts.values().any(|other| other.parent == mount.id))
        };
        for (place, expected) in [
            ("/", Kind::Special),
            ("/proc", Kind::Special),
            ("/proc/acpi", Kind::Masked),
            ("/proc/keys", Kind::Masked),
            ("/proc/sys", Kind::ReadOnly),
            ("/dev/zero", Kind::Device),
            ("/sys/fs/cgroup", Kind::Special),
            ("/sys/fs/cgroup/cpu", Kind::Hierarchy),
            ("/sys/fs/cgroup2", Kind::Special),
            ("/srv", Kind::Lent),
        ] {
            assert!(told(place) == expected, "{place}");
        }
    }
}
