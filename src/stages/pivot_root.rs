//! Stage `pivot-root`: how is the host's tree left behind for good?
//!
//! Next: `hostname`.

use crate::kernel::libc_flags as o;
use crate::spec::mount;
use crate::stage::{Ground, Move, Stage};
use crate::step::{At, Step};
use std::path::Path;

pub static STAGE: Stage = Stage {
    id: "pivot-root",
    title: "A new root, and the old one gone",
    question: "How is the host's file system left behind, so that nothing leads back?",
    why: "chroot(2) changes where a process starts to look, and leaves every mount of the host within reach: a process with \
          CAP_SYS_CHROOT walks out. pivot_root(2) makes the new root the root of the mount namespace; the old one is then \
          unmounted, and there is nothing left to walk out to.",
    man: &["pivot_root(2)", "chroot(2)", "umount2(2)"],
    observe: &["sh", "-c", "wc -l < /proc/self/mountinfo; ls /"],
    pitfalls: super::pitfalls::pivot_root::ALL,
    moves,
};

/// What `linux.rootfsPropagation` asks for beyond private, which the root is already.
fn own_propagation(ground: &Ground) -> Vec<u64> {
    let linux = ground.container.spec.linux().as_ref();
    let asked = linux.and_then(|linux| linux.rootfs_propagation().as_ref());
    let mut flags = asked.map_or_else(Vec::new, |asked| mount::parse(&[asked]).propagation);
    flags.retain(|flag| flag & o::MS_PRIVATE == 0);
    flags
}

fn moves(ground: &Ground) -> Vec<Move> {
    let root = || Path::new("/").to_owned();
    let mut moves = Vec::new();
    if ground.ways.chroot {
        moves.push(Move::child(
            Step::Chroot,
            "as the chapter does it: every mount of the host is still there, out of sight",
        ));
    } else {
        moves.push(Move::child(
            Step::PivotRoot,
            "from inside the new root, onto itself: the old root is stacked on top at the same place, and the image needs no \
             directory for it",
        ));
        moves.push(Move::child(
            Step::Umount { target: ".".into(), flags: o::MNT_DETACH as u64 },
            "the old root and everything mounted below it, out of this namespace; detached, as this process still stands in it",
        ));
    }
    moves.push(Move::child(
        Step::Chdir { path: root() },
        "a working directory outside the root would be a way back",
    ));
    moves.push(Move::child(Step::OpenRoot { path: root() }, "the handle on the root, from inside"));
    let spec = &ground.container.spec;
    let read_only = spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
    let at_root = || At::Host(root());
    for flags in own_propagation(ground) {
        let step = Step::Mount { source: None, target: at_root(), fstype: None, flags, data: None };
        moves.push(Move::child(
            step,
            "rootfsPropagation, only now that / is the container's own: before, it would have been the host's mounts",
        ));
    }
    if read_only {
        let step = Step::Remount { target: at_root(), set: o::MS_RDONLY, clear: 0 };
        moves.push(Move::child(step, "the root itself read-only, now that every place to mount on is made"));
    }
    moves
}
