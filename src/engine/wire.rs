//! What do the two sides say to each other? A batch of steps one way, an outcome for each the other way.
//!
//! Next: `child`, which answers.

use crate::kernel::Errno;
use crate::kernel::call::Call;
use crate::step::Step;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A batch as it is sent, without a copy of the plan's steps.
#[derive(Serialize)]
pub struct Sent<'a> {
    pub listen: bool,
    pub first: usize,
    pub steps: &'a [&'a Step],
}

/// Steps to make one after the other; the child stops at the first that is refused.
#[derive(Serialize, Deserialize)]
pub struct Batch {
    /// Write down every call (strace's grammar) as it is made.
    pub listen: bool,
    /// The number of the first step among all that were ever sent.
    pub first: usize,
    pub steps: Vec<Step>,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// Done, with something to say: a path that is not there need not be masked.
    Noted(String),
    /// A process was made; its number as its maker sees it.
    Forked {
        pid: i32,
    },
    /// The kernel said no, to the last call made.
    Refused(Errno),
}

/// A step's outcome with what was really called, and how long it took in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub outcome: Outcome,
    pub calls: Vec<Call>,
    pub micros: u64,
}

/// Answers to consecutive steps. A batch that holds a clone is answered by two processes, and their messages can
/// overtake each other: `first` is the number of the first step answered, among all that were ever sent.
#[derive(Serialize, Deserialize)]
pub struct Answers {
    pub first: usize,
    pub answers: Vec<Answer>,
}
