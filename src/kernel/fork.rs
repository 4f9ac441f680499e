//! How does a process get children, hear of their end, and name itself? fork(2), waitpid(2),
//! sigtimedwait(2), prctl(2): what a server with workers needs. No handler runs: the signals are blocked
//! and asked for, so nothing ever happens between two lines.
//!
//! Next: `crate::app`, the server.

use super::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal as Sig, kill, pthread_sigmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};
use std::ffi::CString;
use std::sync::OnceLock;
use std::time::Duration;

/// What the master of a server is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Child,
    Stop,
}

fn waited_for() -> SigSet {
    [Sig::SIGCHLD, Sig::SIGTERM, Sig::SIGQUIT, Sig::SIGINT].into_iter().collect()
}

/// Hold the signals back until [`next_signal`] asks. PID 1 of a namespace needs this or a handler: by
/// default the kernel drops what is sent to it (pid_namespaces(7)), but never what it has blocked.
pub fn block_signals() -> Result<(), Errno> {
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&waited_for()), None).map_err(Errno::from)
}

/// The next signal; none when the time is over.
pub fn next_signal(timeout: Option<Duration>) -> Result<Option<Signal>, Errno> {
    let time = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(std::ptr::null(), |time| time as *const _);
    let set = waited_for();
    // SAFETY: `set` and what `time` points to (or null, which means no limit) live until the call returns;
    // no siginfo_t is asked for.
    let number = unsafe { libc::sigtimedwait(set.as_ref(), std::ptr::null_mut(), time) };
    match number {
        libc::SIGCHLD => Ok(Some(Signal::Child)),
        -1 if matches!(Errno::last().0, libc::EAGAIN | libc::EINTR) => Ok(None),
        -1 => Err(Errno::last()),
        _ => Ok(Some(Signal::Stop)),
    }
}

/// A child that runs `child` and exits with what it returns; it is told to die with its parent, and has
/// no signal blocked. Only for a process with a single thread: `child` may allocate and take locks.
pub fn fork(child: impl FnOnce() -> i32) -> Result<u32, Errno> {
    let parent = nix::unistd::getpid();
    // SAFETY: the caller has no other thread (checked by nobody but the two that call this: the server's
    // master, and tests in a process of their own), so no lock can be held by one that the child lacks.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child.as_raw().unsigned_abs()),
        ForkResult::Child => {
            let _ = nix::sys::prctl::set_pdeathsig(Sig::SIGKILL);
            let _ = pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&waited_for()), None);
            // The parent may have died before it could be told.
            let status = if nix::unistd::getppid() == parent { child() } else { 1 };
            std::process::exit(status)
        }
    }
}

/// A child that has ended, with its status as a shell has it; none when none has.
pub fn reap() -> Option<(u32, i32)> {
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) => return Some((pid.as_raw().unsigned_abs(), status)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                return Some((pid.as_raw().unsigned_abs(), 128 + signal as i32));
            }
            Err(nix::errno::Errno::EINTR) => {}
            _ => return None,
        }
    }
}

/// SIGTERM to one child.
pub fn terminate(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), Sig::SIGTERM);
    }
}

/// How many arguments the program was given, and their bytes with each one's NUL.
static ARGUMENTS: OnceLock<(usize, usize)> = OnceLock::new();

/// The name in /proc/PID/comm, of which the kernel keeps 15 bytes; and, where the arguments given at the
/// start leave room for it, the title in /proc/PID/cmdline, as nginx does it.
pub fn set_title(comm: &str, title: &str) {
    if let Ok(comm) = CString::new(comm) {
        let _ = nix::sys::prctl::set_name(&comm);
    }
    let (count, room) = *ARGUMENTS.get_or_init(|| {
        let arguments = std::env::args_os();
        (arguments.len(), arguments.map(|argument| argument.len() + 1).sum())
    });
    if count == 0 || title.len() >= room {
        return;
    }
    unsafe extern "C" {
        static environ: *const *mut u8;
    }
    // SAFETY: the kernel lays out the pointers argv[0..argc], null, envp in a row on the new stack
    // (execve(2), System V ABI), and libc's `environ` stays that envp as long as nobody sets a variable,
    // which this program never does. So argv[0] is argc + 1 pointers below it. The strings lie one after
    // the other, so `room` bytes from the first on are the arguments' alone; it was counted before the first title
    // was written over them, and is kept across fork, since the strings now end elsewhere.
    unsafe {
        if environ.is_null() {
            return;
        }
        let first = *environ.sub(count + 1);
        std::ptr::write_bytes(first, 0, room);
        std::ptr::copy_nonoverlapping(title.as_ptr(), first, title.len());
    }
}

/// uname(2)'s nodename: what this process's uts namespace says, without /etc or /proc.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
