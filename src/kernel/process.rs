//! What can a process change about itself, and what can it do to others? Namespaces, identity, limits,
//! signals, waiting, executing.
//!
//! Next: `caps`, then `spawn`, which starts the process that becomes the container.

use super::call::{call, lazy};
use super::flags::{self, names};
use super::fs::Opened;
use super::{Errno, check};
use crate::step::text;
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub fn unshare(what: u64) -> Result<(), Errno> {
    call("unshare", format_args!("{}", names(flags::CLONE, what)), || {
        // SAFETY: no pointers; this process has one thread, which CLONE_NEWUSER and CLONE_FS demand.
        check(unsafe { libc::unshare(what as i32) } as i64).map(|_| ())
    })
}

pub fn setns(to: &Opened, what: u64) -> Result<(), Errno> {
    call("setns", format_args!("{to}, {}", names(flags::CLONE, what)), || {
        // SAFETY: no pointers; the descriptor is open.
        check(unsafe { libc::setns(to.fd.as_raw_fd(), what as i32) } as i64).map(|_| ())
    })
}

/// What clone(2) returns: twice.
pub enum Cloned {
    Parent(i32),
    Child,
}

/// clone3(2), without shared memory: the child continues here with a copy. Where a seccomp filter answers
/// ENOSYS (Docker's does, so that flags can be read from clone's register), clone(2) is asked instead,
/// which has no CLONE_INTO_CGROUP and no CLONE_NEWTIME.
pub fn clone(what: u64, cgroup: Option<&Opened>) -> Result<Cloned, Errno> {
    // With CLONE_PARENT the kernel takes the signal from the parent's own birth and wants none named.
    let exit_signal = if what & libc::CLONE_PARENT as u64 != 0 { 0 } else { libc::SIGCHLD as u64 };
    let into = if cgroup.is_some() { flags::CLONE_INTO_CGROUP } else { 0 };
    // SAFETY: clone_args is integers; all zero is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = what | into;
    args.exit_signal = exit_signal;
    args.cgroup = cgroup.map_or(0, |c| c.fd.as_raw_fd() as u64);
    let shown = lazy(|f| {
        write!(f, "{{flags={}", names(flags::CLONE, what))?;
        match cgroup {
            Some(group) => {
                write!(f, "|CLONE_INTO_CGROUP, exit_signal={exit_signal}, cgroup={group}}}, 88")
            }
            None => write!(f, ", exit_signal={exit_signal}}}, 88"),
        }
    });
    let made = call("clone3", format_args!("{shown}"), || {
        // SAFETY: no CLONE_VM, so the child has its own copy of everything, as after fork(2); this process
        // has one thread, so no lock is held by a thread that the child lacks.
        check(unsafe {
            libc::syscall(
                libc::SYS_clone3,
                &args as *const libc::clone_args,
                std::mem::size_of::<libc::clone_args>(),
            )
        })
        .map(|pid| pid as i32)
    });
    let made = match made {
        Err(Errno::ENOSYS) if cgroup.is_none() && what & libc::CLONE_NEWTIME as u64 == 0 => {
            call("clone", format_args!("NULL, {}", names(flags::CLONE, what)), || {
                // SAFETY: as above; a null stack means the parent's, copied.
                check(unsafe { libc::syscall(libc::SYS_clone, what | exit_signal, 0, 0, 0, 0) })
                    .map(|pid| pid as i32)
            })?
        }
        other => other?,
    };
    Ok(if made == 0 { Cloned::Child } else { Cloned::Parent(made) })
}

fn prctl(shown: std::fmt::Arguments, option: i32, second: u64, third: u64) -> Result<i32, Errno> {
    call("prctl", shown, || {
        // SAFETY: none of the options used here takes a pointer.
        check(unsafe { libc::prctl(option, second, third, 0u64, 0u64) } as i64).map(|n| n as i32)
    })
}

pub fn set_dumpable(dumpable: bool) -> Result<(), Errno> {
    let value = u64::from(dumpable);
    prctl(format_args!("PR_SET_DUMPABLE, {value}"), libc::PR_SET_DUMPABLE, value, 0).map(|_| ())
}

/// Orphans among our descendants become children of ours, not of process 1.
pub fn adopt_orphans(adopt: bool) -> Result<(), Errno> {
    let value = u64::from(adopt);
    prctl(format_args!("PR_SET_CHILD_SUBREAPER, {value}"), libc::PR_SET_CHILD_SUBREAPER, value, 0).map(|_| ())
}

/// The name in /proc/PID/comm, until the next execve(2).
pub fn set_name(name: &std::ffi::CStr) {
    let _ = nix::sys::prctl::set_name(name);
}

pub fn parent_death_signal(signal: i32) -> Result<(), Errno> {
    prctl(format_args!("PR_SET_PDEATHSIG, {}", signal_name(signal)), libc::PR_SET_PDEATHSIG, signal as u64, 0)
        .map(|_| ())
}

pub fn keep_caps(keep: bool) -> Result<(), Errno> {
    let value = u64::from(keep);
    prctl(format_args!("PR_SET_KEEPCAPS, {value}"), libc::PR_SET_KEEPCAPS, value, 0).map(|_| ())
}

pub fn no_new_privs() -> Result<(), Errno> {
    prctl(format_args!("PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0"), libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(|_| ())
}

pub fn drop_bounding(cap: u32) -> Result<(), Errno> {
    prctl(
        format_args!("PR_CAPBSET_DROP, {}", lazy(|f| f.write_str(&super::caps::name(cap)))),
        libc::PR_CAPBSET_DROP,
        u64::from(cap),
        0,
    )
    .map(|_| ())
}

/// Whether a capability is in the bounding set; EINVAL past the kernel's last one.
pub fn in_bounding(cap: u32) -> Result<bool, Errno> {
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_READ, u64::from(cap), 0, 0, 0) } as i64).map(|n| n == 1)
}

pub fn ambient_raise(cap: u32) -> Result<(), Errno> {
    let name = lazy(|f| f.write_str(&super::caps::name(cap)));
    let shown = format_args!("PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {name}");
    prctl(shown, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, u64::from(cap)).map(|_| ())
}

pub fn set_groups(gids: &[u32]) -> Result<(), Errno> {
    call("setgroups", format_args!("{}, {gids:?}", gids.len()), || {
        // SAFETY: pointer and length are the slice's.
        check(unsafe { libc::setgroups(gids.len(), gids.as_ptr()) } as i64).map(|_| ())
    })
}

pub fn set_gid(gid: u32) -> Result<(), Errno> {
    call("setresgid", format_args!("{gid}, {gid}, {gid}"), || {
        // SAFETY: no pointers.
        check(unsafe { libc::setresgid(gid, gid, gid) } as i64).map(|_| ())
    })
}

pub fn set_uid(uid: u32) -> Result<(), Errno> {
    call("setresuid", format_args!("{uid}, {uid}, {uid}"), || {
        // SAFETY: no pointers.
        check(unsafe { libc::setresuid(uid, uid, uid) } as i64).map(|_| ())
    })
}

pub fn set_hostname(name: &str) -> Result<(), Errno> {
    call("sethostname", format_args!("\"{}\", {}", text(name), name.len()), || {
        // SAFETY: pointer and length are the string's.
        check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) } as i64).map(|_| ())
    })
}

pub fn set_domainname(name: &str) -> Result<(), Errno> {
    call("setdomainname", format_args!("\"{}\", {}", text(name), name.len()), || {
        // SAFETY: pointer and length are the string's.
        check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) } as i64).map(|_| ())
    })
}

/// The resources of getrlimit(2), by their names.
pub const RESOURCES: &[(&str, u32)] = &[
    ("RLIMIT_AS", libc::RLIMIT_AS),
    ("RLIMIT_CORE", libc::RLIMIT_CORE),
    ("RLIMIT_CPU", libc::RLIMIT_CPU),
    ("RLIMIT_DATA", libc::RLIMIT_DATA),
    ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
    ("RLIMIT_LOCKS", libc::RLIMIT_LOCKS),
    ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK),
    ("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE),
    ("RLIMIT_NICE", libc::RLIMIT_NICE),
    ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
    ("RLIMIT_NPROC", libc::RLIMIT_NPROC),
    ("RLIMIT_RSS", libc::RLIMIT_RSS),
    ("RLIMIT_RTPRIO", libc::RLIMIT_RTPRIO),
    ("RLIMIT_RTTIME", libc::RLIMIT_RTTIME),
    ("RLIMIT_SIGPENDING", libc::RLIMIT_SIGPENDING),
    ("RLIMIT_STACK", libc::RLIMIT_STACK),
];

pub fn prlimit(resource: &str, soft: u64, hard: u64) -> Result<(), Errno> {
    let number = RESOURCES.iter().find(|(name, _)| *name == resource).ok_or(Errno::EINVAL)?.1;
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    call("prlimit64", format_args!("0, {resource}, {{rlim_cur={soft}, rlim_max={hard}}}, NULL"), || {
        // SAFETY: limit outlives the call; no old value is asked for.
        check(unsafe { libc::prlimit64(0, number as _, &limit, std::ptr::null_mut()) } as i64).map(|_| ())
    })
}

pub fn join_session_keyring(name: &str) -> Result<i32, Errno> {
    let ring = CString::new(name).map_err(|_| Errno::EINVAL)?;
    call("keyctl", format_args!("KEYCTL_JOIN_SESSION_KEYRING, \"{}\"", text(name)), || {
        // SAFETY: ring outlives the call.
        check(unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, ring.as_ptr()) })
            .map(|n| n as i32)
    })
}

pub fn setsid() -> Result<i32, Errno> {
    call("setsid", format_args!(""), || {
        // SAFETY: no pointers.
        check(unsafe { libc::setsid() } as i64).map(|n| n as i32)
    })
}

pub fn umask(mask: u32) -> Result<i32, Errno> {
    call("umask", format_args!("{mask:#o}"), || {
        // SAFETY: no pointers; it cannot fail.
        Ok::<_, Errno>(unsafe { libc::umask(mask) } as i32)
    })
}

/// Every signal to its default and none blocked: dispositions that are ignored, and the mask, survive
/// execve(2), and a program must not inherit its builder's.
pub fn reset_signals() -> Result<(), Errno> {
    call("rt_sigaction", format_args!("each signal, {{sa_handler=SIG_DFL}}, NULL, 8"), || {
        // The kernel's own struct sigaction; all zero is SIG_DFL with no flags.
        let default = [0u64; 4];
        for signal in 1..=64 {
            // Not by the C library, which keeps two signals to itself; a builder that ignored them passed them on.
            // SAFETY: default is as long as the struct is on any architecture and outlives the call; no old
            // value is asked for. SIGKILL and SIGSTOP answer EINVAL, which is no matter.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    default.as_ptr(),
                    std::ptr::null_mut::<u64>(),
                    8,
                )
            };
        }
        Ok::<_, Errno>(())
    })?;
    call("rt_sigprocmask", format_args!("SIG_SETMASK, [], NULL, 8"), || {
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset fills the set before it is used.
        check(unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
        } as i64)
        .map(|_| ())
    })
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC (Linux 5.11); before it, each descriptor of /proc/self/fd.
pub fn close_on_exec(from: u32) -> Result<(), Errno> {
    close_range(from, libc::CLOSE_RANGE_CLOEXEC, |fd| {
        // SAFETY: no pointers; a number that is closed by now answers EBADF, which is no matter.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    })
}

fn close_range(from: u32, how: u32, each: impl Fn(i32)) -> Result<(), Errno> {
    let shown = if how == 0 { "0" } else { "CLOSE_RANGE_CLOEXEC" };
    let made = call("close_range", format_args!("{from}, ~0U, {shown}"), || {
        // SAFETY: no pointers; each caller has no more use for what is closed.
        check(unsafe { libc::syscall(libc::SYS_close_range, from, u32::MAX, how) }).map(|_| ())
    });
    if made.is_ok() {
        return made;
    }
    let entries = std::fs::read_dir("/proc/self/fd").map_err(Errno::from)?;
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    open.into_iter().filter(|fd| *fd >= from as i32).for_each(each);
    Ok(())
}

/// execve(2); returns only when refused.
pub fn exec(program: &str, args: &[String], env: &[String]) -> Errno {
    let all =
        |texts: &[String]| texts.iter().map(|t| CString::new(t.as_str())).collect::<Result<Vec<_>, _>>();
    let (Ok(path), Ok(args), Ok(env)) = (CString::new(program), all(args), all(env)) else {
        return Errno::EINVAL;
    };
    let pointers =
        |texts: &[CString]| texts.iter().map(|t| t.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (argv, envp) = (pointers(&args), pointers(&env));
    let refused = call(
        "execve",
        format_args!("\"{}\", [{} args], /* {} vars */", text(program), args.len(), env.len()),
        || {
            // SAFETY: both lists end with a null pointer and their strings outlive the call.
            check(unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) } as i64).map(|_| ())
        },
    );
    refused.err().unwrap_or(Errno::EIO)
}

/// kill(2).
pub fn kill(pid: i32, signal: i32) -> Result<(), Errno> {
    call("kill", format_args!("{pid}, {}", signal_name(signal)), || {
        // SAFETY: no pointers.
        check(unsafe { libc::kill(pid, signal) } as i64).map(|_| ())
    })
}

/// A descriptor that becomes readable when the process ends (pidfd_open(2), Linux 5.3).
pub fn pidfd(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// How a child ended (wait(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Signalled(i32),
}

/// waitpid(2) on one child; `None` when it still runs and `block` is false.
pub fn wait(pid: i32, block: bool) -> Result<Option<Ended>, Errno> {
    let mut status = 0;
    loop {
        // SAFETY: status outlives the call.
        let got = unsafe {
            libc::waitpid(pid, &mut status, if block { libc::__WALL } else { libc::WNOHANG | libc::__WALL })
        };
        match check(i64::from(got)) {
            Ok(0) => return Ok(None),
            Ok(_) if libc::WIFEXITED(status) => return Ok(Some(Ended::Exited(libc::WEXITSTATUS(status)))),
            Ok(_) if libc::WIFSIGNALED(status) => return Ok(Some(Ended::Signalled(libc::WTERMSIG(status)))),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// poll(2) on descriptors for reading; which are ready. An interrupted wait answers with none.
pub fn poll(fds: &[i32], timeout_ms: i32) -> Result<Vec<bool>, Errno> {
    let fds: Vec<(i32, bool)> = fds.iter().map(|fd| (*fd, false)).collect();
    poll_either(&fds, timeout_ms)
}

/// The same, each for reading or for writing.
pub fn poll_either(fds: &[(i32, bool)], timeout_ms: i32) -> Result<Vec<bool>, Errno> {
    let events = |writes: bool| if writes { libc::POLLOUT } else { libc::POLLIN };
    let mut polled: Vec<libc::pollfd> =
        fds.iter().map(|&(fd, writes)| libc::pollfd { fd, events: events(writes), revents: 0 }).collect();
    // SAFETY: pointer and length are the vector's.
    match check(unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout_ms) } as i64) {
        Ok(_) => Ok(polled.iter().map(|p| p.revents != 0).collect()),
        Err(Errno::EINTR) => Ok(vec![false; fds.len()]),
        Err(errno) => Err(errno),
    }
}

/// End this process at once, without running anything else.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(status) }
}

/// A signal's name, as signal(7) has it.
pub fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal)
        .map_or_else(|_| format!("SIG{signal}"), |s| s.as_str().to_owned())
}

pub fn pid() -> i32 {
    std::process::id() as i32
}

/// Be process 1 for a command that is not made for it: pass every signal on, reap every orphan, and end as
/// the command ended. It executes nothing, so what is to be closed on exec would stay open, and the inside could
/// reach it through /proc/1/fd. The channel's end tells the host that the command runs.
pub fn be_init(command: i32) -> ! {
    let closed = close_range(3, 0, |fd| {
        // SAFETY: no pointers, and nothing here uses it any more.
        unsafe { libc::close(fd) };
    });
    if closed.is_err() {
        exit_now(1);
    }
    // SAFETY: no pointers outlive the calls; this process has one thread and never returns from here. All
    // signals are blocked, so that sigwaitinfo takes them one by one.
    unsafe {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
        loop {
            // Before the first wait too: who ended before signals were blocked has sent one that nobody kept.
            loop {
                let mut status = 0;
                let pid = libc::waitpid(-1, &mut status, libc::WNOHANG);
                if pid <= 0 {
                    break;
                }
                if pid == command {
                    let code = if libc::WIFEXITED(status) {
                        libc::WEXITSTATUS(status)
                    } else {
                        128 + libc::WTERMSIG(status)
                    };
                    libc::_exit(code);
                }
            }
            let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
            let signal = libc::sigwaitinfo(all.as_ptr(), info.as_mut_ptr());
            if signal > 0 && signal != libc::SIGCHLD {
                libc::kill(command, signal);
            }
        }
    }
}
