//! Stage `caps`: what can root still do?
//!
//! Next: `seccomp`.

use crate::kernel::libc_flags as o;
use crate::spec::caps::mask;
use crate::spec::fit::setgroups_denied;
use crate::stage::{Ground, Move, Stage};
use crate::step::{CapSets, Step};

pub static STAGE: Stage = Stage {
    id: "caps",
    title: "Root without most of its powers",
    question: "What can root still do inside?",
    why: "Since Linux 2.2 root's power is some forty capabilities, each asked for where it matters. Docker keeps 14: enough to \
          install a package or bind port 80, not to mount, load a module or change the clock. There are five sets; a thread \
          acts with the effective one, and the bounding set limits what execve can ever give back.",
    man: &["capabilities(7)", "capset(2)", "credentials(7)", "setresuid(2)"],
    observe: &["grep", "Cap", "/proc/self/status"],
    pitfalls: super::pitfalls::caps::ALL,
    moves,
};

/// The sets that the process is to have, without what its maker does not have itself.
pub fn sets(ground: &Ground) -> CapSets {
    let asked = ground.container.spec.process().as_ref().and_then(|process| process.capabilities().as_ref());
    // In a new user namespace its maker has all of them.
    let had = if super::userns::is_apart(ground) { u64::MAX } else { ground.host.caps.permitted };
    let bounded = if super::userns::is_apart(ground) { u64::MAX } else { ground.host.caps.bounding };
    let Some(asked) = asked else { return CapSets::default() };
    let permitted = mask(asked.permitted().as_ref()) & had;
    let inheritable = mask(asked.inheritable().as_ref()) & had;
    CapSets {
        bounding: mask(asked.bounding().as_ref()) & bounded,
        permitted,
        effective: mask(asked.effective().as_ref()) & permitted,
        inheritable,
        // A capability can be ambient only while it is permitted and inheritable.
        ambient: mask(asked.ambient().as_ref()) & permitted & inheritable,
    }
}

fn moves(ground: &Ground) -> Vec<Move> {
    let Some(process) = ground.container.spec.process() else { return Vec::new() };
    let sets = sets(ground);
    let user = process.user();
    let mut moves = vec![
        Move::child(
            Step::WorkingDirectory { path: process.cwd().clone(), create: None },
            "while it may still go anywhere: /root is a working directory for other users as well; then getcwd(2) must give a path \
             that starts at the root (CVE-2024-21626)",
        ),
        Move::child(
            Step::DropBounding { keep: sets.bounding },
            "first of the sets, as it takes CAP_SETPCAP: what is not in it, no execve and no file gives back",
        ),
    ];
    if user.uid() != 0 {
        moves.push(Move::child(
            Step::KeepCaps { keep: true },
            "a change from root to another user clears the permitted set, unless it is kept",
        ));
    }
    if !setgroups_denied(&ground.container.spec, ground.host) {
        let mut gids = user.additional_gids().clone().unwrap_or_default();
        gids.dedup();
        moves.push(Move::child(
            Step::SetGroups { gids },
            "groups first, as it takes CAP_SETGID, which goes with root",
        ));
    }
    moves.push(Move::child(Step::SetResGid { gid: user.gid() }, "then the group, for the same reason"));
    moves.push(Move::child(
        Step::SetResUid { uid: user.uid() },
        "then the user: real, effective and saved, so that there is no way back",
    ));
    moves.push(Move::child(
        Step::CapSet { sets },
        "then what the thread has and may take; it can only be made less",
    ));
    if user.uid() != 0 {
        moves.push(Move::child(Step::KeepCaps { keep: false }, "it was for that one change"));
    }
    if sets.ambient != 0 {
        moves.push(Move::child(
            Step::Ambient { raise: sets.ambient },
            "last, as a capability must be permitted and inheritable before: these survive the execve of an ordinary program",
        ));
    }
    moves.push(Move::child(
        Step::ParentDeathSignal { signal: o::SIGKILL },
        "a change of ids clears it: if the host's process dies, the container must not stay behind",
    ));
    moves
}
