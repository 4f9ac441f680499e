//! Stages `freeze`, `thaw`, `stop` and `remove`: what can be done with a container that runs?
//!
//! This is the last file of stages. Next: `crate::plan`.

use super::cgroup::of_controller;
use crate::kernel::libc_flags as o;
use crate::stage::{Ground, Move, Stage};
use crate::step::{At, Link, Step};
use std::path::PathBuf;

pub static FREEZE: Stage = Stage {
    id: "freeze",
    title: "Paused",
    question: "What does docker pause do?",
    why: "The freezer stops every process of the group where it is, without a signal that it could see. All stay in memory, \
          connections stay open, nothing runs.",
    man: &["cgroups(7)", "https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html"],
    observe: &["true"],
    pitfalls: super::pitfalls::life::ALL,
    moves: |ground| {
        let mut moves =
            freezer(ground, ("1", "frozen 1"), "FROZEN", "every process of the group stops where it is");
        if let Some(first) = moves.first_mut() {
            first.undo = let_go(ground);
        }
        moves
    },
};

/// Of a frozen group of version 1 nobody dies: whoever clears up after us thaws it first.
fn let_go(ground: &Ground) -> Option<Step> {
    let thaw: Vec<Move> = (THAW.moves)(ground);
    thaw.into_iter().find_map(|one| match one.step {
        Step::Write { path: At::Host(path), text } => Some(Step::WriteIfThere { path, text }),
        _ => None,
    })
}

/// The same as a move, where the stage `thaw` was left out and `freeze` was not.
fn thawed(ground: &Ground) -> Option<Move> {
    let skips = |id: &str| ground.ways.skip.iter().any(|skip| skip == id);
    let step = let_go(ground).filter(|_| skips("thaw") && !skips("freeze"))?;
    Some(Move::host(
        step,
        "thaw was left out: with version 1, SIGKILL waits as well until the process may run",
    ))
}

pub static THAW: Stage = Stage {
    id: "thaw",
    title: "Running again",
    question: "And docker unpause?",
    why: "The processes go on as if nothing had happened; only the clock tells.",
    man: &["cgroups(7)"],
    observe: &["true"],
    pitfalls: super::pitfalls::life::ALL,
    moves: |ground| freezer(ground, ("0", "frozen 0"), "THAWED", "and goes on"),
};

fn freezer(ground: &Ground, v2: (&str, &str), v1: &str, why: &'static str) -> Vec<Move> {
    let version1 = of_controller(&ground.places, "freezer");
    let version2 = ground.places.iter().find(|place| place.version == 2);
    let (written, text, read, expected): (PathBuf, &str, PathBuf, &str) = match (version1, version2) {
        (Some(place), _) => (place.dir.join("freezer.state"), v1, place.dir.join("freezer.state"), v1),
        (None, Some(place)) => (place.dir.join("cgroup.freeze"), v2.0, place.dir.join("cgroup.events"), v2.1),
        (None, None) => return Vec::new(),
    };
    vec![
        Move::host(Step::Write { path: At::Host(written), text: text.to_owned() }, why),
        Move::host(
            Step::Await { path: read, text: expected.to_owned() },
            "it takes the kernel a moment: a process is stopped when it next leaves the kernel",
        ),
    ]
}

pub static STOP: Stage = Stage {
    id: "stop",
    title: "Stopped",
    question: "How does it end, and what if it does not want to?",
    why: "SIGTERM asks process 1 to end; after ten seconds SIGKILL does not ask. When process 1 of a pid namespace ends, the kernel \
          kills all others in it. A process 1 without a handler for SIGTERM never sees it: the usual surprise.",
    man: &["kill(2)", "signal(7)", "pid_namespaces(7)"],
    observe: &["true"],
    pitfalls: super::pitfalls::life::ALL,
    moves: |ground| {
        let signal = |signal, why| Move::host(Step::Kill { signal }, why);
        let mut moves = vec![
            signal(o::SIGTERM, "asked to end"),
            Move::host(Step::Wait { seconds: 10 }, "docker stop waits as long"),
            signal(o::SIGKILL, "no longer asked"),
        ];
        moves.extend(thawed(ground));
        moves.push(Move::host(Step::Wait { seconds: 10 }, "until the kernel says that it is gone"));
        moves
    },
};

pub static REMOVE: Stage = Stage {
    id: "remove",
    title: "Removed",
    question: "What is left of it?",
    why: "The namespaces went with the last process in them, and with them mounts and interfaces. What has a name of its own must be \
          removed by name: the group, and the directory with what it wrote. The image stays.",
    man: &["rmdir(2)", "namespaces(7)"],
    observe: &["true"],
    pitfalls: super::pitfalls::life::ALL,
    moves: |ground| {
        // Who still lives is killed with its group.
        let mut moves: Vec<Move> = thawed(ground).into_iter().collect();
        if let Some(veth) = &ground.choices.veth {
            let step = Step::Link(Link::Delete { name: veth.outside.clone() });
            moves.push(Move::host(
                step,
                "gone with its other end, as soon as the kernel has taken down the namespace",
            ));
        }
        // What its stage made, the last first.
        let made = (super::cgroup::STAGE.moves)(ground);
        for undo in made.into_iter().rev().filter_map(|one| one.undo) {
            let why = match undo {
                Step::RemoveGroup { .. } => "a group can be removed when no process is in it",
                Step::DisableControllers { .. } => {
                    "enabled for this container alone; what another group uses by now stays"
                }
                _ => "a group above it goes when it is the last in it",
            };
            moves.push(Move::host(undo, why));
        }
        if let Some(directory) = ground.container.layers.as_ref().and_then(|layers| layers.upper.parent()) {
            moves.push(Move::host(
                Step::RemoveTree { path: directory.to_owned() },
                "what the container wrote, and its hostname, hosts and resolv.conf",
            ));
        }
        moves
    },
};
