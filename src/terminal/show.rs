//! Who turns events into text, lines of JSON and a file? One listener: it shows an event and forgets it, but for
//! what the person at the prompt may still ask about.
//!
//! Next: `prompt`, where the person asks.

use super::palette::{DIM, KERNEL};
use super::stage::{self, Stepped, duration, indented, prose};
use super::text::{Tone, clean, join_lines};
use super::{report, width};
use crate::diff::Diff;
use crate::plan::PrintedStage;
use crate::trace::{Event, Record};
use crate::view::KernelView;
use crate::web::feed::Feed;
use crate::web::wire::{Command, State};
use std::fs::File;
use std::io::{Error, ErrorKind, Seek, Write};
use std::os::fd::RawFd;
use std::time::Instant;

/// What goes to standard output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// What a stage came to.
pub struct Played {
    pub number: usize,
    pub stage: PrintedStage,
    pub steps: Vec<Stepped>,
    pub micros: u64,
    pub left: bool,
    pub view: Option<Box<KernelView>>,
    pub diff: Option<Diff>,
}

/// The listener.
pub struct Show {
    form: Form,
    interactive: bool,
    trace: Option<File>,
    began: Instant,
    ids: Vec<String>,
    /// The stages before this one are told in a line each.
    pub from: usize,
    pub last: Option<Played>,
    times: Vec<(String, u64, usize)>,
    /// The page, which is told the same lines.
    pub feed: Option<Feed>,
    /// Why nothing more can be written: nobody reads any more, or the disk is full.
    pub broken: Option<Error>,
}

impl Show {
    pub fn new(form: Form, interactive: bool, trace: Option<File>, from: usize) -> Show {
        Show {
            form,
            interactive,
            trace,
            began: Instant::now(),
            ids: Vec::new(),
            from,
            last: None,
            times: Vec::new(),
            feed: None,
            broken: None,
        }
    }

    /// Write to standard output; what cannot be written is remembered and ends the session.
    pub fn say(&mut self, text: &str) {
        if self.form == Form::Text {
            self.note(super::print(text));
        }
    }

    fn note(&mut self, written: Result<(), Error>) {
        if let (Err(error), None) = (written, &self.broken) {
            self.broken = Some(error);
        }
    }

    /// Nobody reads any more: no failure, but the end.
    pub fn is_unread(&self) -> bool {
        self.broken.as_ref().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    }

    /// The next event of the session.
    pub fn take(&mut self, event: Event) {
        if let Event::Started { .. } = event {
            self.restart();
        }
        let record = Record { at: self.began.elapsed().as_micros() as u64, event };
        if self.trace.is_some() || self.feed.is_some() || self.form == Form::Json {
            self.record(&record);
        }
        if self.form == Form::Text {
            self.tell(record.event);
        }
    }

    /// A trace is one walk: what was built again after going back begins it anew.
    fn restart(&mut self) {
        self.began = Instant::now();
        self.times.clear();
        self.last = None;
        // A pipe or a device has nothing to be emptied of, and says EINVAL.
        let is_file = |file: &&mut File| file.metadata().is_ok_and(|about| about.is_file());
        let file = self.trace.as_mut().filter(is_file);
        let emptied = file.map_or(Ok(()), |file| file.set_len(0).and_then(|()| file.rewind()));
        self.note(emptied);
        if let Some(feed) = &mut self.feed {
            feed.restart();
        }
    }

    /// What the page asks for, if it does; its process is looked after.
    pub fn commanded(&mut self) -> Option<Command> {
        self.tend();
        self.feed.as_mut()?.command()
    }

    /// Start the page's process again if it has died.
    pub fn tend(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.tend();
        }
    }

    /// What to poll(2) for it, and how long at most.
    pub fn page_fds(&self) -> ([RawFd; 2], i32) {
        self.feed.as_ref().map_or(([-1, -1], -1), |feed| (feed.fds(), feed.patience()))
    }

    /// What the page may ask for from now on.
    pub fn state(&mut self, state: State) {
        if let Some(feed) = &mut self.feed {
            feed.state(state);
        }
    }

    fn record(&mut self, record: &Record) {
        let mut line = match serde_json::to_vec(record) {
            Ok(line) => line,
            Err(error) => return self.note(Err(error.into())),
        };
        line.push(b'\n');
        if let Some(feed) = &mut self.feed {
            feed.line(&line);
        }
        let written = self.trace.as_mut().map_or(Ok(()), |file| file.write_all(&line));
        self.note(written);
        if self.form == Form::Json && self.broken.is_none() {
            let mut out = std::io::stdout().lock();
            let written = out.write_all(&line).and_then(|()| out.flush());
            self.note(written);
        }
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Started { plan, .. } => {
                self.ids = plan.stages.iter().map(|stage| stage.stage.clone()).collect();
                self.say(&report::intro(&plan, self.interactive, width()));
            }
            Event::Entered { number, stage } => {
                if number >= self.from {
                    self.say(&stage::before(number, &self.ids, &stage, width()));
                }
                let (steps, micros) = (Vec::new(), 0);
                self.last =
                    Some(Played { number, stage, steps, micros, left: false, view: None, diff: None });
            }
            Event::Stepped { planned, calls, outcome, micros, .. } => {
                if let Some(last) = &mut self.last {
                    last.steps.push(Stepped { planned, calls, outcome, micros });
                }
            }
            Event::Left { stage, micros, view, diff, .. } => self.left(stage, micros, view, diff),
            Event::Looked { stage, view, diff } => {
                self.say(&report::looked(&stage, view.is_some(), diff.as_ref(), width()))
            }
            Event::Paused { .. } => {}
            Event::Failed { stage, diagnosis } => self.say(&report::failed(&stage, &diagnosis, width())),
            Event::Exited { status } => self.say(&exited(status)),
            Event::Ended { refused } => self.ended(&refused),
        }
    }

    fn left(&mut self, stage: String, micros: u64, view: Option<Box<KernelView>>, diff: Option<Diff>) {
        let Some(last) = &mut self.last else { return };
        let calls = last.steps.iter().map(|step| step.calls.len()).sum();
        (last.micros, last.view, last.diff, last.left) = (micros, view, diff, true);
        let text = match last.number < self.from {
            true => {
                let line = format!("✓ {stage:<12} {:>9}", duration(micros));
                join_lines([indented(1, DIM, &clean(&line))])
            }
            false => after(last, width()),
        };
        self.times.push((stage, micros, calls));
        self.say(&text);
    }

    /// The whole stage once more, for the width that the window has now.
    pub fn again(&mut self) {
        if let Some(last) = &self.last {
            let text = stage::before(last.number, &self.ids, &last.stage, width()) + &after(last, width());
            self.say(&text);
        }
    }

    pub fn times(&mut self) {
        let text = report::times(&self.times, width());
        self.say(&text);
    }

    fn ended(&mut self, refused: &[String]) {
        let mut lines = Vec::new();
        if refused.is_empty() {
            let text = "taken down: nothing of it is left on this machine, but the image";
            lines.extend(prose(KERNEL, 1, text, width()));
        }
        for one in refused {
            lines.extend(prose(Tone::Refused.style(), 1, &format!("could not be undone: {one}"), width()));
        }
        if !refused.is_empty() {
            lines.extend(prose(DIM, 1, "it is written down; the next `learnctr step` tries again", width()));
        }
        self.say(&format!("\n{}", join_lines(lines)));
    }
}

fn after(last: &Played, width: usize) -> String {
    stage::after(&last.steps, last.micros, last.diff.as_ref(), last.view.is_some(), width)
}

fn exited(status: i32) -> String {
    let how = match status {
        128.. => format!("was ended by {}", crate::step::signal_name(status - 128)),
        _ => format!("has ended with status {status}"),
    };
    join_lines(prose(KERNEL, 1, &format!("the command {how}"), width()))
}
