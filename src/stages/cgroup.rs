//! Stage `cgroup`: how much may it take?
//!
//! Next: `veth`.

use crate::host::cgroup::Place;
use crate::kernel::devices::v1_lines;
use crate::kernel::libc_flags as o;
use crate::spec::cgroup as limits;
use crate::stage::{Ground, Move, Stage};
use crate::step::{At, Step};
use oci_spec::runtime::{LinuxNamespaceType as Ns, LinuxResources};
use std::path::{Path, PathBuf};

pub static STAGE: Stage = Stage {
    id: "cgroup",
    title: "A control group and its limits",
    question: "How much memory, processor time and how many processes may it have?",
    why: "Namespaces say what a process sees; control groups say how much it gets. A group is a directory: limits are \
          written into its files, and a process is put in by writing its number, with all its children to come. With \
          version 2 there is one tree for all controllers, with version 1 one for each.",
    man: &["cgroups(7)", "https://docs.kernel.org/admin-guide/cgroup-v2.html"],
    observe: &["cat", "/proc/self/cgroup"],
    pitfalls: super::pitfalls::cgroup::ALL,
    moves,
};

/// The controller's group of this container.
pub fn of_controller<'a>(places: &'a [Place], name: &str) -> Option<&'a Place> {
    places.iter().find(|place| place.controllers.iter().any(|known| known == name))
}

fn moves(ground: &Ground) -> Vec<Move> {
    let places = &ground.places;
    let linux = ground.container.spec.linux().as_ref();
    let none = LinuxResources::default();
    let resources = linux.and_then(|linux| linux.resources().as_ref()).unwrap_or(&none);
    let mut moves = Vec::new();
    for place in places {
        make(place, &mut moves);
        if place.version == 2 {
            // Beside v1's hierarchies, v2 has only the controllers that v1 does not use.
            version2(ground, place, resources, &mut moves);
        } else {
            version1(ground, place, resources, &mut moves);
        }
    }
    if super::clone::into_cgroup(ground).is_some() {
        return moves;
    }
    moves = moves.into_iter().map(Move::alone).collect();
    for place in places {
        let why = "it and all its children to come; the kernel waits here for every processor to pass a quiet moment, \
                   some 10 ms, once for all hierarchies together, so it runs beside what the child does next";
        let step = Step::Write { path: At::Host(place.dir.join("cgroup.procs")), text: "{pid}".to_owned() };
        moves.push(Move::host(step, why).beside());
    }
    moves.extend(namespace(ground));
    moves
}

/// The cgroup namespace: made once the process is in its group, which becomes the root of what it sees.
pub fn namespace(ground: &Ground) -> Vec<Move> {
    let new = super::namespaces::all(ground).any(|(kind, path)| kind == Ns::Cgroup && path.is_none());
    let why = "only now: the group that a process is in when it unshares becomes the root of what it sees; with \
               CLONE_NEWCGROUP in the clone it would be the parent's";
    let step = Step::Unshare { flags: o::CLONE_NEWCGROUP as u64 };
    if new { vec![Move::child(step, why)] } else { Vec::new() }
}

/// The directories from what is ours down to the group.
fn between(place: &Place) -> Vec<PathBuf> {
    let below = place.dir.strip_prefix(&place.parent).unwrap_or(Path::new(""));
    let mut at = place.parent.clone();
    let mut all: Vec<PathBuf> = below
        .components()
        .map(|name| {
            at.push(name);
            at.clone()
        })
        .collect();
    all.pop();
    all
}

fn make(place: &Place, moves: &mut Vec<Move>) {
    for above in between(place) {
        let step = Step::Mkdir { path: above, mode: 0o755, exist_ok: true };
        moves.push(Move::host(step, "a group above it; it goes when the last group in it goes"));
    }
    let why = match (place.version, place.controllers.is_empty()) {
        (2, _) => "the group: a directory, which the kernel fills with files".to_owned(),
        (_, true) => {
            "a hierarchy without controllers: here a group only names who belongs together".to_owned()
        }
        (_, false) => format!("the group for {}", place.controllers.join(" and ")),
    };
    moves.push(
        Move::host(Step::Mkdir { path: place.dir.clone(), mode: 0o755, exist_ok: false }, why)
            .undone_by(Step::RemoveGroup { path: place.dir.clone() }),
    );
}

fn write(place: &Place, limit: &limits::Write) -> Move {
    let (path, text) = (place.dir.join(&limit.file), limit.value.clone());
    let step = match limit.optional {
        true => Step::WriteIfThere { path, text },
        false => Step::Write { path: At::Host(path), text },
    };
    Move::host(step, meaning(&limit.file))
}

/// Device rules, of either version, are for root of the machine: root of a user namespace has no say in them.
fn may_rule_devices(ground: &Ground) -> bool {
    ground.host.is_privileged() && ground.host.user_namespace.initial
}

fn version1(ground: &Ground, place: &Place, resources: &LinuxResources, moves: &mut Vec<Move>) {
    let has = |name: &str| place.controllers.iter().any(|known| known == name);
    if has("cpuset") {
        for group in between(place).iter().chain([&place.dir]) {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let step = Step::Inherit { path: group.join(file) };
                let why = "a new group of v1's cpuset is empty, and no process can enter an empty one";
                moves.push(Move::host(step, why));
            }
        }
    }
    // What cannot be obeyed was refused when the container was described.
    for limit in limits::v1(resources).unwrap_or_default().writes {
        if has(&limit.controller) {
            moves.push(write(place, &limit));
        }
    }
    let rules = limits::rules(resources);
    // No rules are none, as with version 2; to v1_lines they are those that allow nothing.
    if has("devices") && may_rule_devices(ground) && !rules.is_empty() {
        for (file, line) in v1_lines(&rules).unwrap_or_default() {
            let path = At::Host(place.dir.join(file));
            moves.push(Move::host(Step::Write { path, text: line }, meaning(file)));
        }
    }
}

fn version2(ground: &Ground, place: &Place, resources: &LinuxResources, moves: &mut Vec<Move>) {
    let alone = ground.host.cgroup.mode == crate::host::cgroup::Mode::V2;
    let wanted = if alone { limits::v2(resources).unwrap_or_default().writes } else { Vec::new() };
    let rules = limits::rules(resources);
    let mut needed: Vec<&str> = wanted.iter().map(|limit| limit.controller.as_str()).collect();
    needed.retain(|name| place.controllers.iter().any(|known| known == name));
    needed.sort_unstable();
    needed.dedup();
    let parent = ground.host.cgroup.hierarchies.get(place.hierarchy).map(|hierarchy| &hierarchy.parent);
    for (number, above) in std::iter::once(place.parent.clone()).chain(between(place)).enumerate() {
        let enabled = |name: &&&str| {
            number == 0
                && parent.is_some_and(|p| p.dir == above && p.enabled.iter().any(|known| known == *name))
        };
        let missing: Vec<&str> = needed.iter().filter(|name| !enabled(name)).copied().collect();
        if missing.is_empty() {
            continue;
        }
        let text = missing.iter().map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ");
        let why = "a controller works in a group only if every group above has it enabled, on the way down";
        let path = At::Host(above.join("cgroup.subtree_control"));
        let mut one = Move::host(Step::Write { path, text }, why);
        if number == 0 {
            let controllers = missing.iter().map(|name| (*name).to_owned()).collect();
            one = one.undone_by(Step::DisableControllers { path: above.clone(), controllers });
        }
        // Where each group of the way is made just before, its controllers come after it.
        let at = moves.iter().position(|m| matches!(&m.step, Step::Mkdir { path, .. } if *path == above));
        moves.insert(at.map_or_else(|| first_make(moves, place), |at| at + 1), one);
    }
    for limit in wanted
        .iter()
        .filter(|limit| limit.controller == "cgroup" || needed.contains(&limit.controller.as_str()))
    {
        moves.push(write(place, limit));
    }
    if alone && !rules.is_empty() && may_rule_devices(ground) {
        let rules = serde_json::to_string(&rules).unwrap_or_default();
        let step = Step::DeviceProgram { cgroup: place.dir.clone(), rules };
        moves.push(Move::host(step, "version 2 has no devices controller: the rules are a small eBPF program, asked at every mknod and open"));
    }
}

/// Before the first directory that this place makes.
fn first_make(moves: &[Move], place: &Place) -> usize {
    let below = |m: &Move| matches!(&m.step, Step::Mkdir { path, .. } if path.starts_with(&place.parent));
    moves.iter().position(below).unwrap_or(moves.len())
}

/// What a file of a group means, as its documentation has it.
fn meaning(file: &str) -> &'static str {
    match file {
        "memory.limit_in_bytes" | "memory.max" => {
            "more than this, and the kernel kills a process of the group"
        }
        "memory.memsw.limit_in_bytes" => "memory and swap together; it must not be less than memory alone",
        "memory.swap.max" => "swap alone: with version 2 it is counted by itself",
        "cpu.cfs_period_us" => "the length of a period, in microseconds",
        "cpu.cfs_quota_us" => "how much of each period the group may run, over all processors",
        "cpu.max" => "quota and period in microseconds: how much of each period the group may run",
        "cpu.shares" | "cpu.weight" => "its part when the processors are busy, against the groups beside it",
        "pids.max" => "fork(2) gives EAGAIN beyond this many processes",
        "devices.deny" => "refused; everything first, so that only what is named is allowed",
        "devices.allow" => "what is harmless is allowed: type, number, read, write and mknod",
        _ => "as the configuration asks",
    }
}
