//! Stage `image`: where do a container's files come from?
//!
//! Next: `userns`.

use crate::stage::{Ground, Move, Stage};
use crate::step::Step;

pub static STAGE: Stage = Stage {
    id: "image",
    title: "Layers and a writable directory",
    question: "Where do a container's files come from?",
    why: "An image is a stack of directories that nobody writes to, so that many containers share them. What \
          this container writes goes to a directory of its own, upper; the kernel wants a second one, work, on the \
          same file system, to prepare files in before they appear. Nothing is merged yet.",
    man: &["mkdir(2)", "https://docs.kernel.org/filesystems/overlayfs.html"],
    observe: &["ls", "/"],
    pitfalls: super::pitfalls::image::ALL,
    moves,
};

/// Who owns the container's root on the host: root inside.
pub fn owner(ground: &Ground) -> Option<(u32, u32)> {
    let linux = ground.container.spec.linux().as_ref()?;
    let outside = |maps: &Option<Vec<oci_spec::runtime::LinuxIdMapping>>| {
        maps.as_ref()?.iter().find(|map| map.container_id() == 0).map(|map| map.host_id())
    };
    let owner = (outside(linux.uid_mappings())?, outside(linux.gid_mappings())?);
    // An ordinary user cannot give files away, and what is made is the user's already.
    (ground.host.uid == 0 && owner != (0, 0)).then_some(owner)
}

fn moves(ground: &Ground) -> Vec<Move> {
    let Some(layers) = &ground.container.layers else { return Vec::new() };
    let owner = owner(ground);
    let mut moves = Vec::new();
    if let Some(store) = &ground.container.image {
        moves.push(Move::host(
            Step::Layers { store: store.dir.clone(), owner: store.owner },
            "base, tools and app are made of this machine's own programs when they are missing; they stay, as an \
             image does",
        ));
    }
    let Some(directory) = layers.upper.parent() else { return moves };
    if let Some(above) = directory.parent() {
        let why = "the containers' directory stays: it is empty when no container is there";
        moves.push(Move::host(make(above, 0o711, true), why).without_undo());
    }
    let why = "everything that is this container's alone; nobody else may look into it";
    let mode = if owner.is_some() { 0o710 } else { 0o700 };
    moves.push(
        Move::host(make(directory, mode, false), why)
            .undone_by(Step::RemoveTree { path: directory.to_owned() }),
    );
    if let Some((_, gid)) = owner {
        let step = Step::Chown { path: directory.to_owned(), uid: 0, gid };
        moves.push(Move::host(step, "root inside, who mounts the layers, has to pass through it"));
    }
    let whys = [
        (&layers.upper, "what the container writes; its owner and mode become those of the container's /"),
        (
            &layers.work,
            "overlay prepares a file here and renames it into upper, so it must be the same file system",
        ),
        (&layers.merged, "the place where layers and upper will be seen as one"),
    ];
    for (path, why) in whys {
        moves.push(Move::host(make(path, 0o755, false), why).without_undo());
        if let Some((uid, gid)) = owner {
            let step = Step::Chown { path: path.clone(), uid, gid };
            moves.push(Move::host(step, "root inside is this user outside"));
        }
    }
    for volume in &ground.container.volumes {
        let why = "a named volume outlives the container: that is its purpose";
        // Users of the host must not come by a setuid program that root inside has put there (CVE-2021-41091).
        // Root of a user namespace is such a user, and has to pass.
        let mode = if owner.is_some() { 0o711 } else { 0o700 };
        if let Some(above) = volume.parent() {
            moves.push(Move::host(make(above, mode, true), why).without_undo());
        }
        moves.push(Move::host(make(volume, 0o755, true), why).without_undo());
        if let Some((uid, gid)) = owner {
            let step = Step::Chown { path: volume.clone(), uid, gid };
            moves.push(Move::host(step, "root inside is this user outside"));
        }
    }
    for name in super::hostname::files(ground) {
        let step = Step::Create { path: directory.join(name), text: String::new(), owner };
        moves.push(
            Move::host(step, "bound over the image's file later, and written when the name is known")
                .without_undo(),
        );
    }
    moves.into_iter().map(Move::alone).collect()
}

fn make(path: &std::path::Path, mode: u32, exist_ok: bool) -> Step {
    Step::Mkdir { path: path.to_owned(), mode, exist_ok }
}
