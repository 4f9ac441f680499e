//! What would the kernel answer? A [`trial`] makes the calls in a process of its own, which then ends, and
//! its namespaces and mounts with it; a call that hangs is ended after a while.
//!
//! Next: [`super::attempt`], the calls that are tried; `crate::doctor`, which asks.

use super::Errno;
use super::call::{self, Call};
use rustix::event::{PollFd, PollFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// No call that is tried takes a hundredth of this.
const LIMIT: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The calls that were made, in order.
    pub calls: Vec<Call>,
    pub end: End,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum End {
    Done,
    Refused(Errno),
    /// The process did not live to say: a seccomp filter killed it, or it hung and was ended.
    Died,
    Late,
}

impl Trial {
    pub fn refused(errno: Errno) -> Trial {
        Trial { calls: Vec::new(), end: End::Refused(errno) }
    }

    /// For a trial within a trial: its calls are written down here as well.
    pub fn adopt(self) -> Result<(), Errno> {
        for call in self.calls {
            call::write_down(call);
        }
        match self.end {
            End::Done => Ok(()),
            End::Refused(errno) => Err(errno),
            End::Died | End::Late => Err(Errno(libc::ECANCELED)),
        }
    }
}

/// Make an attempt in a child of ours, and hear what came of it.
pub fn trial(attempt: impl FnOnce() -> Result<(), Errno>) -> Trial {
    match start(attempt) {
        Ok((_child, from)) => Child::listen(from, LIMIT),
        Err(errno) => Trial::refused(errno),
    }
}

/// A child at work on an attempt; whatever happens to us, it is ended and waited for.
struct Child(libc::pid_t);

fn start(attempt: impl FnOnce() -> Result<(), Errno>) -> Result<(Child, OwnedFd), Errno> {
    // A lock that another thread holds at the fork stays held in the child for ever.
    if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1) {
        return Err(Errno(libc::EDEADLK));
    }
    let (from, to) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: this process has one thread (counted above; where /proc is not mounted, callers are the
    // single-threaded doctor), so the child finds no lock held and may allocate.
    match unsafe { libc::fork() } {
        -1 => Err(Errno::last()),
        0 => {
            drop(from);
            alone();
            call::listen();
            let end = match attempt() {
                Ok(()) => End::Done,
                Err(errno) => End::Refused(errno),
            };
            let heard = Trial { calls: call::heard(), end };
            let told = serde_json::to_vec(&heard).unwrap_or_default();
            _ = File::from(to).write_all(&told);
            // SAFETY: _exit(2) takes no pointer. Exit handlers belong to the parent, and must not run twice.
            unsafe { libc::_exit(0) }
        }
        pid => Ok((Child(pid), from)),
    }
}

/// What the child owes its parent: to end with it, in a group of its own, and to leave no core dump.
fn alone() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    _ = rustix::process::setpgid(None, None);
    _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

impl Child {
    fn listen(from: OwnedFd, limit: Duration) -> Trial {
        let deadline = Instant::now() + limit;
        let mut from = File::from(from);
        let (mut told, mut chunk) = (Vec::new(), [0u8; 4096]);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = rustix::event::Timespec::try_from(left).ok();
            let ready = rustix::event::poll(&mut [PollFd::new(&from, PollFlags::IN)], timeout.as_ref());
            match ready {
                Err(rustix::io::Errno::INTR) => continue,
                Ok(0) | Err(_) => return Trial { calls: Vec::new(), end: End::Late },
                Ok(_) => match from.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => told.extend(chunk.iter().take(length)),
                },
            }
        }
        serde_json::from_slice(&told).unwrap_or(Trial { calls: Vec::new(), end: End::Died })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let mut status = 0;
        // SAFETY: `self.0` is a child of ours that nobody else waits for, so its number is still its own;
        // `status` lives as long as the calls.
        unsafe {
            libc::kill(-self.0, libc::SIGKILL);
            libc::kill(self.0, libc::SIGKILL);
            while libc::waitpid(self.0, &mut status, 0) == -1 && Errno::last() == Errno::EINTR {}
        }
    }
}

/// A child that has made its attempt, and waits where it then is until this is dropped.
pub struct Waiting(Child);

impl Waiting {
    /// Returns when the attempt was made; its calls are written down here too.
    pub fn start(enter: impl FnOnce() -> Result<(), Errno>) -> Result<Waiting, Errno> {
        let (from, to) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (child, never) = start(|| {
            let outcome = enter();
            let end = outcome.map_or_else(End::Refused, |()| End::Done);
            let told = serde_json::to_vec(&Trial { calls: call::heard(), end }).unwrap_or_default();
            _ = File::from(to).write_all(&told);
            std::thread::sleep(LIMIT);
            Ok(())
        })?;
        drop(never);
        let trial = Child::listen(from, LIMIT);
        trial.adopt()?;
        Ok(Waiting(child))
    }

    pub fn pid(&self) -> u32 {
        self.0.0.unsigned_abs()
    }
}

/// While this lives, a terminal's Ctrl-C waits: what a trial has made on the machine is removed first.
pub struct Undisturbed(nix::sys::signal::SigSet);

impl Undisturbed {
    pub fn begin() -> Undisturbed {
        use nix::sys::signal::{SigSet, SigmaskHow, Signal};
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        Undisturbed(signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).unwrap_or_else(|_| SigSet::empty()))
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        _ = self.0.thread_set_mask();
    }
}
