//! Which filters does a process really run under? The kernel gives them back, instruction for
//! instruction, to a tracer that may have them (PTRACE_SECCOMP_GET_FILTER, ptrace(2)).
//!
//! Next: `bpf`, which says what they decide.

use super::Errno;
use super::bpf::{self, Insn};
use super::call::{Call, Returned, call, heard, listen};
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::fmt;
use std::time::{Duration, Instant};

/// PTRACE_SECCOMP_GET_FILTER (linux/ptrace.h).
const GET_FILTER: libc::c_uint = 0x420c;
/// Longer than any process needs to stop that can.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why filters could not be read: the request that was refused, and what caused it here.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub request: &'static str,
    pub pid: i32,
    pub errno: Errno,
    pub cause: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ptrace({}, {}) = -1 {}: {}", self.request, self.pid, self.errno, self.cause)
    }
}

impl std::error::Error for Error {}

/// The filters of a process (of its first thread), the first installed coming first; empty without one.
pub fn seccomp_filters(pid: i32) -> Result<Vec<Vec<Insn>>, Error> {
    // A tracee that does not stop cannot be detached from, except by the end of the thread that
    // traces it: so that thread is one of its own, and the target is released whatever happens.
    let traced = std::thread::Builder::new().name("tracer".into()).spawn(move || {
        listen();
        (trace(pid), heard())
    });
    let outcome = traced.map_err(Errno::from).and_then(|thread| thread.join().map_err(|_| Errno::EIO));
    let (filters, calls) = outcome.map_err(|errno| refused("PTRACE_SEIZE", pid, errno))?;
    for made in calls {
        again(&made);
    }
    filters
}

/// Write a call of the tracer's down for who listens to this thread.
fn again(made: &Call) {
    let returned = || match made.returned {
        Returned::Ok(number) => Ok(number as usize),
        Returned::Refused(errno) => Err(errno),
    };
    let _ = call(&made.name, format_args!("{}", made.args), returned);
}

fn refused(request: &'static str, pid: i32, errno: Errno) -> Error {
    Error { request, pid, errno, cause: cause(request, pid, errno) }
}

fn trace(pid: i32) -> Result<Vec<Vec<Insn>>, Error> {
    let target = Pid::from_raw(pid);
    // Not PTRACE_ATTACH: it would send a SIGSTOP.
    call("ptrace", format_args!("PTRACE_SEIZE, {pid}, NULL, 0"), || {
        ptrace::seize(target, ptrace::Options::empty())
    })
    .map_err(|errno| refused("PTRACE_SEIZE", pid, errno))?;
    call("ptrace", format_args!("PTRACE_INTERRUPT, {pid}, NULL, NULL"), || ptrace::interrupt(target))
        .map_err(|errno| refused("PTRACE_INTERRUPT", pid, errno))?;
    let signal = stopped(target)?;
    let filters = read_all(pid);
    // A signal that was just being delivered must not be lost by our having looked.
    let name = signal.map_or("0".to_owned(), |signal| signal.to_string());
    let released =
        call("ptrace", format_args!("PTRACE_DETACH, {pid}, NULL, {name}"), || ptrace::detach(target, signal));
    let filters = filters?;
    released.map_err(|errno| refused("PTRACE_DETACH", pid, errno)).map(|()| filters)
}

/// Wait until the tracee stands still, with the signal that it stands still for, if it is one. Asked with
/// ptrace and not with wait(2), whose answer another thread of ours that waits for a child could take.
fn stopped(target: Pid) -> Result<Option<nix::sys::signal::Signal>, Error> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(20);
    loop {
        let mut stop = None;
        let answer = call("ptrace", format_args!("PTRACE_GETSIGINFO, {target}, NULL, {{…}}"), || {
            ptrace::getsiginfo(target).map(|info| stop = Some(info))
        });
        match (answer, stop) {
            (Ok(()), Some(info)) => {
                let event = info.si_code >> 8 == libc::PTRACE_EVENT_STOP;
                let signal = nix::sys::signal::Signal::try_from(info.si_signo).ok();
                return Ok(signal.filter(|_| !event));
            }
            (Err(Errno::ESRCH), _) if start.elapsed() < PATIENCE && exists(target) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(5));
            }
            // EINVAL: a group-stop, which has no signal to deliver.
            (Err(Errno::EINVAL), _) => return Ok(None),
            (Err(errno), _) => return Err(refused("PTRACE_GETSIGINFO", target.as_raw(), errno)),
            (Ok(()), None) => return Ok(None),
        }
    }
}

fn exists(target: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{target}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['Z', 'X'])))
}

fn read_all(pid: i32) -> Result<Vec<Vec<Insn>>, Error> {
    let mut filters = Vec::new();
    // The kernel's own bound is 32768 instructions for all of them.
    for index in 0..u16::MAX {
        match read(pid, index.into()) {
            Ok(filter) => filters.push(filter),
            // No such index; and EINVAL: no filter at all.
            Err(Errno::ENOENT) => break,
            Err(Errno::EINVAL) if index == 0 => break,
            Err(errno) => return Err(refused("PTRACE_SECCOMP_GET_FILTER", pid, errno)),
        }
    }
    Ok(filters)
}

/// The kernel counts from the first installed, though ptrace(2) says from the last.
fn read(pid: i32, index: usize) -> Result<Vec<Insn>, Errno> {
    let mut filter = vec![Insn { code: 0, jt: 0, jf: 0, k: 0 }; bpf::MAX_LEN];
    let data = filter.as_mut_ptr();
    let length = call("ptrace", format_args!("PTRACE_SECCOMP_GET_FILTER, {pid}, {index}, {data:?}"), || {
        // SAFETY: the kernel writes the whole filter and asks for no length; it takes none longer than
        // BPF_MAXINSNS, which is what the buffer has, and Insn has the layout of sock_filter.
        let count = unsafe { libc::ptrace(GET_FILTER, pid, index, data) };
        usize::try_from(count).map_err(|_| Errno::last())
    })?;
    filter.truncate(length);
    Ok(filter)
}

/// What caused it here, found by looking; where several remain, all of them.
fn cause(request: &str, pid: i32, errno: Errno) -> String {
    let status = |pid: &str, key: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        text.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned())).unwrap_or_default()
    };
    let its = |key: &str| status(&pid.to_string(), key);
    let mine = |key: &str| status("self", key);
    let admin = u64::from_str_radix(&mine("CapEff:"), 16).is_ok_and(|caps| caps & (1 << 21) != 0);
    match (request, errno) {
        ("PTRACE_SECCOMP_GET_FILTER", Errno::EACCES) if mine("Seccomp:") != "0" => {
            "this program runs under a filter itself (Seccomp: 2 in /proc/self/status), as inside Docker, and the \
             kernel then shows it none; run it on the host"
                .into()
        }
        ("PTRACE_SECCOMP_GET_FILTER", Errno::EACCES) if admin => {
            "CAP_SYS_ADMIN is needed in the first user namespace; here it is held in another one only".into()
        }
        ("PTRACE_SECCOMP_GET_FILTER", Errno::EACCES) => {
            "it takes CAP_SYS_ADMIN in the first user namespace; run it as root of this machine (sudo)".into()
        }
        ("PTRACE_SECCOMP_GET_FILTER", Errno::EIO) => {
            "this kernel is built without CONFIG_CHECKPOINT_RESTORE, so filters cannot be read back".into()
        }
        ("PTRACE_GETSIGINFO", Errno::ESRCH) if its("State:").is_empty() || its("State:").starts_with('Z') => {
            "it has ended meanwhile".into()
        }
        ("PTRACE_GETSIGINFO", Errno::ESRCH) => format!(
            "it did not stop within {} ms (State: {}): frozen by a v1 freezer cgroup, or in an uninterruptible call; \
             thaw it and ask again",
            PATIENCE.as_millis(),
            its("State:")
        ),
        (_, Errno::ESRCH) => "there is no such process".into(),
        ("PTRACE_SEIZE", Errno::EPERM) => {
            let tracer = its("TracerPid:");
            if !tracer.is_empty() && tracer != "0" {
                return format!("process {tracer} traces it already (TracerPid), and there can be one only");
            }
            if pid == std::process::id() as i32 {
                return "no process can trace itself; ask about it from another".into();
            }
            if its("State:").starts_with('Z') {
                return "it has ended and only waits to be reaped (State: Z)".into();
            }
            if its("Kthread:") == "1" {
                return "it is a thread of the kernel".into();
            }
            let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
            if scope.trim() == "3" {
                return "kernel.yama.ptrace_scope is 3: nobody may trace, root neither, until the machine is booted again"
                    .into();
            }
            let mut candidates = vec!["it has other ids or more capabilities than we, or is not dumpable".to_owned()];
            if !matches!(scope.trim(), "" | "0") {
                candidates.push(format!("kernel.yama.ptrace_scope is {}", scope.trim()));
            }
            format!("CAP_SYS_PTRACE is needed in its user namespace, for {}; run it as root of this machine (sudo)", candidates.join(", or "))
        }
        _ => errno.text().into(),
    }
}
