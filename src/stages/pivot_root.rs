//! Stage `pivot-root`: how is the host's tree left behind for good?
//!
//! Next: `hostname`.

use crate::kernel::libc_flags as o;
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
    if read_only && !ground.ways.chroot {
        let step = Step::Mount {
            source: None,
            target: At::Root(root()),
            fstype: None,
            flags: o::MS_REMOUNT | o::MS_BIND | o::MS_RDONLY,
            data: None,
        };
        moves.push(Move::child(step, "the root itself read-only, now that every place to mount on is made"));
    }
    moves
}
