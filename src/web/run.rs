//! How far has the run come? The events of a trace, taken one by one, put together by stage: what a page shows of a run
//! that is still going on and of one that was recorded last year is the same.
//!
//! Next: [`super::drawings`], which draw one stage of it.

use crate::decode::filter::Filter;
use crate::diff::{Diff, diff};
use crate::engine::wire::Outcome;
use crate::kernel::call::Call;
use crate::plan::{Printed, PrintedMove, PrintedStage};
use crate::refusal::Diagnosis;
use crate::trace::{Event, Record};
use crate::view::KernelView;

/// A run, as far as it is known.
#[derive(Default)]
pub struct Run {
    pub begun: Option<Begun>,
    pub stages: Vec<Played>,
    /// The stage after which the session waits for the learner.
    pub paused: Option<usize>,
    pub exited: Option<i32>,
    /// What could not be undone, once the session is over.
    pub ended: Option<Vec<String>>,
}

pub struct Begun {
    pub learnctr: String,
    pub kernel: String,
    /// Seconds since 1970.
    pub time: u64,
    pub plan: Printed,
    /// A process of the host's that is in no container, at the same moment.
    pub regular: Option<Box<KernelView>>,
}

/// One stage of it.
pub struct Played {
    pub planned: PrintedStage,
    pub state: Progress,
    /// Microseconds since the run began, when it was entered and when it was left.
    pub entered: Option<u64>,
    pub left: Option<u64>,
    pub micros: u64,
    pub steps: Vec<Made>,
    pub pid: Option<i32>,
    pub view: Option<Box<KernelView>>,
    pub diff: Option<Diff>,
    /// If it was looked at again: then the view is the last look's.
    pub again: Option<Again>,
    /// What the filter decides that this stage has loaded.
    pub filter: Option<Box<Filter>>,
    pub diagnosis: Option<Diagnosis>,
}

/// The looks at a stage after the first.
#[derive(Default)]
pub struct Again {
    /// What the stage itself came to.
    pub first: Option<Box<KernelView>>,
    pub times: u32,
    /// Microseconds since the run began, the last time.
    pub at: u64,
    /// There was no process any more, the last time.
    pub gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Waiting,
    Entered,
    Done,
    Failed,
}

impl Progress {
    pub fn word(self) -> &'static str {
        match self {
            Progress::Waiting => "waiting",
            Progress::Entered => "entered",
            Progress::Done => "done",
            Progress::Failed => "failed",
        }
    }
}

/// A step, and what came of it.
pub struct Made {
    pub planned: PrintedMove,
    pub calls: Vec<Call>,
    pub outcome: Outcome,
    /// Microseconds since the run began, when it was done.
    pub at: u64,
    pub micros: u64,
}

impl Run {
    /// The next event. One that names a stage which the plan does not have is of no run that this program
    /// recorded, and is passed over.
    pub fn take(&mut self, record: Record) {
        let at = record.at;
        match record.event {
            Event::Started { learnctr, kernel, time, plan, regular, .. } => {
                let stages = plan.stages.iter().map(Played::waiting).collect();
                let begun = Begun { learnctr, kernel, time, plan, regular };
                *self = Run { begun: Some(begun), stages, ..Run::default() };
            }
            Event::Entered { number, .. } => {
                self.paused = None;
                if let Some(stage) = self.stages.get_mut(number) {
                    (stage.state, stage.entered) = (Progress::Entered, Some(at));
                }
            }
            Event::Stepped { stage, planned, calls, outcome, micros, .. } => {
                if let Some(stage) = self.named(&stage) {
                    stage.steps.push(Made { planned, calls, outcome, at, micros });
                }
            }
            Event::Left { stage, pid, micros, view, diff, filter } => {
                if let Some(stage) = self.named(&stage) {
                    (stage.state, stage.left, stage.micros) = (Progress::Done, Some(at), micros);
                    (stage.pid, stage.view, stage.diff, stage.filter) = (pid, view, diff, filter);
                }
            }
            Event::Looked { stage, view, .. } => {
                if let Some(stage) = self.named(&stage) {
                    stage.look(at, view);
                }
            }
            Event::Paused { stage } => self.paused = self.position(&stage),
            Event::Failed { stage, diagnosis } => {
                if let Some(stage) = self.named(&stage) {
                    (stage.state, stage.diagnosis) = (Progress::Failed, Some(diagnosis));
                }
            }
            Event::Exited { status } => self.exited = Some(status),
            Event::Ended { refused } => (self.paused, self.ended) = (None, Some(refused)),
        }
    }

    pub fn position(&self, id: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.planned.stage == id)
    }

    fn named(&mut self, id: &str) -> Option<&mut Played> {
        self.stages.iter_mut().find(|stage| stage.planned.stage == id)
    }

    /// The last stage that was entered.
    pub fn current(&self) -> usize {
        self.stages.iter().rposition(|stage| stage.state != Progress::Waiting).unwrap_or(0)
    }

    /// What the filter decides under which a stage has left its process: once loaded, it stays.
    pub fn filter(&self, stage: &Played) -> Option<&Filter> {
        let until = self.position(&stage.planned.stage)?;
        self.stages.get(..=until)?.iter().rev().find_map(|stage| stage.filter.as_deref())
    }

    /// What a stage itself changed: not what was found when it was looked at again. None where there is nothing to
    /// compare.
    pub fn made(&self, stage: usize) -> Option<Diff> {
        let before = self.stages.get(stage.checked_sub(1)?)?.view.as_deref()?;
        Some(diff(before, self.stages.get(stage)?.first()?))
    }

    /// What changed from one stage to another, any two of them, as they were last looked at.
    pub fn changes(&self, from: usize, to: usize) -> Option<Diff> {
        let view = |stage: usize| self.stages.get(stage)?.view.as_deref();
        Some(diff(view(from)?, view(to)?))
    }
}

impl Played {
    /// What the stage itself came to.
    pub fn first(&self) -> Option<&KernelView> {
        self.again.as_ref().map_or(self.view.as_deref(), |again| again.first.as_deref())
    }

    /// What has changed since then, if it was looked at again.
    pub fn since(&self) -> Option<Diff> {
        self.again.as_ref().and_then(|again| Some(diff(again.first.as_deref()?, self.view.as_deref()?)))
    }

    fn look(&mut self, at: u64, view: Option<Box<KernelView>>) {
        let again =
            self.again.take().unwrap_or_else(|| Again { first: self.view.clone(), ..Again::default() });
        self.again = Some(Again { times: again.times + 1, at, gone: view.is_none(), ..again });
        if view.is_some() {
            self.view = view;
        }
    }

    fn waiting(planned: &PrintedStage) -> Played {
        Played {
            planned: planned.clone(),
            state: Progress::Waiting,
            entered: None,
            left: None,
            micros: 0,
            steps: Vec::new(),
            pid: None,
            view: None,
            diff: None,
            again: None,
            filter: None,
            diagnosis: None,
        }
    }
}
