//! What does the page's process need of the kernel, and the one that starts it? Numbers that nobody can guess,
//! descriptors that survive one execve(2), and a memory that stays small.
//!
//! Next: `crate::web::feed` starts it, `crate::web::process` is it.

use super::spawn::own_executable;
use super::{Errno, check, tty};
use std::fs::File;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The name under which the program knows that it is to serve the page.
pub const WEB: &str = "learnctr: web";

/// Bytes from the kernel's generator (getrandom(2)).
pub fn random(bytes: &mut [u8]) -> Result<(), Errno> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// A file that is nowhere, for one who writes and others who read (memfd_create(2)).
pub fn memory() -> Result<File, Errno> {
    let memory = rustix::fs::memfd_create("learnctr-trace", rustix::fs::MemfdFlags::CLOEXEC)?;
    // It is made with 0777: who has it for reading could open it for writing, through /proc/self/fd.
    rustix::fs::fchmod(&memory, rustix::fs::Mode::RUSR)?;
    Ok(memory.into())
}

/// Start the program again as the page's process, with these descriptors and no others, without environment,
/// standard input or output; its pid. Nothing of the one who starts it is left to it but what is handed over.
pub fn spawn(hand_over: &[BorrowedFd]) -> Result<i32, Errno> {
    let program = own_executable()?;
    // Copies that survive the execve, and are gone here at the end: no other process is started meanwhile.
    let copies = hand_over.iter().map(inheritable).collect::<Result<Vec<_>, _>>()?;
    let mut command = Command::new(program.magic());
    command.arg0(WEB).args(copies.iter().map(|fd| fd.as_raw_fd().to_string())).env_clear();
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(tty::unblocked(&mut command).spawn()?.id() as i32)
}

fn inheritable(fd: &BorrowedFd) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers; the descriptor is borrowed, so it is open.
    let copy = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD, 3) } as i64)?;
    // SAFETY: the kernel has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy as i32) })
}

/// A descriptor that was handed over as a number on the command line; EBADF when there is none.
pub fn inherited(fd: RawFd) -> Result<OwnedFd, Errno> {
    // The first three are standard input, output and error, which others use.
    if fd < 3 {
        return Err(Errno(libc::EBADF));
    }
    // SAFETY: no pointers; what is not open answers EBADF.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } as i64)?;
    // SAFETY: it is open, and was left to this process alone by the one that executed it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Close what else is open: whoever started the one who started this may have left it descriptors to inherit.
/// Only for the beginning, when nothing else of this process is open.
pub fn close_others(keep: &[RawFd]) -> Result<(), Errno> {
    let entries = std::fs::read_dir("/proc/self/fd").map_err(Errno::from)?;
    let open: Vec<RawFd> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2 && !keep.contains(fd)) {
        // SAFETY: no pointers; nothing of this process owns it, and the directory's own is closed already, which
        // answers EBADF.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// One heap for all threads: by default glibc sets aside 64 MiB of addresses for each of up to eight a
/// processor (mallopt(3)), which a bound on the address space would not hold.
pub fn one_heap() {
    // SAFETY: called before there is a second thread; it takes two numbers.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Let only so much wait in the kernel for a reader who does not read, so that it shows soon (socket(7)).
pub fn small_send_buffer(socket: &TcpStream) -> Result<(), Errno> {
    Ok(rustix::net::sockopt::set_socket_send_buffer_size(socket.as_fd(), 16 * 1024)?)
}
