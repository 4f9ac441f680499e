//! What is a container's root file system made of? Layers: here three directories, made from the tools
//! of the host itself, so that a container can be built on a machine with no image and no network.
//!
//! [`ensure`] compares what the layers were made of with what the host has now ([`manifest`]), and where
//! they differ says what belongs into each ([`contents`], [`libraries`], [`elf`]) and makes them ([`build`]).
//! Next: [`contents`].

mod build;
mod contents;
pub mod elf;
mod libraries;
mod manifest;

pub use build::Error;
pub use contents::text;
use std::path::{Path, PathBuf};

/// The name of each layer, the lowest first.
pub const LAYERS: [&str; 3] = ["base", "tools", "app"];

/// A root file system in layers, and what to run in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The lowest first; overlay's `lowerdir=` wants them the other way round.
    pub layers: Vec<PathBuf>,
    pub command: Vec<String>,
    pub env: Vec<String>,
}

/// Where the image's layers are, or will be: nothing is read or made.
///
/// Each owner has layers of their own, since root inside a user namespace must own its files.
pub fn paths(store: &Path, owner: Option<(u32, u32)>) -> Image {
    let image = directory(store, owner);
    Image {
        layers: LAYERS.iter().map(|layer| image.join(layer)).collect(),
        command: ["/app/web", "--listen", "80"].map(String::from).to_vec(),
        env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
    }
}

/// The same, with the layers made where they are missing or older than the host's files.
///
/// `owner` is who the files are to belong to, by default the caller. Layers that are up to date cost one
/// stat(2) for each file that they were made of.
pub fn ensure(
    store: &Path,
    owner: Option<(u32, u32)>,
    progress: &mut dyn FnMut(&str),
) -> Result<Image, Error> {
    let image = directory(store, owner);
    if !manifest::is_current(&image) {
        build::build(&image, owner, progress)?;
    }
    Ok(paths(store, owner))
}

fn directory(store: &Path, owner: Option<(u32, u32)>) -> PathBuf {
    match owner {
        None => store.join("image"),
        Some((uid, gid)) => store.join(format!("image-{uid}-{gid}")),
    }
}
