//! What is a container besides its config.json? Its name, its layers, its place on the network, and what
//! had to be left out of what was asked for.
//!
//! Next: `crate::plan`, which is made of it.

use super::values::Id;
use super::{Error, Network, Options, UserSpec};
use crate::host::Host;
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

/// A container to be built: the OCI description, and what it has no field for.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Twelve hexadecimal digits, or the name that was asked for; the name of its directories and group.
    pub id: String,
    pub spec: Spec,
    /// The image that must be there first; `None` with `--rootfs` or `--bundle`.
    pub image: Option<Store>,
    /// The layers of its root; `None` where `root.path` is used as it is.
    pub layers: Option<Layers>,
    /// Docker's own seccomp profile, which [`Container::described`] writes out: parsing it takes longer than all the
    /// rest of a description, and its finished filter is kept.
    pub docker_filter: Option<DockerFilter>,
    pub network: Network,
    /// PID 1 is learnctr's own small init.
    pub init: bool,
    /// A user or groups given by name, to be looked up in the container's own /etc/passwd and /etc/group.
    pub user: Option<UserSpec>,
    pub groups: Vec<Id>,
    /// Directories to be made before `-v` can bind them.
    pub volumes: Vec<PathBuf>,
    /// What is not as it was asked for, and why.
    pub notes: Vec<Note>,
}

/// The directories of an overlay mount; `lower` is ordered as `lowerdir=` is, the uppermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub merged: PathBuf,
}

/// Something that the learner is told at a stage: what was asked for and cannot be had, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The stage's id, `veth`.
    pub stage: &'static str,
    pub text: String,
}

impl Note {
    pub fn new(stage: &'static str, text: impl Into<String>) -> Note {
        Note { stage, text: text.into() }
    }
}

/// What Docker's profile depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DockerFilter {
    /// The capabilities of the bounding set.
    pub capabilities: u64,
    pub kernel: (u32, u32),
}

/// The default image, as `crate::image::ensure` is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub dir: PathBuf,
    /// Whom root inside is outside: the layers' files are to be theirs. `None`: ours.
    pub owner: Option<(u32, u32)>,
}

impl Layers {
    pub fn at(lower: Vec<PathBuf>, dir: &Path) -> Layers {
        Layers { lower, upper: dir.join("upper"), work: dir.join("work"), merged: dir.join("merged") }
    }
}

impl Container {
    /// The id for a new container: `--name`, or twelve hexadecimal digits.
    pub fn new_id(options: &Options) -> String {
        // The keys of a RandomState come from the kernel's random numbers.
        let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        options.name.clone().unwrap_or_else(|| format!("{:012x}", random() >> 16))
    }

    /// The container that the options describe, without `--bundle`. Nothing is made, only looked at.
    pub fn from_options(options: &Options, host: &Host, id: &str) -> Result<Container, Error> {
        super::default::describe(options, host, id)
    }

    /// The container that `--bundle` describes, over `--rootfs` where that is given too.
    pub fn from_bundle(dir: &Path, options: &Options, host: &Host, id: &str) -> Result<Container, Error> {
        super::bundle::container(dir, options, host, id)
    }

    /// The one that is asked for, in whichever way.
    pub fn asked(options: &Options, host: &Host) -> Result<Container, Error> {
        let id = Container::new_id(options);
        match &options.bundle {
            Some(dir) => Container::from_bundle(dir, options, host, &id),
            None => Container::from_options(options, host, &id),
        }
    }

    /// The description with nothing left to be filled in.
    pub fn described(&self) -> Spec {
        let mut spec = self.spec.clone();
        if let (Some(filter), Some(arch), Some(linux)) =
            (self.docker_filter, super::seccomp::native_arch(), spec.linux_mut())
        {
            let caps = super::caps::set(filter.capabilities);
            linux.set_seccomp(super::seccomp::docker_default(&caps, filter.kernel, arch).ok());
        }
        spec
    }

    /// Its config.json, with what OCI has no field for as annotations: `--bundle` gives the same container.
    pub fn to_json(&self) -> serde_json::Value {
        super::to_json(&super::annotations::annotated(self))
    }

    /// Does it get a namespace of this kind, its own or one to be joined?
    pub fn has(&self, kind: LinuxNamespaceType) -> bool {
        let namespaces = self.spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
        namespaces.is_some_and(|all| all.iter().any(|namespace| namespace.typ() == kind))
    }

    /// The notes of one stage.
    pub fn notes_of(&self, stage: &str) -> impl Iterator<Item = &str> {
        self.notes.iter().filter(move |note| note.stage == stage).map(|note| note.text.as_str())
    }
}

/// A directory that is there, by its absolute name.
pub fn directory(option: &str, dir: &Path) -> Result<PathBuf, Error> {
    let refused =
        |why: String| Error::new(option, format!("{}: {why}", dir.display()), "a directory that is there");
    let path = dir.canonicalize().map_err(|error| refused(error.to_string()))?;
    match path.is_dir() {
        true => Ok(path),
        false => Err(refused("no directory".into())),
    }
}
