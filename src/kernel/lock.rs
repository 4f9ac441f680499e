//! How do two of us not do the same thing at once? A lock on a file (flock(2)), which ends with its holder.

use super::Errno;
use super::call::call;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held until dropped, or until the process ends, however it ends.
pub struct Lock(#[allow(dead_code, reason = "its drop is the unlocking")] Flock<File>);

impl Lock {
    /// Wait for this file's lock; the file is made if it is not there.
    pub fn exclusive(path: &Path) -> Result<Lock, Errno> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        loop {
            let mut held = None;
            let outcome = call("flock", format_args!("{path:?}, LOCK_EX"), || {
                match Flock::lock(file, FlockArg::LockExclusive) {
                    Ok(lock) => {
                        held = Some(Lock(lock));
                        Ok(())
                    }
                    Err((_, errno)) => Err(errno),
                }
            });
            match (outcome, held) {
                (Ok(()), Some(lock)) => return Ok(lock),
                (Err(Errno::EINTR), _) => {
                    file = OpenOptions::new().write(true).open(path)?;
                }
                (Err(errno), _) => return Err(errno),
                (Ok(()), None) => return Err(Errno::EIO),
            }
        }
    }
}

/// Take the lock if nobody has it, for as long as the file stays open; whether it was taken.
pub fn try_exclusive(file: &File) -> Result<bool, Errno> {
    use std::os::fd::AsRawFd;
    // SAFETY: no pointers; the descriptor is open.
    match super::check(i64::from(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })) {
        Ok(_) => Ok(true),
        Err(Errno(libc::EWOULDBLOCK)) => Ok(false),
        Err(errno) => Err(errno),
    }
}
