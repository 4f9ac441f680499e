//! Which kernel calls does learnctr make? All of them are here, and so is every `unsafe` block: nothing
//! outside this folder names `libc`, `nix`, `rustix` or `unsafe` (tests/house.rs holds that).
//!
//! Next: `crate::engine`, which decides when they are made.
#![allow(unsafe_code)]

pub mod attach;
pub mod attempt;
pub mod bpf;
pub mod call;
pub mod caps;
pub mod channel;
pub mod devices;
pub mod dir;
mod errno;
pub mod flags;
pub mod fork;
pub mod fs;
pub mod ident;
mod inside;
pub mod join;
pub mod layer;
pub mod lock;
pub mod net;
pub mod netread;
pub mod nsfs;
pub mod parts;
pub mod process;
pub mod ptrace;
pub mod pty;
pub mod seccomp;
pub mod spawn;
pub mod trial;
pub mod tty;
pub mod web;

pub use errno::Errno;

use std::ffi::CString;
use std::path::Path;

/// The C convention: -1 means that errno says why.
fn check(returned: i64) -> Result<i64, Errno> {
    if returned == -1 { Err(Errno::last()) } else { Ok(returned) }
}

/// A path for the kernel; one with a NUL in it is none.
fn cstr(path: &Path) -> Result<CString, Errno> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// The flags that rooms outside this one put into steps.
pub mod libc_flags {
    pub use libc::{
        CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER,
        CLONE_NEWUTS, CLONE_PARENT, MNT_DETACH, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE,
        MS_RDONLY, MS_REC, MS_REMOUNT, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, O_CREAT, O_DIRECTORY, O_EXCL,
        O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, SIGCONT, SIGHUP, SIGINT,
        SIGKILL, SIGTERM,
    };
}
