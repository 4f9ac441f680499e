//! Stage `clone`: what makes a process a container's?
//!
//! Next: `namespaces`, the same one flag at a time; then `cgroup`.

use super::namespaces::{self, new_flags};
use crate::host::cgroup::Mode;
use crate::kernel::libc_flags as o;
use crate::stage::{Ground, Move, Stage};
use crate::step::{At, Step};
use oci_spec::runtime::LinuxNamespaceType as Ns;
use std::path::PathBuf;

pub static STAGE: Stage = Stage {
    id: "clone",
    title: "One clone, many namespaces",
    question: "What makes a process a container's?",
    why: "clone(2) makes a process; each CLONE_NEW flag gives it a namespace of its own of one kind: process ids, \
          mounts, host name, System V IPC, network. That is all that isolation is: the same kernel, asked by a process that is \
          in other namespaces. The new process is number 1 in its pid namespace and has another number outside.",
    man: &["clone(2)", "namespaces(7)", "pid_namespaces(7)"],
    observe: &["ls", "-l", "/proc/self/ns"],
    pitfalls: super::pitfalls::clone::ALL,
    moves,
};

/// The process that becomes the container, while it is still an ordinary child; and what it is to join, opened.
pub fn spawn(ground: &Ground) -> Vec<Move> {
    let mut moves = Vec::new();
    if !namespaces::all(ground).any(|(kind, _)| kind == Ns::Pid) {
        moves.push(Move::host(
            Step::Adopt,
            "without a pid namespace no process 1 takes the others with it: what it leaves running becomes this process's \
             own child, to be ended with the container (by its group, if this process should die before)",
        ));
    }
    moves.push(Move::host(
        Step::Spawn,
        "learnctr again, from a read-only mount or a sealed copy, so that nothing inside can ever write to the host's file; \
         if this process dies, it is killed",
    ));
    moves.extend(namespaces::opened(ground));
    moves
}

/// The group that the process is born into: version 2, and one that we may move ourselves within.
pub fn into_cgroup(ground: &Ground) -> Option<PathBuf> {
    if ground.host.cgroup.mode != Mode::V2 || !ground.host.at_least(5, 7) {
        return None;
    }
    // The clone is made by root inside, to whom the groups of root outside do not belong.
    if super::userns::is_apart(ground) && ground.host.uid == 0 {
        return None;
    }
    ground.places.first().map(|place| place.dir.clone())
}

/// The flags of the one clone: all but user, which came first, and cgroup, which would start at the wrong group.
fn flags(ground: &Ground) -> u64 {
    let apart = [o::CLONE_NEWUSER, o::CLONE_NEWCGROUP];
    new_flags(ground) & !apart.iter().fold(0, |all, flag| all | *flag as u64)
}

fn moves(ground: &Ground) -> Vec<Move> {
    if ground.ways.one_by_one {
        return Vec::new();
    }
    let mut moves = before(ground);
    let offsets = time_offsets(ground);
    let mut flags = flags(ground);
    if !offsets.is_empty() {
        flags &= !(o::CLONE_NEWTIME as u64);
    }
    moves.push(fork(ground, flags));
    moves.extend(after(ground));
    moves
}

/// What has to be there before the process that stays: its maker, and the namespaces that are joined.
pub fn before(ground: &Ground) -> Vec<Move> {
    let mut moves = Vec::new();
    if !super::userns::is_apart(ground) {
        moves.extend(spawn(ground));
    }
    if !namespaces::joined_first(ground) {
        moves.extend(namespaces::joined(ground));
    }
    let offsets = time_offsets(ground);
    if !offsets.is_empty() {
        moves.push(Move::child(
            Step::Unshare { flags: o::CLONE_NEWTIME as u64 },
            "it is the next child that will be in it: the offsets can be written only while nobody is",
        ));
        // Who has taken root's ids in a user namespace that others are in is not dumpable, and so cannot write its own.
        let joined = namespaces::all(ground).any(|(kind, path)| kind == Ns::User && path.is_some());
        let write = |of: &str| Step::Write {
            path: At::Host(format!("/proc/{of}/timens_offsets").into()),
            text: offsets,
        };
        let why = "clock, seconds, nanoseconds";
        moves.push(match joined {
            true => Move::host(write("{pid}"), why),
            false => Move::child(write("self"), why),
        });
    }
    if namespaces::all(ground).any(|(kind, path)| kind == Ns::Pid && path.is_some()) {
        moves.push(Move::child(
            Step::SetDumpable { dumpable: false },
            "who is in that pid namespace already must not look into the process that comes into it and still holds files \
             of the host (CVE-2016-9962); execve(2) ends it. Last, as it closes our own /proc/self to us as well",
        ));
    }
    moves
}

/// The one fork.
pub fn fork(ground: &Ground, flags: u64) -> Move {
    let why =
        "the new process is a child of the host's process (CLONE_PARENT), and the one in the middle is done";
    let group = into_cgroup(ground);
    let why = match group {
        Some(_) => format!("{why}; it is born in its group, so that there is no moment without limits"),
        None => why.to_owned(),
    };
    Move::child(Step::Clone { flags: flags | o::CLONE_PARENT as u64, cgroup: group }, why)
}

/// What follows the fork at once.
pub fn after(ground: &Ground) -> Vec<Move> {
    let mut moves = Vec::new();
    if !ground.ways.one_by_one && new_flags(ground) & o::CLONE_NEWNS as u64 != 0 {
        moves.push(super::overlay::propagation(ground));
    }
    if into_cgroup(ground).is_some() {
        moves.extend(super::cgroup::namespace(ground));
    }
    moves
}

fn time_offsets(ground: &Ground) -> String {
    let offsets = ground.container.spec.linux().as_ref().and_then(|linux| linux.time_offsets().as_ref());
    let lines = offsets.into_iter().flatten();
    let mut lines: Vec<String> = lines
        .map(|(clock, o)| format!("{clock} {} {}\n", o.secs().unwrap_or(0), o.nanosecs().unwrap_or(0)))
        .collect();
    lines.sort();
    if new_flags(ground) & o::CLONE_NEWTIME as u64 == 0 { String::new() } else { lines.concat() }
}
