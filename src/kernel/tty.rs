//! How is a single key read, and how is a signal heard without a handler? The terminal gives each byte at once
//! (no ICANON, no ECHO) and still ends lines properly (OPOST); the signals are blocked and read from a
//! descriptor (signalfd(2)), so that nothing ever happens between two lines.
//!
//! Next: `crate::terminal::prompt`, which asks for keys.

use super::{Errno, check};
use nix::sys::signal::{SigSet, SigmaskHow, Signal as Sig, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Are standard input and output terminals: is somebody there who can press keys?
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Standard input, key by key, until dropped: however this process ends, short of SIGKILL, it is then
/// as it was.
pub struct Keys {
    before: Termios,
}

impl Keys {
    pub fn take() -> Result<Keys, Errno> {
        let keys = Keys { before: termios::tcgetattr(std::io::stdin())? };
        keys.again()?;
        Ok(keys)
    }

    /// The same once more, after another program had the terminal or after SIGCONT.
    pub fn again(&self) -> Result<(), Errno> {
        let mut modes = self.before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        modes.special_codes[termios::SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[termios::SpecialCodeIndex::VTIME] = 0;
        Ok(termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &modes)?)
    }

    /// Every byte as it is, Ctrl-C too, for a program that has another terminal.
    pub fn raw(&self) -> Result<(), Errno> {
        let mut modes = self.before.clone();
        modes.make_raw();
        Ok(termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &modes)?)
    }

    /// As it was, for another program.
    pub fn release(&self) {
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.before);
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.release();
    }
}

/// The window's height.
pub fn rows() -> usize {
    termios::tcgetwinsize(std::io::stdout()).map_or(24, |size| usize::from(size.ws_row)).max(2)
}

/// What can be read now, up to 32 bytes; none at the end of input.
pub fn read_keys() -> Result<Vec<u8>, Errno> {
    let mut room = [0u8; 32];
    match rustix::io::read(std::io::stdin(), &mut room) {
        Ok(count) => Ok(room.get(..count).unwrap_or_default().to_vec()),
        Err(errno) => Err(errno.into()),
    }
}

const ENDING: [Sig; 4] = [Sig::SIGINT, Sig::SIGTERM, Sig::SIGHUP, Sig::SIGQUIT];

/// The signals that end us, or that change the terminal, held back and read one by one.
pub struct Signals {
    before: SigSet,
    fd: SignalFd,
}

/// A signal that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// End: SIGINT, SIGTERM, SIGHUP or SIGQUIT, by its number.
    End(i32),
    /// The window has another size, or we run again after a stop: draw anew.
    Redraw,
}

impl Signals {
    pub fn hold() -> Result<Signals, Errno> {
        let all: SigSet = [Sig::SIGINT, Sig::SIGTERM, Sig::SIGHUP, Sig::SIGQUIT, Sig::SIGWINCH, Sig::SIGCONT]
            .into_iter()
            .collect();
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&all), Some(&mut before))?;
        let fd = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Signals { before, fd })
    }

    pub fn raw(&self) -> RawFd {
        self.fd.as_fd().as_raw_fd()
    }

    /// The next one that has come; an end before all else.
    pub fn heard(&self) -> Option<Heard> {
        let mut heard = None;
        while let Ok(Some(info)) = self.fd.read_signal() {
            match i32::try_from(info.ssi_signo) {
                Ok(libc::SIGWINCH | libc::SIGCONT) | Err(_) => heard = heard.or(Some(Heard::Redraw)),
                Ok(signal) => return Some(Heard::End(signal)),
            }
        }
        heard
    }
}

/// Whether a signal that ends us has come and is held back (sigpending(2)).
pub fn is_ending() -> bool {
    let mut pending = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigpending fills the set; it is read only when it did.
    unsafe {
        libc::sigpending(pending.as_mut_ptr()) == 0
            && ENDING.iter().any(|signal| libc::sigismember(pending.as_ptr(), *signal as i32) == 1)
    }
}

/// Bytes as an open file that is nowhere, read from its beginning.
pub fn memory_file(bytes: &[u8]) -> Result<std::fs::File, Errno> {
    use std::io::{Seek, Write};
    let made = rustix::fs::memfd_create("learnctr", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(made);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// A program of the host's, which must not inherit what is blocked here.
pub fn unblocked(command: &mut Command) -> &mut Command {
    let none = || {
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset fills the set before it is used; both calls are async-signal-safe.
        check(unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
        } as i64)?;
        Ok(())
    };
    // SAFETY: between fork and exec it makes two async-signal-safe calls, and allocates nothing.
    unsafe { command.pre_exec(none) }
}

/// Reading from it gives EAGAIN when there is nothing to read.
pub fn nonblocking(fd: std::os::fd::BorrowedFd) -> Result<(), Errno> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

/// Write what can be written now; how much that was.
pub fn write_some(fd: std::os::fd::BorrowedFd, bytes: &[u8]) -> usize {
    rustix::io::write(fd, bytes).unwrap_or(0)
}

/// Read what is there now; none when it has ended.
pub fn read_some(fd: std::os::fd::BorrowedFd) -> Result<Vec<u8>, Errno> {
    let mut room = [0u8; 4096];
    let count = rustix::io::read(fd, &mut room)?;
    Ok(room.get(..count).unwrap_or_default().to_vec())
}
