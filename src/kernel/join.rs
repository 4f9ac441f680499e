//! What does the process itself see? A helper is forked, goes into the process's namespaces (setns(2)), takes
//! its root (chroot(2)), reads, and ends; meanwhile the caller reads from outside.
//!
//! The helper is safe to have inside. It is no program that could be executed anew from there and it executes
//! nothing; it cannot be traced or read through /proc while it is there (not dumpable: CVE-2016-9962);
//! it takes no lock and allocates nothing, since the caller may have threads; no signal's handler runs
//! in it; it dies with the caller, and is killed when it takes too long. Its pid namespace stays the
//! caller's, since setns(2) could only put a child of it into another one; /proc in there answers anyway.
//!
//! Next: `inside`, what it reads.

use super::Errno;
use super::dir::Dir;
use super::inside;
use super::parts::{self, Part, Writer};
use rustix::process::{DumpableBehavior, Signal};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

const ROOM: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(2);

/// The namespaces that matter for what is read, in the order of joining, and what setns(2) calls them. The
/// user namespace is apart: joined after those that the caller may join with its own capabilities.
const JOINS: [(&str, Part, libc::c_int); 4] = [
    ("cgroup", Part::JoinCgroup, libc::CLONE_NEWCGROUP),
    ("uts", Part::JoinUts, libc::CLONE_NEWUTS),
    ("net", Part::JoinNet, libc::CLONE_NEWNET),
    ("mnt", Part::JoinMnt, libc::CLONE_NEWNS),
];

/// How to come into one namespace.
enum Way {
    /// The caller is in it.
    Already,
    Through(OwnedFd),
    Refused(Errno),
}

/// The helper at work.
pub struct Helper {
    child: Option<(libc::pid_t, OwnedFd)>,
    room: Shared,
}

/// What the helper wrote down, once it has ended.
pub struct Answers(Result<Shared, Errno>);

/// Send a helper into `process`, an open directory /proc/PID. `same` says whether the caller is in the
/// process's namespace of that kind already.
pub fn start(process: &Dir, same: &dyn Fn(&str) -> Result<bool, Errno>) -> Result<Helper, Errno> {
    let way = |kind: &str| match same(kind) {
        Ok(true) => Way::Already,
        Ok(false) => process.namespace(kind).map_or_else(Way::Refused, Way::Through),
        Err(errno) => Way::Refused(errno),
    };
    let ways = JOINS.map(|(kind, _, _)| way(kind));
    let user = way("user");
    let root = process.path_only("root");
    let same_root = matches!(ways[3], Way::Already) && root.as_ref().is_ok_and(is_own_root);

    let mut room = Shared::new()?;
    let own_memory = room.bytes_mut();
    let child = fork(|| {
        let mut writer = Writer::new(own_memory);
        visit(&mut writer, process, &ways, &user, root.as_ref(), same_root);
    })?;
    Ok(Helper { child: Some(child), room })
}

impl Helper {
    pub fn pid(&self) -> Option<i32> {
        self.child.as_ref().map(|(pid, _)| *pid)
    }

    /// Wait until it has ended, by itself or not, and take what it wrote.
    pub fn collect(mut self) -> Answers {
        let room = std::mem::replace(&mut self.room, Shared { at: std::ptr::null_mut() });
        match self.end(PATIENCE) {
            true => Answers(Ok(room)),
            false => Answers(Err(Errno::ETIMEDOUT)),
        }
    }

    fn end(&mut self, patience: Duration) -> bool {
        let Some((pid, pidfd)) = self.child.take() else { return true };
        let ended = |patience: Duration| {
            let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
            let until = std::time::Instant::now() + patience;
            loop {
                let left = until.saturating_duration_since(std::time::Instant::now());
                let left = rustix::event::Timespec::try_from(left).ok();
                match rustix::event::poll(&mut fds, left.as_ref()) {
                    Err(rustix::io::Errno::INTR) => {}
                    answer => return answer.is_ok_and(|ready| ready > 0),
                }
            }
        };
        let gone = ended(patience) || {
            let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
            ended(Duration::from_millis(200))
        };
        // SAFETY: a null status pointer is allowed. WNOHANG: a helper that even SIGKILL cannot end, because
        // the kernel waits for a dead file server, is left behind rather than waited for.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL | libc::WNOHANG) };
        gone
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl Answers {
    /// The bytes of one part; or what was tried for it, if that is not the reading itself, and the errno.
    pub fn get(&self, part: Part) -> Result<&[u8], (Option<&'static str>, Errno)> {
        let room = self.0.as_ref().map_err(|errno| (Some("a helper in its namespaces"), *errno))?;
        let (needs, tried) = match part {
            Part::Hostname => (Part::JoinUts, "setns(/proc/PID/ns/uts, CLONE_NEWUTS)"),
            Part::Status => (Part::JoinUser, "setns(/proc/PID/ns/user, CLONE_NEWUSER)"),
            Part::Cgroup => (Part::JoinCgroup, "setns(/proc/PID/ns/cgroup, CLONE_NEWCGROUP)"),
            Part::Links | Part::Addresses | Part::Routes => {
                (Part::JoinNet, "setns(/proc/PID/ns/net, CLONE_NEWNET)")
            }
            _ => (Part::Root, "chroot(/proc/PID/root)"),
        };
        let not_reached = (Some("a helper in its namespaces"), Errno::ETIMEDOUT);
        let bytes = room.bytes();
        parts::find(bytes, needs).ok_or(not_reached)?.map_err(|errno| (Some(tried), errno))?;
        parts::find(bytes, part).ok_or(not_reached)?.map_err(|errno| (None, errno))
    }
}

/// All that the helper does. From here on nothing may allocate, lock or panic.
fn visit(
    writer: &mut Writer,
    process: &Dir,
    ways: &[Way; 4],
    user: &Way,
    root: Result<&OwnedFd, &Errno>,
    same_root: bool,
) {
    guard();
    let mut joined = [const { Err(Errno(0)) }; 4];
    let again = |joined: &mut [Result<(), Errno>; 4]| {
        for ((answer, way), (_, _, flag)) in joined.iter_mut().zip(ways).zip(JOINS) {
            if answer.is_err() {
                *answer = join(way, flag);
            }
        }
    };
    again(&mut joined);
    // What belongs to a user namespace that the caller made is open only from there, and the process may
    // have gone on into another one below, as bubblewrap's has.
    let owner = joined.iter().zip(ways).find_map(|(answer, way)| match (answer, way) {
        (Err(Errno::EPERM), Way::Through(fd)) => owner(fd),
        _ => None,
    });
    let in_owner = owner.is_some_and(|owner| join(&Way::Through(owner), libc::CLONE_NEWUSER).is_ok());
    guard();
    again(&mut joined);
    let user = match join(user, libc::CLONE_NEWUSER) {
        // setns(2) into the user namespace that one is in already.
        Err(Errno::EINVAL) if in_owner => Ok(()),
        answer => answer,
    };
    guard();
    let root = match root {
        Ok(_) if same_root => Ok(()),
        Ok(root) => take_root(root),
        Err(errno) => Err(*errno),
    };
    for (answer, (_, part, _)) in joined.iter().zip(JOINS) {
        writer.part(part, 0, |_| answer.map(|()| 0));
    }
    writer.part(Part::JoinUser, 0, |_| user.map(|()| 0));
    writer.part(Part::Root, 0, |_| root.map(|()| 0));

    inside::hostname(writer);
    inside::own_file(writer, Part::Status, process.as_fd(), c"status");
    inside::own_file(writer, Part::Cgroup, process.as_fd(), c"cgroup");
    if joined[2].is_ok() {
        inside::network(writer);
    }
    // Files last: these can be served by somebody who makes us wait.
    if root.is_ok() {
        inside::processes(writer);
        inside::entries(writer, Part::RootEntries, c"/", false);
        inside::entries(writer, Part::Devices, c"/dev", true);
        inside::small_file(writer, Part::EtcHostname, c"/etc/hostname");
        inside::small_file(writer, Part::EtcHosts, c"/etc/hosts");
        inside::small_file(writer, Part::EtcResolv, c"/etc/resolv.conf");
    }
    writer.part(Part::End, 0, |_| Ok(0));
}

/// The user namespace that a namespace belongs to (ioctl_ns(2)).
fn owner(namespace: &OwnedFd) -> Option<OwnedFd> {
    const NS_GET_USERNS: libc::c_ulong = 0xb701;
    // SAFETY: the request takes no argument; what it returns is a new descriptor that nobody else owns.
    unsafe {
        let fd = libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS as _);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
    }
}

/// To be said anew after each change of user namespace, since a change of credentials forgets both
/// (PR_SET_DUMPABLE(2const), PR_SET_PDEATHSIG(2const)).
fn guard() {
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

fn join(way: &Way, flag: libc::c_int) -> Result<(), Errno> {
    match way {
        Way::Already => Ok(()),
        Way::Refused(errno) => Err(*errno),
        // SAFETY: setns(2) takes no pointers, and this process has one thread.
        Way::Through(fd) => match unsafe { libc::setns(fd.as_raw_fd(), flag) } {
            0 => Ok(()),
            _ => Err(Errno::last()),
        },
    }
}

/// From here on every path is one that the process would find, and no link or `..` leads out of it.
fn take_root(root: &OwnedFd) -> Result<(), Errno> {
    rustix::process::fchdir(root)?;
    rustix::process::chroot(c".")?;
    Ok(())
}

fn is_own_root(root: &OwnedFd) -> bool {
    match (rustix::fs::fstat(root), rustix::fs::stat(c"/")) {
        (Ok(theirs), Ok(ours)) => (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino),
        _ => false,
    }
}

/// Make a child that does `work` and ends. It sends no SIGCHLD and waitpid(-1) does not see it (it needs
/// `__WALL`), so that whoever waits for a container meanwhile is not disturbed.
fn fork(work: impl FnOnce()) -> Result<(libc::pid_t, OwnedFd), Errno> {
    let mut pidfd: libc::c_int = -1;
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the signal sets are written by the kernel before they are read, and the mask is put back in the
    // caller. Without CLONE_VM the child has its own memory and one thread: `work` makes system calls and
    // writes to memory that exists, and neither allocates nor takes a lock that another thread of the
    // caller may have held. It never returns from here: `Leave` ends it even if `work` should panic.
    let pid = unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let flags = libc::c_long::from(libc::CLONE_PIDFD);
        let pid = libc::syscall(libc::SYS_clone, flags, none, &raw mut pidfd, none, none);
        if pid == 0 {
            let _leave = Leave;
            work();
            drop(_leave);
        }
        let errno = Errno::last();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        if pid < 0 {
            return Err(errno);
        }
        pid as libc::pid_t
    };
    // SAFETY: clone(2) succeeded with CLONE_PIDFD, so this is a new descriptor that nobody else owns.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        // SAFETY: ends this process at once and runs nothing of the caller's.
        unsafe { libc::_exit(0) }
    }
}

/// Memory that the helper and the caller share.
struct Shared {
    at: *mut u8,
}

impl Shared {
    fn new() -> Result<Shared, Errno> {
        let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place that the kernel chooses touches nothing that exists.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), ROOM, rights, kind, -1, 0) };
        if at == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(Shared { at: at.cast() }) }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has ROOM bytes and lives as long as `self`; it is read only after the helper,
        // its one writer, has ended (`collect`).
        unsafe { std::slice::from_raw_parts(self.at, ROOM) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has ROOM bytes and lives as long as `self`, which is borrowed; the caller does
        // not touch them between the fork and the helper's end.
        unsafe { std::slice::from_raw_parts_mut(self.at, ROOM) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.at.is_null() {
            // SAFETY: this is the mapping made in `new`, and no slice of it outlives `self`.
            unsafe { libc::munmap(self.at.cast(), ROOM) };
        }
    }
}
