//! Where does a container's terminal come from? From its own devpts: the inside gets one end of a pty, the
//! host holds the other, and the host's terminal never enters.
//!
//! Next: `crate::cli::run`, which passes bytes between the two.

use super::call::call;
use super::fs::{self, Opened};
use super::{Errno, check};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// A pty of the devpts inside `root`: the master end, and the other one.
pub fn open(root: &Opened, owner: u32) -> Result<(OwnedFd, Opened), Errno> {
    let master = fs::open_in(root, Path::new("dev/pts/ptmx"), libc::O_RDWR | libc::O_NOCTTY, 0)?;
    // /dev/pts/ptmx is 5:2; anything else was put there by the image (CVE-2025-52565).
    if !fs::fstat(&master)?.is_char(5, 2) {
        return Err(Errno::EIO);
    }
    let unlock: libc::c_int = 0;
    call("ioctl", format_args!("{master}, TIOCSPTLCK, [0]"), || {
        // SAFETY: unlock outlives the call.
        check(unsafe { libc::ioctl(master.fd.as_raw_fd(), libc::TIOCSPTLCK, &unlock) } as i64).map(|_| ())
    })?;
    // TIOCGPTPEER (Linux 4.13) opens the other end without a path, which an image could have replaced.
    let peer = call("ioctl", format_args!("{master}, TIOCGPTPEER, O_RDWR|O_NOCTTY"), || {
        let how = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::ioctl(master.fd.as_raw_fd(), libc::TIOCGPTPEER, how) } as i64)?;
        // SAFETY: the kernel has just made it.
        Ok::<_, Errno>(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    })?;
    call("fchown", format_args!("{}, {owner}, -1", peer.as_raw_fd()), || {
        // SAFETY: no pointers.
        check(unsafe { libc::fchown(peer.as_raw_fd(), owner, u32::MAX) } as i64).map(|_| ())
    })?;
    Ok((master.fd, Opened { fd: peer, label: "/dev/console".to_owned() }))
}

/// Make a terminal this session's controlling one, and its standard input, output and error.
pub fn take(terminal: &Opened) -> Result<(), Errno> {
    control(terminal.fd.as_raw_fd(), &terminal.to_string())?;
    for standard in 0..3 {
        call("dup2", format_args!("{terminal}, {standard}"), || {
            // SAFETY: no pointers; the copies belong to this process until exec and after.
            check(unsafe { libc::dup2(terminal.fd.as_raw_fd(), standard) } as i64).map(|n| n as i32)
        })?;
    }
    Ok(())
}

/// The same for what standard input is already.
pub fn take_input() -> Result<(), Errno> {
    control(0, "0")
}

fn control(fd: i32, label: &str) -> Result<(), Errno> {
    call("ioctl", format_args!("{label}, TIOCSCTTY, 0"), || {
        // SAFETY: no pointers.
        check(unsafe { libc::ioctl(fd, libc::TIOCSCTTY, 0) } as i64).map(|_| ())
    })
}

/// A pty of the host's: the master end, and the other one.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    unlockpt(&master)?;
    let terminal = ioctl_tiocgptpeer(&master, flags)?;
    Ok((master, terminal))
}

/// Whether Ctrl-C at this master end becomes a signal for this process: the terminal makes signals of keys, and the
/// process leads its foreground.
pub fn interrupts(master: i32, pid: i32) -> bool {
    // SAFETY: the caller's descriptor is open as long as it waits for it.
    let master = unsafe { std::os::fd::BorrowedFd::borrow_raw(master) };
    let signals = rustix::termios::tcgetattr(master)
        .is_ok_and(|modes| modes.local_modes.contains(rustix::termios::LocalModes::ISIG));
    signals && rustix::termios::tcgetpgrp(master).is_ok_and(|group| group.as_raw_nonzero().get() == pid)
}

/// A terminal's or a pipe's end opened once more, so that writing to it never waits: the caller shares its own with others,
/// who may count on waiting.
pub fn apart(fd: i32) -> Option<OwnedFd> {
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
    let path = format!("/proc/self/fd/{fd}");
    let kind = std::fs::metadata(&path).ok()?.file_type();
    let waits = kind.is_fifo() || kind.is_char_device();
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    waits.then(|| options.open(path).ok()).flatten().map(OwnedFd::from)
}

/// Neither a read nor a write waits from now on.
pub fn never_wait(fd: i32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK) } as i64).map(|_| ())
}

/// The window's size of one terminal, given to another (TIOCGWINSZ, TIOCSWINSZ).
pub fn copy_size(from: i32, to: i32) -> Result<(), Errno> {
    let mut size = std::mem::MaybeUninit::<libc::winsize>::uninit();
    // SAFETY: the buffer is a winsize, filled by the first call before the second reads it.
    unsafe {
        check(libc::ioctl(from, libc::TIOCGWINSZ, size.as_mut_ptr()) as i64)?;
        check(libc::ioctl(to, libc::TIOCSWINSZ, size.as_ptr()) as i64).map(|_| ())
    }
}
