//! How is a plan walked? Stage by stage: the host's steps are made here, the child's are sent in batches,
//! each host step's undo is written down first, and whatever happens, everything made is taken back.
//!
//! To pause is not to send the next batch. To run through is to send all that need not wait: one engine,
//! no second way. Next: `end`, and `crate::cli::step`, who holds a session.

mod end;
mod photo;

pub use super::failure::Failure;
use super::host;
use super::journal::Journal;
use super::sent::{Outstanding, Place, clone_first};
use super::wire::{Answer, Outcome};
use crate::decode::filter::{self, Filter};
use crate::host::Host;
use crate::kernel::call::{Returned, heard, heard_of, listen};
use crate::kernel::channel::Channel;
use crate::kernel::process::{self, Ended};
use crate::kernel::spawn::{Started, Stdio3};
use crate::kernel::{Errno, libc_flags as o};
use crate::plan::{Plan, PrintedMove, PrintedStage};
use crate::refusal::Scene;
use crate::stage::{Move, Planned, Side, Stage};
use crate::stages::pitfalls::diagnose;
use crate::step::Step;
use crate::trace::Event;
use crate::view::KernelView;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;
use std::time::Instant;

/// What the learner wants to be told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// Nothing: only the container counts.
    Nothing,
    /// Every stage and step, without views.
    Steps,
    /// Every stage, step and call, and the kernel's view after each stage.
    Views,
}

/// A host step made beside the child's, and what came of it, if it was come to.
type Beside = (Place, Step, Option<Answer>);

/// The walking of one plan.
pub struct Session<'a> {
    plan: &'a Plan,
    host: &'a Host,
    recording: Recording,
    stdio: Stdio3,
    /// The child side, where it was started before the plan was there.
    started: Option<Started>,
    tell: &'a mut dyn FnMut(Event),
    journal: Option<Journal>,
    channel: Option<Channel>,
    outstanding: Outstanding<'a>,
    /// The process started first, until the one that stays is there.
    middle: Option<i32>,
    pid: Option<i32>,
    ended: Option<Ended>,
    running: bool,
    beside: Option<JoinHandle<Vec<Beside>>>,
    terminal: Option<OwnedFd>,
    view: Option<KernelView>,
    micros: u64,
}

impl<'a> Session<'a> {
    /// Begin: nothing is made yet but the journal.
    pub fn new(
        plan: &'a Plan,
        host: &'a Host,
        recording: Recording,
        stdio: Stdio3,
        tell: &'a mut dyn FnMut(Event),
    ) -> Result<Session<'a>, Failure> {
        let state = &host.dirs.state;
        let journal = Journal::create(state, &plan.id)
            .map_err(|error| Failure::of_journal("open", &state.join(&plan.id), error))?
            .ok_or_else(|| Failure::Taken { id: plan.id.clone() })?;
        if recording == Recording::Views {
            listen();
        }
        Ok(Session {
            plan,
            host,
            recording,
            stdio,
            started: None,
            tell,
            journal: Some(journal),
            channel: None,
            outstanding: Outstanding::default(),
            middle: None,
            pid: None,
            ended: None,
            running: false,
            beside: None,
            terminal: None,
            view: None,
            micros: 0,
        })
    }

    /// Use this child, which has started up by now, and start none when the plan says so.
    pub fn with(mut self, started: Option<Started>) -> Session<'a> {
        self.started = started;
        self
    }

    /// The process that becomes, or is, the container.
    pub fn pid(&self) -> Option<i32> {
        self.pid.or(self.middle)
    }

    /// Whether the command was executed.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// The host's end of the container's terminal, once it is there.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// The kernel's view as of the last stage.
    pub fn view(&self) -> Option<&KernelView> {
        self.view.as_ref()
    }

    /// Play these stages. Recorded or paused, they are played one at a time; otherwise all that the child
    /// can do without the host goes in one message, and is waited for only by what relies on it.
    pub fn play(&mut self, stages: std::ops::Range<usize>) -> Result<(), Failure> {
        let plan = self.plan;
        let mut moves: Vec<(Place, &'a Move)> = Vec::new();
        for stage in stages.clone() {
            let Some(planned) = plan.stages.get(stage) else { continue };
            self.tell(|| Event::Entered { number: stage, stage: PrintedStage::from(planned) });
            moves.extend(planned.moves.iter().enumerate().map(|(number, m)| (Place { stage, number }, m)));
        }
        self.micros = 0;
        let looked_on = self.recording != Recording::Nothing;
        let mut rest = if looked_on { &moves } else { clone_first(&mut moves, plan) };
        while let Some(((place, one), after)) = rest.split_first() {
            if one.side == Side::Host && !one.alone || looked_on {
                self.collect()?;
            }
            if one.beside && self.beside.is_none() {
                let end = rest.iter().position(|(_, m)| !m.beside).unwrap_or(rest.len());
                let (beside, after) = rest.split_at(end);
                self.start_beside(beside)?;
                rest = after;
                continue;
            }
            if one.side == Side::Host {
                self.host_move(*place, one)?;
                rest = after;
                continue;
            }
            if self.must_wait(one) {
                self.wait_beside()?;
            }
            let ends = |(_, m): &(Place, &Move)| m.side == Side::Host || self.must_wait(m);
            let (batch, after) = rest.split_at(rest.iter().position(ends).unwrap_or(rest.len()));
            self.child_moves(batch)?;
            rest = after;
        }
        self.collect()?;
        if self.recording != Recording::Nothing {
            self.wait_beside()?;
            if let Some(last) = stages.clone().last().filter(|_| stages.len() == 1) {
                self.leave(last);
            }
        }
        Ok(())
    }

    /// Does this rely on what runs beside it?
    fn must_wait(&self, one: &Move) -> bool {
        let relies = |step: &Step| match step {
            Step::Unshare { flags } => flags & o::CLONE_NEWCGROUP as u64 != 0,
            // A filter may forbid to say that the batch before the command is done.
            Step::Exec(_) | Step::Init | Step::Seccomp { .. } => true,
            _ => false,
        };
        self.beside.is_some() && relies(&one.step)
    }

    fn tell(&mut self, event: impl FnOnce() -> Event) {
        if self.recording != Recording::Nothing {
            (self.tell)(event());
        }
    }

    fn stage(&self, place: Place) -> &'static Stage {
        self.plan.stages.get(place.stage).map_or(crate::stages::TABLE[0], |planned| planned.stage)
    }

    fn leave(&mut self, stage: usize) {
        let Some(planned) = self.plan.stages.get(stage) else { return };
        let id = planned.stage.id.to_owned();
        let pid = self.pid();
        if let ("exec", Some(pid)) = (id.as_str(), pid) {
            super::look::settle(pid, || self.has_ended());
        }
        let (view, diff) = self.photo();
        let filter = self.filter(planned);
        let micros = self.micros;
        heard();
        self.tell(|| Event::Left { stage: id, pid, micros, view: view.map(Box::new), diff, filter });
    }

    /// What the filter decides, if the stage has loaded one.
    fn filter(&self, planned: &Planned) -> Option<Box<Filter>> {
        let program = planned.moves.iter().find_map(|one| match &one.step {
            Step::Seccomp { program, .. } => Some(&program.0),
            _ => None,
        });
        // A command that runs is left alone: being traced could end a wait of its own with EINTR.
        let asked = self.pid().filter(|_| !self.running && self.ended.is_none());
        program
            .filter(|_| self.recording == Recording::Views)
            .map(|program| Box::new(filter::of(asked, program.clone())))
    }

    /// Say what became of a move; a refusal ends the session.
    fn stepped(&mut self, place: Place, done: Answer) -> Result<(), Failure> {
        let stage = self.stage(place);
        let Some(one) = self.plan.stages.get(place.stage).and_then(|planned| planned.moves.get(place.number))
        else {
            return Ok(());
        };
        self.micros += done.micros;
        let Answer { outcome, calls, micros } = done;
        let refusal = match &outcome {
            // The call that gave this errno: after it others may have been made, to look or to try again.
            Outcome::Refused(errno) => {
                let refused = calls.iter().rfind(|call| call.returned == Returned::Refused(*errno));
                Some((*errno, refused.cloned()))
            }
            _ => None,
        };
        self.tell(|| Event::Stepped {
            stage: stage.id.to_owned(),
            number: place.number,
            planned: PrintedMove::from(one),
            calls,
            outcome,
            micros,
        });
        let Some((errno, call)) = refusal else { return Ok(()) };
        let at = (place.stage, place.number);
        let scene =
            Scene { host: self.host, stages: &self.plan.stages, at, pid: self.pid(), one, call, errno };
        let diagnosis = diagnose(stage, &scene);
        self.tell(|| Event::Failed { stage: stage.id.to_owned(), diagnosis: diagnosis.clone() });
        Err(Failure::Refused { stage: stage.id, diagnosis: Box::new(diagnosis) })
    }

    /// The step with what is known by now, its undo written down.
    fn ready(&mut self, one: &Move) -> Result<Step, Failure> {
        let step = self.pid().map_or_else(|| one.step.clone(), |pid| one.step.with_pid(pid));
        let Some(journal) = &mut self.journal else { return Ok(step) };
        let noted = journal.before(one, &step);
        noted.map_err(|error| Failure::of_journal("write", journal.path(), error))?;
        Ok(step)
    }

    /// Write down whether the undo of this step is wanted.
    fn made(&mut self, place: Place, step: &Step, outcome: Option<&Outcome>) -> Result<(), Failure> {
        let planned = self.plan.stages.get(place.stage).and_then(|planned| planned.moves.get(place.number));
        let (Some(one), Some(journal)) = (planned, &mut self.journal) else { return Ok(()) };
        let noted = journal.after(one, step, outcome);
        noted.map_err(|error| Failure::of_journal("write", journal.path(), error))
    }

    /// Make host steps one after the other while the child goes on. The thread only writes files: it
    /// takes no lock that this one could want, and this one starts no process before it has ended.
    fn start_beside(&mut self, moves: &[(Place, &'a Move)]) -> Result<(), Failure> {
        let recorded = self.recording == Recording::Views;
        let ready = |(place, one): &(Place, &'a Move)| Ok((*place, self.ready(one)?));
        let steps = moves.iter().map(ready).collect::<Result<Vec<_>, _>>()?;
        self.beside = Some(std::thread::spawn(move || {
            if recorded {
                listen();
            }
            let mut refused = false;
            let make = |(place, step): (Place, Step)| {
                let outcome =
                    || host::make(&step, None).map(|note| note.map_or(Outcome::Done, Outcome::Noted));
                let done = (!refused).then(|| timed(outcome));
                refused |= matches!(done, Some(Answer { outcome: Outcome::Refused(_), .. }));
                (place, step, done)
            };
            steps.into_iter().map(make).collect()
        }));
        Ok(())
    }

    /// What came of the steps beside, their undos settled.
    fn join_beside(&mut self) -> Result<Vec<(Place, Answer)>, Failure> {
        let Some(thread) = self.beside.take() else { return Ok(Vec::new()) };
        let (mut all, mut noted) = (Vec::new(), Ok(()));
        for (place, step, done) in thread.join().unwrap_or_default() {
            noted = noted.and(self.made(place, &step, done.as_ref().map(|done| &done.outcome)));
            all.extend(done.map(|done| (place, done)));
        }
        noted.map(|()| all)
    }

    /// Wait for what runs beside the child's steps.
    fn wait_beside(&mut self) -> Result<(), Failure> {
        for (place, done) in self.join_beside()? {
            self.stepped(place, done)?;
        }
        Ok(())
    }

    fn host_move(&mut self, place: Place, one: &'a Move) -> Result<(), Failure> {
        let step = self.ready(one)?;
        let done = match &step {
            Step::Spawn => self.spawn(),
            // What has ended cannot be signalled, and need not be.
            Step::Kill { .. } | Step::Wait { .. } if self.has_ended() => {
                Answer { outcome: Outcome::Noted("it has ended".to_owned()), calls: Vec::new(), micros: 0 }
            }
            _ => {
                let pid = self.pid();
                timed(|| host::make(&step, pid).map(|note| note.map_or(Outcome::Done, Outcome::Noted)))
            }
        };
        if matches!(step, Step::Wait { .. }) {
            self.has_ended();
        }
        self.made(place, &step, Some(&done.outcome))?;
        if matches!(done.outcome, Outcome::Refused(_)) {
            // What the child was refused before this is what went wrong first.
            self.collect()?;
        }
        self.stepped(place, done)
    }

    fn spawn(&mut self) -> Answer {
        let started = self.started.take();
        timed(|| {
            let started = started.map_or_else(|| Started::now(&self.stdio), Ok)?;
            let pid = started.pid;
            self.middle = Some(pid);
            self.channel = started.take();
            Ok(Outcome::Forked { pid })
        })
    }

    /// Send these moves to the child.
    fn child_moves(&mut self, moves: &[(Place, &'a Move)]) -> Result<(), Failure> {
        let stage = moves.first().map_or("", |(place, _)| self.stage(*place).id);
        let Some(channel) = &self.channel else {
            return Err(Failure::Died { stage, ended: self.ended });
        };
        let listen = self.recording == Recording::Views;
        self.outstanding.send(channel, listen, moves).map_err(Failure::of_channel)
    }

    /// Take the child's answers to everything that it was sent.
    fn collect(&mut self) -> Result<(), Failure> {
        let Some(channel) = self.channel.as_ref().filter(|_| !self.outstanding.is_empty()) else {
            return Ok(());
        };
        let came = self.outstanding.collect(channel);
        self.terminal = came.passed.or(self.terminal.take());
        // Known before anything else is done, so that whatever fails, the process is ended.
        for (_, _, answer) in &came.moves {
            if let Some(Outcome::Forked { pid }) = answer.as_ref().map(|answer| &answer.outcome) {
                self.pid = Some(*pid);
                if let Some(middle) = self.middle.take() {
                    let _ = process::wait(middle, true);
                }
            }
        }
        // Everything before the command is answered before it is executed; but for a filter, which may
        // forbid the answer, so that only what is seen of the process tells.
        let silent = |step: &Step| matches!(step, Step::Exec(_) | Step::Init | Step::Seccomp { .. });
        let expected = |one: &Move, answer: &Option<Answer>| match answer {
            Some(answer) => !matches!(answer.outcome, Outcome::Refused(_)),
            None => silent(&one.step),
        };
        let only_the_command = came.moves.iter().all(|(_, one, answer)| expected(one, answer));
        let executes = came.moves.last().is_some_and(|(_, one, _)| matches!(one.step, Step::Exec(_)));
        let executed = executes && came.ended && only_the_command && self.is_executed();
        for (place, _, answer) in came.moves {
            let done = match answer {
                Some(answer) => answer,
                None if executed => Answer { outcome: Outcome::Done, calls: Vec::new(), micros: 0 },
                None => return Err(self.died(place)),
            };
            self.stepped(place, done)?;
        }
        if executed {
            self.running = true;
            self.channel = None;
        }
        Ok(())
    }
}

fn timed(make: impl FnOnce() -> Result<Outcome, Errno>) -> Answer {
    let started = Instant::now();
    let outcome = make().unwrap_or_else(Outcome::Refused);
    let calls = heard_of(matches!(outcome, Outcome::Refused(_)));
    Answer { outcome, calls, micros: started.elapsed().as_micros() as u64 }
}
