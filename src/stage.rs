//! What is a stage? One lesson-sized part of a container's life: its question, the moves that answer it for
//! one container, and what can go wrong. Words and moves of each are in one file of `stages`.
//!
//! Next: `stages::TABLE`, the ordered list, then `plan`.

use crate::host::{Host, Place};
use crate::kernel::Errno;
use crate::refusal::Scene;
use crate::spec::Container;
use crate::step::{Program, Step};
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// A part of the lifecycle; everything a person is told about it, once.
pub struct Stage {
    /// The one name: of the stage, the lesson's file, the page's address, the snapshot.
    pub id: &'static str,
    pub title: &'static str,
    /// What it answers, as a learner would ask.
    pub question: &'static str,
    /// Why the stage exists, in a few sentences.
    pub why: &'static str,
    pub man: &'static [&'static str],
    /// A command that shows the difference when run on the host and inside.
    pub observe: &'static [&'static str],
    pub pitfalls: &'static [Pitfall],
    /// The moves for one container; none means that this container has no use for the stage.
    pub moves: fn(&Ground) -> Vec<Move>,
}

/// Which process makes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The host's process, which conducts.
    Host,
    /// The process that becomes the container.
    Child,
}

/// A step, the side that makes it, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub side: Side,
    pub step: Step,
    pub why: Cow<'static, str>,
    /// What takes it back, if that is not [`Step::undo`].
    pub undo: Option<Step>,
    /// It may take its time while the child goes on; it is waited for before anything that relies on it.
    pub beside: bool,
    /// It is the host's alone: whatever the child has been told to do before may still be going on.
    pub alone: bool,
}

impl Move {
    pub fn host(step: Step, why: impl Into<Cow<'static, str>>) -> Move {
        let undo = step.undo();
        Move { side: Side::Host, step, why: why.into(), undo, beside: false, alone: false }
    }

    pub fn child(step: Step, why: impl Into<Cow<'static, str>>) -> Move {
        Move { side: Side::Child, step, why: why.into(), undo: None, beside: false, alone: false }
    }

    pub fn undone_by(mut self, undo: Step) -> Move {
        self.undo = Some(undo);
        self
    }

    /// For what has nothing to be undone, or is undone by another move's undo.
    pub fn without_undo(mut self) -> Move {
        self.undo = None;
        self
    }

    pub fn beside(mut self) -> Move {
        self.beside = true;
        self
    }

    pub fn alone(mut self) -> Move {
        self.alone = true;
        self
    }
}

/// What can go wrong at a stage, and how its cause is found.
pub struct Pitfall {
    /// The system call that refuses, and with what: several with `|` between them, or `*` for any.
    pub call: &'static str,
    pub errno: Errno,
    /// The cause, as a sentence; what is in braces is put in from the scene ([`Scene::say`]).
    pub cause: &'static str,
    /// Whether this is the cause here: looked up, not guessed. `None` where it cannot be told.
    pub test: fn(&Scene) -> Option<bool>,
    /// What to do next.
    pub mend: &'static str,
}

impl Pitfall {
    pub const fn new(
        call: &'static str,
        errno: Errno,
        cause: &'static str,
        test: fn(&Scene) -> Option<bool>,
        mend: &'static str,
    ) -> Pitfall {
        Pitfall { call, errno, cause, test, mend }
    }
}

/// A stage with its moves for one container: what a plan is a list of.
#[derive(Clone)]
pub struct Planned {
    pub stage: &'static Stage,
    pub moves: Vec<Move>,
    /// What is not as it was asked for, and why.
    pub notes: Vec<String>,
}

/// Everything that a plan is made from. The same ground gives the same plan.
pub struct Ground<'a> {
    pub container: &'a Container,
    pub host: &'a Host,
    pub ways: Ways,
    pub choices: Choices,
    /// Where its group is in each hierarchy: most stages ask.
    pub places: Vec<Place>,
}

impl<'a> Ground<'a> {
    pub fn new(container: &'a Container, host: &'a Host, ways: Ways, choices: Choices) -> Ground<'a> {
        let places = places(container, host, &ways);
        Ground { container, host, ways, choices, places }
    }
}

/// The group in each hierarchy where one can be made; none when the container has no group.
fn places(container: &Container, host: &Host, ways: &Ways) -> Vec<Place> {
    let linux = container.spec.linux().as_ref();
    let skipped = ways.skip.iter().any(|skip| skip == "cgroup");
    let Some(path) = linux.and_then(|linux| linux.cgroups_path().as_ref()).filter(|_| !skipped) else {
        return Vec::new();
    };
    let mut places = host.cgroup.place(&path.to_string_lossy());
    places.retain(|place| place.writable);
    places
}

/// How the container is to be built, as far as that is the learner's choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ways {
    /// chroot(2) in place of pivot_root(2).
    pub chroot: bool,
    /// One namespace flag a stage in place of a single clone.
    pub one_by_one: bool,
    /// Stages to leave out.
    pub skip: Vec<String>,
}

/// What had to be asked of the machine before a plan could be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choices {
    pub veth: Option<Veth>,
    /// The compiled filter and its seccomp(2) flags.
    pub filter: Option<(Program, u64)>,
    /// The command gets a terminal of its own.
    pub terminal: bool,
}

/// Names and addresses of the pair that collide with nothing on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veth {
    pub outside: String,
    /// The inner end's name until it is inside and can be called eth0.
    pub inside: String,
    pub host: Ipv4Addr,
    pub container: Ipv4Addr,
    pub prefix: u8,
}
