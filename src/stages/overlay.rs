//! Stage `overlay`: how do layers become one root?
//!
//! Next: `mounts`.

use crate::kernel::libc_flags as o;
use crate::spec::mount;
use crate::stage::{Ground, Move, Stage};
use crate::step::{At, Step};
use std::path::{Path, PathBuf};

pub static STAGE: Stage = Stage {
    id: "overlay",
    title: "Layers become one root",
    question: "How do many read-only layers become one tree that can be written to?",
    why: "An overlay mount shows the layers as one tree: of each name the uppermost one. A write copies the file up into \
          upper first; a delete leaves a mark there. The layers stay as they were. The mount is made in the container's own \
          mount namespace, so that the host never has it.",
    man: &["mount(2)", "mount_namespaces(7)", "https://docs.kernel.org/filesystems/overlayfs.html"],
    observe: &["sh", "-c", "grep overlay /proc/self/mountinfo || echo no overlay mount here"],
    pitfalls: super::pitfalls::overlay::ALL,
    moves,
};

/// Where the root file system will be, on the host.
pub fn root(ground: &Ground) -> PathBuf {
    match &ground.container.layers {
        Some(layers) => layers.merged.clone(),
        None => ground.container.spec.root().as_ref().map(|root| root.path().clone()).unwrap_or_default(),
    }
}

/// Whether mounts of the host are to travel in: a volume that asks for it, or the configuration.
fn slave(ground: &Ground) -> bool {
    let asks = |options: &Vec<String>| {
        mount::parse(options).propagation.iter().any(|p| p & (o::MS_SLAVE | o::MS_SHARED) != 0)
    };
    let mounts = ground.container.spec.mounts().as_ref();
    let linux = ground.container.spec.linux().as_ref();
    let whole = linux
        .and_then(|linux| linux.rootfs_propagation().as_ref())
        .is_some_and(|p| p.contains("slave") || p.contains("shared"));
    whole || mounts.is_some_and(|all| all.iter().any(|m| m.options().as_ref().is_some_and(asks)))
}

/// The first thing in a new mount namespace, whatever else is left out.
pub fn propagation(ground: &Ground) -> Move {
    let (flag, why) = match slave(ground) {
        true => (
            o::MS_SLAVE,
            "systemd shares every mount, and a copied namespace shares with the original: what is mounted here would appear on \
             the host. A slave gets the host's mounts, as a volume asks, and gives none; pivot_root wants no shared one either",
        ),
        false => (
            o::MS_PRIVATE,
            "systemd shares every mount, and a copied namespace shares with the original: what is mounted here would appear on \
             the host. Private means that nothing travels either way; pivot_root refuses a shared mount with EINVAL",
        ),
    };
    let step = Step::Mount {
        source: None,
        target: At::Host("/".into()),
        fstype: None,
        flags: o::MS_REC | flag,
        data: None,
    };
    Move::child(step, why)
}

fn moves(ground: &Ground) -> Vec<Move> {
    let mut moves = Vec::new();
    let root = root(ground);
    let on_root = |source: Option<String>, fstype: Option<&str>, flags, data| Step::Mount {
        source,
        target: At::Host(root.clone()),
        fstype: fstype.map(str::to_owned),
        flags,
        data,
    };
    match &ground.container.layers {
        Some(layers) => {
            let lower: Vec<String> = layers.lower.iter().map(|path| escaped(path)).collect();
            let mut data = format!(
                "lowerdir={},upperdir={},workdir={}",
                lower.join(":"),
                escaped(&layers.upper),
                escaped(&layers.work)
            );
            let mut why = "the uppermost layer first; what is written goes to upper".to_owned();
            if ground.host.at_least(5, 10) {
                data.push_str(",volatile");
                why.push_str("; volatile, as it goes with the container: otherwise unmounting waits until the disk has it all");
            }
            if super::userns::is_apart(ground) {
                data.push_str(",userxattr");
                why.push_str("; in a user namespace its marks are user.* attributes, as trusted.* ones are not ours to set (Linux 5.11)");
            }
            moves.push(Move::child(on_root(Some("overlay".to_owned()), Some("overlay"), 0, Some(data)), why));
        }
        None => {
            let source = Some(root.to_string_lossy().into_owned());
            moves.push(Move::child(
                on_root(source, None, o::MS_BIND | o::MS_REC, None),
                "pivot_root wants a mount point, so the directory is mounted on itself",
            ));
        }
    }
    moves.push(Move::child(
        Step::OpenRoot { path: root },
        "held from here on: each path inside is resolved below this descriptor (openat2, RESOLVE_IN_ROOT), so that no symlink of \
         an image leads a mount outside",
    ));
    moves
}

/// A path in overlay's options: `:` separates layers, `,` separates options, `\` escapes.
fn escaped(path: &Path) -> String {
    let mut out = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(c, ':' | ',' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
