//! Which drawings are there? One ordered table; each is made of one stage's entry of the trace, one file a drawing.
//!
//! Next: the first of them, [`anatomy`].

pub mod anatomy;
pub mod budget;
pub mod files;
pub mod illusions;
pub mod lifecycle;
pub mod many;
pub mod mounts;
pub mod net;
pub mod process;
pub mod security;
pub mod timeline;
pub mod way;

use super::run::{Played, Run};
use super::scene::{Row, Scene, Tone};
use crate::probes::cgroups::Cgroup;
use crate::probes::{mounts::Mount, root};
use crate::view::KernelView;
use std::collections::BTreeMap;

/// A drawing: its name in the address, its key is its place in [`TABLE`].
pub struct Drawing {
    pub id: &'static str,
    pub title: &'static str,
    /// The section of the source document that it brings to life.
    pub section: &'static str,
    /// The stages that give it what it shows.
    pub stages: &'static [&'static str],
    pub draw: Draw,
}

/// What a drawing is made of.
pub enum Draw {
    /// Of what the kernel says of the process: without a process there is nothing to draw.
    Process(fn(&Shown) -> Scene),
    /// Of the run at a stage, with a process or without; none where it has nothing to say yet.
    Run(fn(&Run, usize) -> Option<Scene>),
}

/// What a drawing is made of: one stage, and what the whole run began with.
pub struct Shown<'a> {
    pub run: &'a Run,
    pub stage: &'a Played,
    pub view: &'a KernelView,
    /// Whether the process that is looked at is already the container's: before `clone` it is learnctr's own.
    pub apart: bool,
}

impl Shown<'_> {
    /// The group that tells most of where it is: its key, its name and itself. Version 2's where that has
    /// controllers, else the memory's of version 1.
    pub fn group(&self) -> Option<(&str, &str, &Cgroup)> {
        let (key, group) = telling(self.view.outside.cgroups.value()?)?;
        Some((key, group.path.as_str(), group))
    }

    /// Whether that group was made for this process, or is one that the regular process is in too.
    pub fn group_tone(&self) -> Tone {
        let theirs =
            self.run.begun.as_ref().and_then(|begun| begun.regular.as_ref()?.outside.cgroups.value());
        match (self.group(), theirs) {
            (Some((key, path, _)), Some(theirs)) => {
                match theirs.get(key).is_some_and(|group| group.path == path) {
                    true => Tone::Shared,
                    false => Tone::Own,
                }
            }
            _ => Tone::Plain,
        }
    }

    /// The host's end of the pair that the container's interface is one of.
    pub fn outer_end(&self) -> Vec<Row> {
        net::outer_ends(self)
    }

    /// What a process in no container has mounted.
    pub fn hosts_mounts(&self) -> Option<&BTreeMap<String, Mount>> {
        self.run.begun.as_ref()?.regular.as_ref()?.outside.mounts.value()
    }

    /// Whether the root is still the host's: then so are the files that the process sees.
    pub fn in_hosts_root(&self) -> bool {
        let root = |mounts: &BTreeMap<String, Mount>| {
            root::topmost(mounts, "/").map(|root| (root.device.clone(), root.root.clone()))
        };
        match (self.view.outside.mounts.value().and_then(root), self.hosts_mounts().and_then(root)) {
            (Some(theirs), Some(hosts)) => theirs == hosts,
            _ => !self.apart,
        }
    }
}

/// The group that tells most of where a process is, by its key.
fn telling(groups: &BTreeMap<String, Cgroup>) -> Option<(&str, &Cgroup)> {
    let full = |(_, group): &(&String, &Cgroup)| group.version == 2 && !group.controllers.is_empty();
    let memory = |(_, group): &(&String, &Cgroup)| group.controllers.iter().any(|one| one == "memory");
    let found =
        groups.iter().find(memory).or_else(|| groups.iter().find(full)).or_else(|| groups.iter().next());
    found.map(|(key, group)| (key.as_str(), group))
}

pub static TABLE: [Drawing; 10] = [
    anatomy::DRAWING,
    illusions::DRAWING,
    process::DRAWING,
    lifecycle::DRAWING,
    files::DRAWING,
    mounts::DRAWING,
    net::DRAWING,
    security::DRAWING,
    many::DRAWING,
    timeline::DRAWING,
];

pub fn find(id: &str) -> Option<&'static Drawing> {
    TABLE.iter().find(|drawing| drawing.id == id)
}
