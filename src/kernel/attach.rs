//! How does the host's process stand in for the container's? It passes on signals and the terminal's bytes
//! and size, and waits: one poll(2) for all of it, no thread.
//!
//! Next: `crate::cli::run`, which uses it.

use super::{Errno, check, process, pty};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{self, SetArg, Termios};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Signals that are passed on are held back from here on, so that none is lost while the container is built.
pub struct Attached {
    signals: SignalFd,
    /// The mask that was found, to be put back.
    before: SigSet,
}

/// How long a process may take to end after its terminal has gone.
const AFTER_HANGUP: Duration = Duration::from_secs(2);
/// So many requests to end mean it (as docker run has it).
const INSISTED: u32 = 3;

impl Attached {
    pub fn new() -> Result<Attached, Errno> {
        let mut all = SigSet::all();
        // These are about this process: its own children, its own faults, its own stop by the shell.
        for own in [
            Signal::SIGCHLD,
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
            Signal::SIGTRAP,
            Signal::SIGABRT,
            Signal::SIGTSTP,
            Signal::SIGTTIN,
            Signal::SIGTTOU,
            Signal::SIGPIPE,
            Signal::SIGURG,
        ] {
            all.remove(own);
        }
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&all), Some(&mut before))?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Attached { signals, before })
    }

    /// A signal that asks to end, if one has come: for the time before there is anything to pass it to.
    pub fn asked_to_end(&self) -> Option<i32> {
        let info = self.signals.read_signal().ok()??;
        let signal = i32::try_from(info.ssi_signo).ok()?;
        matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT).then_some(signal)
    }

    /// Stand in for `pid` until it ends, which `ended` tells; `terminal` is the host's end of its pty.
    pub fn pass_on(
        &self,
        pid: i32,
        terminal: Option<OwnedFd>,
        mut ended: impl FnMut() -> bool,
    ) -> Result<(), Errno> {
        let _raw = terminal.as_ref().and_then(|_| Raw::take().ok());
        if let Some(master) = &terminal {
            let _ = pty::copy_size(0, master.as_raw_fd());
        }
        // One that was waited for already has no number any more.
        let pidfd = if ended() { None } else { Some(process::pidfd(pid)?) };
        let mut terminal = terminal;
        let master = terminal.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        // Neither may hold up what asks to end: a reader that has stopped reading, an inside that does not read.
        let aside = terminal.as_ref().and_then(|_| pty::apart(1));
        let _ = pty::never_wait(master);
        let mut output = Way::new(master, aside.as_ref().map_or(1, AsRawFd::as_raw_fd), terminal.is_some());
        let mut input = Way::new(0, master, terminal.is_some());
        let mut over = false;
        let mut asked = 0;
        let mut unheard = Unheard { pid, times: 0 };
        let mut kill_at: Option<Instant> = None;
        loop {
            let watched = [
                (self.signals.as_raw_fd(), false),
                (pidfd.as_ref().filter(|_| !over).map_or(-1, AsRawFd::as_raw_fd), false),
                output.waits_for(),
                input.waits_for(),
            ];
            let timeout = match kill_at {
                // What it wrote last is still in the pty, or on its way.
                _ if over && output.pending.is_empty() => 0,
                _ if pidfd.is_none() && !over => 0,
                Some(at) => at.saturating_duration_since(Instant::now()).as_millis() as i32,
                None => -1,
            };
            let ready = process::poll_either(&watched, timeout)?;
            let is_ready = |which: usize| ready.get(which).copied().unwrap_or(false);
            if kill_at.is_some_and(|at| Instant::now() >= at) {
                let _ = process::kill(pid, libc::SIGKILL);
                kill_at = None;
            }
            if is_ready(0)
                && let Ok(Some(info)) = self.signals.read_signal()
            {
                let signal = i32::try_from(info.ssi_signo).unwrap_or(libc::SIGTERM);
                match signal {
                    libc::SIGINT | libc::SIGTERM | libc::SIGHUP if over => return Ok(()),
                    // Its number may be somebody else's by now.
                    _ if over => {}
                    libc::SIGWINCH if terminal.is_some() => _ = pty::copy_size(0, master),
                    libc::SIGHUP => {
                        kill_at = kill_at.or(Some(Instant::now() + AFTER_HANGUP));
                        let _ = process::kill(pid, signal);
                    }
                    libc::SIGINT | libc::SIGTERM if asked + 1 >= INSISTED => {
                        _ = process::kill(pid, libc::SIGKILL)
                    }
                    _ => {
                        asked += u32::from(matches!(signal, libc::SIGINT | libc::SIGTERM));
                        let _ = process::kill(pid, signal);
                        if matches!(signal, libc::SIGINT | libc::SIGTERM) {
                            unheard.asked(signal, "\n");
                        }
                    }
                }
            }
            if is_ready(2) && !output.goes_on(|_| {}) && output.lost && !over {
                // Nobody reads any more: to the inside that is a terminal that was hung up.
                terminal = None;
                input = Way::new(0, -1, false);
                kill_at = kill_at.or(Some(Instant::now() + AFTER_HANGUP));
                let _ = process::kill(pid, libc::SIGHUP);
            }
            if is_ready(3) {
                let was_open = input.open;
                // At the end of input, the inside's read(2) must end too: Ctrl-D says so to a terminal.
                let open = input.goes_on(|typed| {
                    // The terminal inside makes a signal of it, for those in its foreground.
                    let interrupts = typed.iter().filter(|byte| **byte == CTRL_C).count();
                    for _ in 0..if pty::interrupts(master, pid) { interrupts } else { 0 } {
                        unheard.asked(libc::SIGINT, "\r\n");
                    }
                });
                if was_open && !open && !input.lost {
                    input.pending.push(CTRL_D);
                }
            }
            if over && output.pending.is_empty() && !is_ready(2) {
                return Ok(());
            }
            if !over && (is_ready(1) || pidfd.is_none()) && ended() {
                over = true;
                input = Way::new(0, -1, false);
                kill_at = None;
            }
        }
    }
}

/// Bytes on their way from one descriptor to another, without a wait for either.
struct Way {
    from: i32,
    to: i32,
    open: bool,
    /// The other side takes no more.
    lost: bool,
    pending: Vec<u8>,
}

impl Way {
    fn new(from: i32, to: i32, open: bool) -> Way {
        Way { from, to, open, lost: false, pending: Vec::new() }
    }

    /// A descriptor, and whether it is to be written to.
    fn waits_for(&self) -> (i32, bool) {
        match (self.pending.is_empty(), self.open) {
            (false, _) => (self.to, true),
            (true, true) => (self.from, false),
            (true, false) => (-1, false),
        }
    }

    /// Pass on what there is; whether there can be more. EIO of a pty means that nobody has its other end.
    fn goes_on(&mut self, mut seen: impl FnMut(&[u8])) -> bool {
        if self.pending.is_empty() {
            let mut buffer = [0u8; 4096];
            // SAFETY: the buffer is as long as said.
            match check(unsafe { libc::read(self.from, buffer.as_mut_ptr().cast(), buffer.len()) } as i64) {
                Err(Errno::EINTR | Errno(libc::EAGAIN)) => return true,
                Ok(0) | Err(_) => self.open = false,
                Ok(length) => self.pending.extend(buffer.iter().take(length as usize)),
            }
            seen(&self.pending);
        }
        let writable = process::poll_either(&[(self.to, true)], 0);
        if !self.pending.is_empty() && writable.is_ok_and(|ready| ready == [true]) {
            // SAFETY: pointer and length are the vector's.
            let written = unsafe { libc::write(self.to, self.pending.as_ptr().cast(), self.pending.len()) };
            match check(written as i64) {
                Ok(length) => _ = self.pending.drain(..(length as usize).min(self.pending.len())),
                Err(Errno::EINTR | Errno(libc::EAGAIN)) => {}
                Err(_) => {
                    self.pending.clear();
                    (self.open, self.lost) = (false, true);
                }
            }
        }
        self.open
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

/// Requests to end that process 1 of a pid namespace never hears of: without a handler the kernel drops them, as the
/// default action does not hold for it.
struct Unheard {
    pid: i32,
    times: u32,
}

impl Unheard {
    /// The second one is explained, the third one obeyed.
    fn asked(&mut self, signal: i32, end: &str) {
        if !is_deaf(self.pid, signal) {
            return;
        }
        self.times += 1;
        if self.times + 1 == INSISTED {
            let name = process::signal_name(signal);
            let text = format!(
                "{end}learnctr: process 1 has no handler for {name}, and then the kernel keeps it from it (pid_namespaces(7)); \
                 once more ends it with SIGKILL. With --init process 1 passes signals on{end}"
            );
            let _ = write_all(2, text.as_bytes());
        } else if self.times >= INSISTED {
            let _ = process::kill(self.pid, libc::SIGKILL);
        }
    }
}

/// Whether this is process 1 of a pid namespace of its own, and has no handler for the signal.
fn is_deaf(pid: i32, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let numbers: Vec<&str> = field("NSpid:").unwrap_or_default().split_whitespace().collect();
    let caught = field("SigCgt:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    numbers.len() > 1
        && numbers.last() == Some(&"1")
        && caught.is_some_and(|mask| mask >> (signal - 1) & 1 == 0)
}

fn write_all(to: i32, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: pointer and length are the slice's.
        match check(unsafe { libc::write(to, bytes.as_ptr().cast(), bytes.len()) } as i64) {
            Ok(length) => bytes = bytes.get(length as usize..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno(libc::EAGAIN)) => _ = process::poll(&[], 1),
            Err(_) => return false,
        }
    }
    true
}

/// The caller's terminal without its own line editing, echo and signal keys: the inside's has them.
struct Raw(Termios);

impl Raw {
    fn take() -> Result<Raw, Errno> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(stdin.as_fd())?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &raw)?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSADRAIN, &self.0);
    }
}
