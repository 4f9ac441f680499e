//! How does a session end? Whether the command was executed is seen from outside, how it ended is waited for, and whatever
//! happens, everything made is taken back, the last first.
//!
//! Next: `photo`.

use super::{Place, Session, host};
use crate::engine::failure::Failure;
use crate::engine::journal::Journal;
use crate::kernel::process::{self, Ended};
use crate::kernel::{Errno, libc_flags as o, spawn};
use crate::stage::Move;
use crate::step::Step;
use std::time::{Duration, Instant};

/// How long a process that has closed its channel may take until it has ended, or is another program.
const LAST_MOMENTS: Duration = Duration::from_secs(10);

impl Session<'_> {
    /// Whether the process is another program now, or was and has ended: end-of-file on the channel can
    /// mean either, or that the child is about to be gone.
    pub(super) fn is_executed(&mut self) -> bool {
        let Some(pid) = self.pid() else { return false };
        let init = self.plan.stages.iter().any(|planned| planned.moves.iter().any(|m| m.step == Step::Init));
        let until = Instant::now() + LAST_MOMENTS;
        let mut pause = Duration::from_micros(50);
        while !self.has_ended() && Instant::now() < until {
            // A process that is ending has no command line any more, and no executable.
            let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let name = command_line.split(|byte| *byte == 0).next().unwrap_or_default();
            if !name.is_empty() && (init || name != spawn::CHILD.as_bytes()) {
                return true;
            }
            // Where both share one processor, who asks all the time keeps it from getting there.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        }
        self.ended.is_some()
    }

    /// The child has closed its end: wait until it has ended too, to say how.
    pub(super) fn died(&mut self, place: Place) -> Failure {
        let until = Instant::now() + LAST_MOMENTS;
        while !self.has_ended() && Instant::now() < until {
            std::thread::sleep(Duration::from_micros(200));
        }
        Failure::Died { stage: self.stage(place).id, ended: self.ended }
    }

    /// Whether the container's first process has ended; its status is kept.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none()
            && let Some(pid) = self.pid()
        {
            self.ended = process::wait(pid, false).unwrap_or(Some(Ended::Exited(0)));
        }
        self.ended.is_some()
    }

    /// How it ended, if it did: the status as a shell has it.
    pub fn status(&mut self) -> Option<i32> {
        self.has_ended();
        self.ended.map(|ended| match ended {
            Ended::Exited(status) => status,
            Ended::Signalled(signal) => 128 + signal,
        })
    }

    /// End the container and take back everything, the last first. What could not be taken back is given.
    pub fn finish(mut self) -> Vec<(Step, Errno)> {
        self.take_back()
    }

    fn take_back(&mut self) -> Vec<(Step, Errno)> {
        let _ = self.join_beside();
        // The new process is ours to end: its number is in an answer that may not have been taken yet.
        let _ = self.collect();
        self.channel = None;
        self.terminal = None;
        for pid in [self.pid, self.middle].into_iter().flatten() {
            if self.ended.is_none() {
                let _ = process::kill(pid, o::SIGKILL);
                // A frozen process of v1 dies only when it is thawed: the group's undo does that.
                let _ = host::thaw(self.plan);
                let _ = process::wait(pid, true);
                self.ended = Some(Ended::Signalled(o::SIGKILL));
            }
        }
        let adopts = |one: &Move| one.step == Step::Adopt;
        if self.pid().is_some() && self.plan.stages.iter().any(|planned| planned.moves.iter().any(adopts)) {
            let _ = host::end_adopted();
        }
        self.journal.take().map_or_else(Vec::new, Journal::undo)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.take_back();
    }
}
