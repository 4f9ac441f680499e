//! Who are we, and on which kernel? The few answers of the kernel that no file in /proc gives.
//!
//! Next: `crate::host`, which puts them beside what the files say.

use super::Errno;
use rustix::fs::{Access, AtFlags, CWD};
use rustix::process::Resource;
use std::path::Path;

/// The kernel's release and the machine's name (uname(2)).
pub fn uname() -> (String, String) {
    let name = rustix::system::uname();
    (name.release().to_string_lossy().into_owned(), name.machine().to_string_lossy().into_owned())
}

/// The effective user and group (geteuid(2), getegid(2)).
pub fn effective_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// May we write to that file, or make entries in that directory? access(2) asks the kernel itself, which
/// also knows of read-only mounts and of ids that our user namespace does not map.
pub fn writable(path: &Path) -> Result<(), Errno> {
    // AT_EACCESS needs faccessat2 (Linux 5.8); before, the real ids are asked for, which are ours too.
    match rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
        Err(rustix::io::Errno::NOSYS) => rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::empty()),
        answer => answer,
    }
    .map_err(Into::into)
}

/// How many blocks and how many inodes an ordinary user may still take on the file system of this path
/// (statvfs(3)); a file system that does not count inodes has enough of them.
pub fn space(path: &Path) -> Option<(u64, u64)> {
    let about = rustix::fs::statvfs(path).ok()?;
    Some((about.f_bavail, if about.f_files == 0 { u64::MAX } else { about.f_favail }))
}

/// Has this program file capabilities (capabilities(7))?
pub fn has_file_capabilities(path: &Path) -> bool {
    rustix::fs::getxattr(path, "security.capability", &mut [0u8; 64]).is_ok_and(|length| length > 0)
}

/// Can the kernel be asked through /proc (statfs(2))?
pub fn has_procfs() -> bool {
    rustix::fs::statfs("/proc").is_ok_and(|about| about.f_type == libc::PROC_SUPER_MAGIC)
}

/// How far this process's stack may grow, in bytes (RLIMIT_STACK).
pub fn stack() -> u64 {
    rustix::process::getrlimit(Resource::Stack).current.unwrap_or(u64::MAX)
}

/// A resource limit as it is now: name, soft, hard; `None` is RLIM_INFINITY (getrlimit(2)).
pub fn limits() -> impl Iterator<Item = (&'static str, Option<u64>, Option<u64>)> {
    LIMITS.iter().map(|(name, resource)| {
        let limit = rustix::process::getrlimit(*resource);
        (*name, limit.current, limit.maximum)
    })
}

const LIMITS: [(&str, Resource); 16] = [
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_STACK", Resource::Stack),
];

/// The processors that are online (sysconf(3)); one where that is not known.
pub fn processors() -> usize {
    // SAFETY: no pointers.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1).max(1)
}

/// The terminal's width; what COLUMNS says, or 80, where standard output is none.
pub fn columns() -> usize {
    let terminal = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let asked = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    terminal.filter(|columns| *columns > 0).or_else(asked).unwrap_or(80)
}
