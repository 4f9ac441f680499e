//! Stage `mounts`: what is in /proc, /sys and /dev?
//!
//! Next: `pivot-root`.

use crate::host::cgroup::Mode;
use crate::kernel::libc_flags as o;
use crate::spec::mount::{self, MountOptions, is_bind};
use crate::stage::{Ground, Move, Stage};
use crate::step::{At, Kind, Step};
use oci_spec::runtime::{LinuxDeviceType, LinuxNamespaceType as Ns, Mount};
use std::path::{Path, PathBuf};

pub static STAGE: Stage = Stage {
    id: "mounts",
    title: "proc, sys, dev, and what is hidden",
    question: "What is in /proc, /sys and /dev, when the image holds only empty directories?",
    why: "Programs expect file systems that the kernel makes. /proc shows the processes of the pid namespace of whoever \
          mounts it, so it must be mounted anew; /dev gets a handful of harmless nodes and no disk; and the parts of /proc and \
          /sys that tell of or reach the whole machine are covered or made read-only.",
    man: &["proc(5)", "sysfs(5)", "pts(4)", "tmpfs(5)", "mount(2)", "openat2(2)"],
    observe: &["ls", "/dev"],
    pitfalls: super::pitfalls::mounts::ALL,
    moves,
};

/// The nodes that the OCI specification wants in every container.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
];

fn moves(ground: &Ground) -> Vec<Move> {
    let spec = &ground.container.spec;
    let mut moves = Vec::new();
    let all = spec.mounts().as_deref().unwrap_or_default();
    for one in all {
        mount_one(ground, one, &mut moves);
    }
    if let Some(directory) = ground.container.layers.as_ref().and_then(|layers| layers.upper.parent()) {
        for name in super::hostname::files(ground) {
            let source = directory.join(name);
            let target = At::Root(Path::new("/etc").join(name));
            moves.push(point(&target, Kind::File, None));
            let step = bind(&source, target, o::MS_BIND);
            moves.push(Move::child(
                step,
                "the container's own, kept beside its layers: the image's stays as it is",
            ));
        }
    }
    // A /dev that is bound is somebody else's, with nodes of its own.
    let bound = |one: &Mount| one.destination() == Path::new("/dev") && is_bind(one);
    if !all.iter().any(bound) {
        devices(ground, &mut moves);
    }
    let linux = spec.linux().as_ref();
    let paths = |paths: Option<&Vec<String>>| paths.cloned().unwrap_or_default();
    if all.iter().any(|one| one.destination() == Path::new("/proc")) {
        moves.push(Move::child(
            Step::OpenProc,
            "a handle on this proc as it is now, before parts of it are closed: settings are written through it, and only after \
             fstatfs(2) says that it is one (CVE-2025-52881)",
        ));
    }
    for path in paths(linux.and_then(|linux| linux.masked_paths().as_ref())) {
        moves.push(Move::child(
            Step::Mask { path: At::Root(path.into()) },
            "it tells of the whole machine, or reaches it",
        ));
    }
    for path in paths(linux.and_then(|linux| linux.readonly_paths().as_ref())) {
        moves.push(Move::child(
            Step::ReadOnly { path: At::Root(path.into()) },
            "settings of the whole kernel: to be read, not written",
        ));
    }
    if let Some(process) = spec.process() {
        let cwd = At::Root(process.cwd().clone());
        if process.cwd() != Path::new("/") {
            moves.push(point(&cwd, Kind::Directory, None));
        }
    }
    if ground.choices.terminal {
        let uid = spec.process().as_ref().map_or(0, |process| process.user().uid());
        moves.push(Move::child(
            Step::Terminal { uid },
            "a terminal of the container's own: one end stays inside as /dev/console, the other goes to the host's process",
        ));
    }
    moves
}

fn point(path: &At, kind: Kind, source: Option<&Path>) -> Move {
    let source = source.map(Path::to_owned);
    Move::child(Step::MountPoint { path: path.clone(), kind, source }, "what is mounted on has to be there")
}

fn bind(source: &Path, target: At, flags: u64) -> Step {
    Step::Mount {
        source: Some(source.to_string_lossy().into_owned()),
        target,
        fstype: None,
        flags,
        data: None,
    }
}

fn mount_one(ground: &Ground, one: &Mount, moves: &mut Vec<Move>) {
    let options = mount::parse(one.options().as_deref().unwrap_or_default());
    let target = At::Root(one.destination().clone());
    let kind = one.typ().as_deref().unwrap_or("none");
    let why = reason(one.destination(), kind);
    if kind == "cgroup" || kind == "cgroup2" {
        return cgroup(ground, &options, &target, moves);
    }
    if is_bind(one) {
        let source = one.source().clone().unwrap_or_default();
        moves.push(point(&target, Kind::AsSource, Some(&source)));
        let how = o::MS_BIND | options.flags & o::MS_REC;
        moves.push(Move::child(bind(&source, target.clone(), how), why));
        let extra = options.flags & !(o::MS_BIND | o::MS_REC);
        if extra != 0 || options.clear != 0 {
            let step = Step::Remount { target: target.clone(), set: extra, clear: options.clear };
            moves.push(Move::child(
                step,
                "a bind mount takes its flags only in a second call: the first ignores them; those that it came with \
                 are repeated, or they would go",
            ));
        }
    } else {
        moves.push(point(&target, Kind::Directory, None));
        let source =
            one.source().as_ref().map_or_else(|| kind.to_owned(), |s| s.to_string_lossy().into_owned());
        let step = Step::Mount {
            source: Some(source),
            target: target.clone(),
            fstype: Some(kind.to_owned()),
            flags: options.flags,
            data: options.data(),
        };
        moves.push(Move::child(step, why));
    }
    for flag in &options.propagation {
        let step =
            Step::Mount { source: None, target: target.clone(), fstype: None, flags: *flag, data: None };
        moves.push(Move::child(step, "whether mounts made in it later travel to its copies"));
    }
    if options.attr_set != 0 || options.attr_clear != 0 {
        let step =
            Step::MountAttr { target, set: options.attr_set, clear: options.attr_clear, recursive: true };
        moves.push(Move::child(
            step,
            "for everything mounted below it too, which mount(2) cannot (Linux 5.12)",
        ));
    }
}

fn reason(destination: &Path, kind: &str) -> &'static str {
    match (destination.to_str().unwrap_or_default(), kind) {
        (_, "proc") => "it shows the processes of the pid namespace that this process is in",
        (_, "sysfs") => {
            "it shows the network interfaces of this network namespace; read-only, as the rest of it is the host's"
        }
        (_, "devpts") => "terminals of its own: newinstance, so that the host's are not in it",
        (_, "mqueue") => "POSIX message queues of this IPC namespace",
        ("/dev", _) => "empty, in memory: no node of the host is in it",
        ("/dev/shm", _) => "POSIX shared memory, with a size, as it is taken from the group's memory",
        (_, "tmpfs") => "in memory, gone with the container",
        (_, "bind" | "none") => "a part of the host, seen inside: the same files, not a copy",
        _ => "as the configuration asks",
    }
}

/// The control groups, as the container may see them: its own and what is below.
fn cgroup(ground: &Ground, options: &MountOptions, target: &At, moves: &mut Vec<Move>) {
    let own_namespace = super::namespaces::all(ground).any(|(kind, _)| kind == Ns::Cgroup);
    let places = &ground.places;
    let mount = |source: &str, target: At, fstype: &str, flags, data: Option<&str>| Step::Mount {
        source: Some(source.to_owned()),
        target,
        fstype: Some(fstype.to_owned()),
        flags,
        data: data.map(str::to_owned),
    };
    if ground.host.cgroup.mode == Mode::V2 && comes_along(ground, target.path()) {
        // What is there already cannot be mounted over itself (EBUSY), but a part of it can.
        if let Some(place) = places.first() {
            moves.push(Move::child(
                bind(&place.dir, target.clone(), o::MS_BIND),
                "its own group alone; the host's groups came along with what they are in",
            ));
            let step = Step::Remount { target: target.clone(), set: options.flags, clear: 0 };
            moves.push(Move::child(step, "read-only, or it could lift its limits"));
        }
        return;
    }
    moves.push(point(target, Kind::Directory, None));
    if ground.host.cgroup.mode == Mode::V2 {
        // In the machine's own cgroup namespace, which it stays in then, a new mount would take its nsdelegate away.
        let skipped = ground.ways.skip.iter().any(|skip| skip == "cgroup");
        if own_namespace && !skipped {
            let step = mount("cgroup", target.clone(), "cgroup2", options.flags, None);
            moves.push(Move::child(
                step,
                "its own group is the root of what it sees; read-only, or it could lift its limits",
            ));
        } else if let Some(place) = places.first() {
            moves.push(Move::child(
                bind(&place.dir, target.clone(), o::MS_BIND),
                "its own group alone, as it has no cgroup namespace",
            ));
            let step = Step::Remount { target: target.clone(), set: options.flags, clear: 0 };
            moves.push(Move::child(step, "read-only, or it could lift its limits"));
        } else if let Some(v2) = ground.host.cgroup.v2().filter(|_| skipped) {
            moves.push(Move::child(
                bind(&v2.mount, target.clone(), o::MS_BIND),
                "without a group and a cgroup namespace of its own it sees those of the machine",
            ));
            let step = Step::Remount { target: target.clone(), set: options.flags, clear: 0 };
            moves.push(Move::child(step, "read-only, or it could change them"));
        }
        return;
    }
    let below = |name: &str| At::Root(target.path().join(name));
    let set = options.flags & !o::MS_RDONLY;
    moves.push(Move::child(
        mount("tmpfs", target.clone(), "tmpfs", set, Some("mode=755")),
        "a directory for each hierarchy of version 1",
    ));
    for place in places.iter().filter(|place| place.version == 1) {
        let Some(hierarchy) = ground.host.cgroup.hierarchies.get(place.hierarchy) else { continue };
        let Some(name) = hierarchy.mount.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        moves.push(point(&below(&name), Kind::Directory, None));
        moves.push(Move::child(bind(&place.dir, below(&name), o::MS_BIND), "its own group alone"));
        let step = Step::Remount { target: below(&name), set: options.flags, clear: 0 };
        moves.push(Move::child(step, "read-only, or it could lift its limits"));
        for alias in
            place.controllers.iter().filter(|controller| **controller != name && place.controllers.len() > 1)
        {
            let step = Step::Symlink { target: name.clone(), path: below(alias) };
            moves.push(Move::child(step, "controllers that share a hierarchy are found under each name"));
        }
    }
    if options.flags & o::MS_RDONLY != 0 {
        let step = Step::Remount { target: target.clone(), set: options.flags, clear: 0 };
        if super::userns::is_apart(ground) {
            moves.push(Move::child(step, "nothing more is to be made in it"));
        }
    }
}

/// Whether the host's own mount of the groups is at this place already: a recursive bind of /sys brings it along, where a
/// sysfs of the container's own may not be mounted.
fn comes_along(ground: &Ground, target: &Path) -> bool {
    let from = |one: &Mount| {
        let recursive = mount::parse(one.options().as_deref().unwrap_or_default()).flags & o::MS_REC != 0;
        let rest = target.strip_prefix(one.destination()).ok().filter(|_| is_bind(one) && recursive)?;
        Some(one.source().as_ref()?.join(rest))
    };
    let groups = |path: &Path| ground.host.cgroup.hierarchies.iter().any(|hierarchy| hierarchy.mount == path);
    let mounts = ground.container.spec.mounts().iter().flatten();
    mounts.filter_map(from).any(|path| groups(&path))
}

/// The nodes of /dev: made where that is allowed, else the host's are bound.
fn devices(ground: &Ground, moves: &mut Vec<Move>) {
    let nested = super::userns::is_apart(ground) || !ground.host.user_namespace.initial;
    let linux = ground.container.spec.linux().as_ref();
    let asked = linux.and_then(|linux| linux.devices().as_ref()).into_iter().flatten();
    let known = DEVICES
        .iter()
        .map(|(name, major, minor)| (Path::new("/dev").join(name), 'c', *major, *minor, 0o666, (0, 0)));
    let asked = asked.map(|device| {
        let kind = match device.typ() {
            LinuxDeviceType::B => 'b',
            LinuxDeviceType::P => 'p',
            _ => 'c',
        };
        let number = |n: i64| u32::try_from(n).unwrap_or(0);
        let owner = (device.uid().unwrap_or(0), device.gid().unwrap_or(0));
        (
            device.path().clone(),
            kind,
            number(device.major()),
            number(device.minor()),
            device.file_mode().unwrap_or(0o666),
            owner,
        )
    });
    // What is mounted at the very place of a node (`-v /dev/urandom:/dev/random`) was asked for in its stead.
    let mounts = ground.container.spec.mounts().as_deref().unwrap_or_default();
    let taken = |path: &Path| mounts.iter().any(|one| one.destination() == path);
    // The description may say another mode for /dev/null: what it names is not made by default, and the first of a name counts.
    let mut all: Vec<_> = asked.collect();
    let mut names = std::collections::HashSet::new();
    all.retain(|node| names.insert(node.0.clone()));
    let defaults = known.filter(|node| !all.iter().any(|other| other.0 == node.0)).collect::<Vec<_>>();
    for (path, kind, major, minor, mode, (uid, gid)) in
        defaults.into_iter().chain(all).filter(|(path, ..)| !taken(path))
    {
        let at = At::Root(path.clone());
        if nested {
            moves.push(point(&at, Kind::File, None));
            let step = bind(&source_of(&path), at, o::MS_BIND);
            moves.push(Move::child(
                step,
                "mknod(2) is refused in a user namespace, so the host's node is bound",
            ));
        } else {
            let step = Step::Mknod { path: at, kind, major, minor, mode, uid, gid };
            moves.push(Move::child(step, "a node is a number for the kernel; this one harms nobody"));
        }
    }
    for (target, path) in LINKS {
        let step = Step::Symlink { target: target.to_owned(), path: At::Root(path.into()) };
        moves.push(Move::child(step, "programs expect the name"));
    }
}

/// The host's node of the same name.
fn source_of(path: &Path) -> PathBuf {
    path.to_owned()
}
