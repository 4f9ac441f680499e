//! Why was a step refused? The pitfalls of its stage are gone through, and each is tested against the scene:
//! what the kernel says of the process, its mounts and its privileges at this moment.
//!
//! The lookups that the tests are made of: [`process`], [`mounts`], [`files`], [`program`], [`groups`], [`words`].
//! Next: `session`, which asks when a step is refused.

pub mod files;
pub mod groups;
pub mod mounts;
pub mod process;
pub mod program;
mod words;

use crate::host::Host;
use crate::kernel::Errno;
use crate::kernel::call::Call;
use crate::plan::Plan;
use crate::stage::{Move, Pitfall, Stage};
use crate::step::Step;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What can be looked at when a step was refused.
pub struct Scene<'a> {
    pub host: &'a Host,
    pub plan: &'a Plan,
    /// Which stage of the plan, and which of its moves.
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

/// Find the causes of a refusal: one that is found so excludes those that are merely possible.
pub fn diagnose(stage: &Stage, scene: &Scene) -> Diagnosis {
    let name = scene.call_name();
    let named = |pitfall: &Pitfall| pitfall.call.split('|').any(|call| call == "*" || call == name);
    let test = |table: &'static [Pitfall]| {
        let fits = |pitfall: &&Pitfall| pitfall.errno == scene.errno && named(pitfall);
        table.iter().filter(fits).map(|pitfall| ((pitfall.test)(scene), pitfall)).collect::<Vec<_>>()
    };
    let is_found = |tested: &[(Option<bool>, &Pitfall)]| tested.iter().any(|(test, _)| *test == Some(true));
    // What the stage itself knows says more than what is so at any stage.
    let mut tested = test(stage.pitfalls);
    if !is_found(&tested) {
        tested.extend(test(crate::stages::pitfalls::COMMON));
    }
    let found = is_found(&tested);
    let mut causes: Vec<Cause> = tested
        .into_iter()
        .filter(|(test, _)| if found { *test == Some(true) } else { test.is_none() })
        .map(|(test, pitfall)| Cause {
            cause: scene.say(pitfall.cause),
            found: test == Some(true),
            mend: scene.say(pitfall.mend),
        })
        .collect();
    if causes.is_empty() {
        let why = scene.errno.text().to_lowercase();
        causes.push(Cause {
            cause: scene.say(&format!("none of those that this stage knows: {why}, of {{path}}")),
            found: false,
            mend: format!(
                "`man 2 {name}` has under ERRORS when {} is given; `learnctr doctor` says what this machine allows",
                scene.errno.name()
            ),
        });
    }
    // The looking made calls of its own, which are no step's.
    crate::kernel::call::heard();
    Diagnosis { step: scene.step().to_string(), call: scene.call.clone(), errno: scene.errno, causes }
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
        self.plan.position(stage).is_none()
    }

    /// The steps that were made before this one.
    pub fn made(&self) -> impl DoubleEndedIterator<Item = &Step> {
        let (stage, number) = self.at;
        let moves = self
            .plan
            .stages
            .iter()
            .enumerate()
            .flat_map(|(n, planned)| planned.moves.iter().enumerate().map(move |(m, one)| ((n, m), one)));
        let moves: Vec<_> = moves.filter(|(at, _)| *at < (stage, number)).map(|(_, one)| &one.step).collect();
        moves.into_iter()
    }
}
