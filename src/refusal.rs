//! What can be looked at when a step was refused? The scene: the step, the call and its errno, and what the kernel says of
//! the process, its mounts and its privileges at this moment. A pitfall's test is made of such lookups.
//!
//! The lookups: [`process`], [`mounts`], [`files`], [`program`], [`groups`], [`words`]. Next:
//! `crate::stages::pitfalls`, which finds the cause by them.

pub mod files;
pub mod groups;
pub mod mounts;
pub mod process;
pub mod program;
mod words;

use crate::host::Host;
use crate::kernel::Errno;
use crate::kernel::call::Call;
use crate::stage::{Move, Planned};
use crate::step::Step;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What can be looked at when a step was refused.
pub struct Scene<'a> {
    pub host: &'a Host,
    /// All stages of the plan.
    pub stages: &'a [Planned],
    /// Which of them, and which of its moves.
    pub at: (usize, usize),
    /// The process that becomes the container, if there is one yet.
    pub pid: Option<i32>,
    pub one: &'a Move,
    /// The call that was refused; none where the refusal was learnctr's own.
    pub call: Option<Call>,
    pub errno: Errno,
}

/// Why a step was refused, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// The step that was refused, in strace's grammar.
    pub step: String,
    /// The call of it that was refused.
    pub call: Option<Call>,
    pub errno: Errno,
    /// What is known to be the cause, or what remains possible.
    pub causes: Vec<Cause>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    pub cause: String,
    /// It was looked up and is so; otherwise it is a candidate.
    pub found: bool,
    /// What to do next.
    pub mend: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.call {
            Some(call) => write!(f, "{call}")?,
            None => write!(f, "{} = -1 {}", self.step, self.errno)?,
        }
        for cause in &self.causes {
            let label = if cause.found { "cause" } else { "candidate" };
            write!(f, "\n  {label}: {}\n  next: {}", cause.cause, cause.mend)?;
        }
        Ok(())
    }
}

impl Scene<'_> {
    pub fn step(&self) -> &Step {
        &self.one.step
    }

    /// The refused call's name; as the step prints it where the refusal was learnctr's own.
    pub fn call_name(&self) -> String {
        match &self.call {
            Some(call) => call.name.clone(),
            None => self.step().to_string().split('(').next().unwrap_or_default().to_owned(),
        }
    }

    /// Whether this stage is not in the plan: the learner's `--skip`, or nothing to do for it.
    pub fn without(&self, stage: &str) -> bool {
        !self.stages.iter().any(|planned| planned.stage.id == stage)
    }

    /// The steps that were made before this one.
    pub fn made(&self) -> impl DoubleEndedIterator<Item = &Step> {
        let (stage, number) = self.at;
        let moves = self
            .stages
            .iter()
            .enumerate()
            .flat_map(|(n, planned)| planned.moves.iter().enumerate().map(move |(m, one)| ((n, m), one)));
        let moves: Vec<_> = moves.filter(|(at, _)| *at < (stage, number)).map(|(_, one)| &one.step).collect();
        moves.into_iter()
    }
}
