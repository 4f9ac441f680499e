//! Which drawings are there? One ordered table; each is made of one stage's entry of the trace, one file a drawing.
//!
//! Next: the first of them, [`anatomy`].

pub mod anatomy;

use super::run::{Played, Run};
use super::scene::Scene;
use crate::view::KernelView;

/// A drawing: its name in the address, its key is its place in [`TABLE`].
pub struct Drawing {
    pub id: &'static str,
    pub title: &'static str,
    /// The section of the source document that it brings to life.
    pub section: &'static str,
    /// The stages that give it what it shows.
    pub stages: &'static [&'static str],
    pub draw: fn(&Shown) -> Scene,
}

/// What a drawing is made of: one stage, and what the whole run began with.
pub struct Shown<'a> {
    pub run: &'a Run,
    pub stage: &'a Played,
    pub view: &'a KernelView,
    /// Whether the process that is looked at is already the container's: before `clone` it is learnctr's own.
    pub apart: bool,
}

pub static TABLE: [Drawing; 1] = [anatomy::DRAWING];

pub fn find(id: &str) -> Option<&'static Drawing> {
    TABLE.iter().find(|drawing| drawing.id == id)
}
