//! Stage `userns`: who is root inside?
//!
//! Next: `clone`.

use super::namespaces;
use crate::kernel::libc_flags as o;
use crate::stage::{Ground, Move, Stage};
use crate::step::{At, Range, Step};
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType};
use std::path::PathBuf;

pub static STAGE: Stage = Stage {
    id: "userns",
    title: "A user namespace and its maps",
    question: "Who is root inside, and who is that outside?",
    why: "A user namespace gives ids a second meaning: root inside can be an ordinary user outside, and has its \
          capabilities only over what belongs to the namespace. Everything made after it belongs to it, so it comes \
          first. Docker's default keeps the host's; an ordinary user cannot do without one.",
    man: &["user_namespaces(7)", "unshare(2)", "newuidmap(1)", "subuid(5)"],
    observe: &["cat", "/proc/self/uid_map"],
    pitfalls: super::pitfalls::userns::ALL,
    moves,
};

/// It will be in another user namespace than we are, a new one or one that is joined: with all capabilities there,
/// and none here.
pub fn is_apart(ground: &Ground) -> bool {
    namespaces::all(ground).any(|(kind, _)| kind == LinuxNamespaceType::User)
        && !ground.ways.skip.iter().any(|skip| skip == STAGE.id)
}

fn moves(ground: &Ground) -> Vec<Move> {
    let joined = namespaces::all(ground).find(|(kind, _)| *kind == LinuxNamespaceType::User);
    let Some((_, path)) = joined else { return Vec::new() };
    let mut moves = super::clone::spawn(ground);
    if namespaces::joined_first(ground) {
        moves.extend(namespaces::joined(ground));
    }
    if let Some(path) = path {
        let step = Step::Setns { path, flag: o::CLONE_NEWUSER as u64 };
        moves.push(Move::child(step, "it owns the namespaces that follow"));
        moves.extend(root_inside());
        return moves;
    }
    moves.push(Move::child(
        Step::Unshare { flags: o::CLONE_NEWUSER as u64 },
        "all capabilities in the new namespace, and no id in it yet: every file belongs to nobody (65534)",
    ));
    let linux = ground.container.spec.linux().as_ref();
    let uids = ranges(linux.and_then(|l| l.uid_mappings().as_ref()));
    let gids = ranges(linux.and_then(|l| l.gid_mappings().as_ref()));
    // One who is not root may map only the own id without help.
    let helped = ground.host.uid != 0 && (uids.len() > 1 || gids.len() > 1);
    let helper = |helper: &Option<crate::host::Helper>| -> Option<PathBuf> {
        helper.as_ref().filter(|_| helped).map(|helper| helper.path.clone())
    };
    if ground.host.uid != 0 && !helped {
        let file = At::Host("/proc/{pid}/setgroups".into());
        moves.push(Move::host(
            Step::Write { path: file, text: "deny".to_owned() },
            "without CAP_SETGID outside, the kernel takes a group map only after setgroups(2) is given up: dropping a \
             group could otherwise open a file that denies just that group",
        ));
    }
    moves.push(Move::host(
        Step::MapIds {
            file: "/proc/{pid}/uid_map".into(),
            ranges: uids,
            helper: helper(&ground.host.newuidmap),
        },
        "inside, outside, count; it can be written once, by the parent",
    ));
    moves.push(Move::host(
        Step::MapIds {
            file: "/proc/{pid}/gid_map".into(),
            ranges: gids,
            helper: helper(&ground.host.newgidmap),
        },
        "groups are mapped like users",
    ));
    moves.extend(root_inside());
    moves.push(Move::child(
        Step::SetDumpable { dumpable: true },
        "a change of ids hides /proc/PID from the host's process, which is not root; nobody else is inside yet",
    ));
    moves
}

fn root_inside() -> [Move; 2] {
    [
        Move::child(Step::SetResGid { gid: 0 }, "root's group inside, now that it is mapped"),
        Move::child(
            Step::SetResUid { uid: 0 },
            "root inside, now that it is mapped: what it makes from here on is root's",
        ),
    ]
}

fn ranges(maps: Option<&Vec<LinuxIdMapping>>) -> Vec<Range> {
    maps.into_iter()
        .flatten()
        .map(|map| Range { inside: map.container_id(), outside: map.host_id(), count: map.size() })
        .collect()
}
