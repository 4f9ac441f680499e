//! How does the process that becomes the container start? As this same program, executed again with one
//! end of the channel: a fork of a process with threads could only make async-signal-safe calls.
//!
//! What is executed is never the host's file itself: a process inside could otherwise open it through
//! /proc/1/exe and write to it once it is free (CVE-2019-5736). Next: `crate::engine::child`.

use super::channel::Channel;
use super::fs::{self, Opened};
use super::{Errno, call::call, check};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The name under which the program knows that it is the child side.
pub const CHILD: &str = "learnctr: child";

/// What the new process has as standard input, output and error.
pub enum Stdio3 {
    /// The caller's own.
    Inherit,
    /// Nothing to read; what it prints goes to the caller's standard error.
    Aside,
    /// Nothing to read; what it prints goes there.
    Into(OwnedFd),
    /// All three are this terminal.
    Terminal(OwnedFd),
}

/// Our own executable, where nothing inside the container can write to it: behind a read-only mount that
/// no namespace shows, or copied into sealed memory where one may not mount (an ordinary user).
pub fn own_executable() -> Result<Opened, Errno> {
    let file = fs::open(Path::new("/proc/self/exe"), libc::O_PATH)?;
    let read_only = || {
        let mount = fs::clone_mount(&file)?;
        fs::mount_setattr(&mount, libc::MOUNT_ATTR_RDONLY, 0, false)?;
        Ok::<_, Errno>(mount)
    };
    read_only().or_else(|_| sealed_copy())
}

fn sealed_copy() -> Result<Opened, Errno> {
    const MFD_EXEC: u32 = 0x10;
    let wanted = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string.
    let create = |flags: u32| check(unsafe { libc::memfd_create(c"learnctr".as_ptr(), flags) } as i64);
    // MFD_EXEC is wanted since Linux 6.3 and unknown before.
    let fd =
        call("memfd_create", format_args!("\"learnctr\", MFD_CLOEXEC|MFD_ALLOW_SEALING|MFD_EXEC"), || {
            // SAFETY: the kernel has just made it.
            create(wanted | MFD_EXEC)
                .or_else(|_| create(wanted))
                .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
        })?;
    let mut copy = File::from(fd);
    let mut original = File::open("/proc/self/exe")?;
    std::io::copy(&mut original, &mut copy)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    call(
        "fcntl",
        format_args!("{}, F_ADD_SEALS, F_SEAL_SEAL|F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_WRITE", copy.as_raw_fd()),
        || {
            // SAFETY: no pointers.
            check(unsafe { libc::fcntl(copy.as_raw_fd(), libc::F_ADD_SEALS, seals) } as i64).map(|_| ())
        },
    )?;
    Ok(Opened { fd: copy.into(), label: "memfd:learnctr".to_owned() })
}

/// The child side, started and waiting for its first steps. What it is to do need not be known yet: it starts up
/// while this process finds out.
pub struct Started {
    pub pid: i32,
    /// Our end; none once the process is somebody else's to end.
    channel: Option<Channel>,
}

impl Started {
    pub fn now(stdio: &Stdio3) -> Result<Started, Errno> {
        let (ours, theirs) = Channel::pair()?;
        Ok(Started { pid: spawn(&theirs, stdio)?, channel: Some(ours) })
    }

    /// Its channel, and with it the duty to end it.
    pub fn take(mut self) -> Option<Channel> {
        self.channel.take()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.channel.take().is_some() {
            let _ = super::process::kill(self.pid, libc::SIGKILL);
            let _ = super::process::wait(self.pid, true);
        }
    }
}

/// Execute the program again as the child side; its pid.
pub fn spawn(channel: &Channel, stdio: &Stdio3) -> Result<i32, Errno> {
    let program = own_executable()?;
    channel.keep_on_exec()?;
    let mut command = Command::new(program.magic());
    command.arg0(CHILD).arg(channel.raw().to_string()).env_clear();
    if let Stdio3::Aside = stdio {
        // SAFETY: standard error is open, or the copy answers EBADF.
        let copy = check(unsafe { libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 3) } as i64)?;
        // SAFETY: the kernel has just made it.
        let copy = unsafe { OwnedFd::from_raw_fd(copy as i32) };
        command.stdin(Stdio::null()).stdout(Stdio::from(copy));
    }
    if let Stdio3::Into(fd) = stdio {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::from(fd.try_clone()?))
            .stderr(Stdio::from(fd.try_clone()?));
    }
    if let Stdio3::Terminal(fd) = stdio {
        command
            .stdin(Stdio::from(fd.try_clone()?))
            .stdout(Stdio::from(fd.try_clone()?))
            .stderr(Stdio::from(fd.try_clone()?));
    }
    let pid = call(
        "execve",
        format_args!(
            "\"{}\"<{}>, [\"{CHILD}\", \"{}\"], /* 0 vars */",
            program.magic(),
            program.label,
            channel.raw()
        ),
        || command.spawn().map(|child| child.id() as i32).map_err(Errno::from),
    )?;
    Ok(pid)
}

/// Let an open file survive one execve(2).
pub fn keep_on_exec(opened: &Opened) -> Result<(), Errno> {
    // SAFETY: no pointers; the descriptor is open.
    check(unsafe { libc::fcntl(opened.fd.as_raw_fd(), libc::F_SETFD, 0) } as i64).map(|_| ())
}
