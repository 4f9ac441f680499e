//! How do two of us not do the same thing at once? A lock on a file (flock(2)), which ends with its holder.

use super::Errno;
use super::call::call;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

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
    try_lock(file, libc::LOCK_EX)
}

fn try_lock(file: &File, kind: i32) -> Result<bool, Errno> {
    use std::os::fd::AsRawFd;
    // SAFETY: no pointers; the descriptor is open.
    match super::check(i64::from(unsafe { libc::flock(file.as_raw_fd(), kind | libc::LOCK_NB) })) {
        Ok(_) => Ok(true),
        Err(Errno(libc::EWOULDBLOCK)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// The directory that this process relies on with others of us, until it ends.
static SHARED: Mutex<Option<(PathBuf, File)>> = Mutex::new(None);

/// From now on nobody of us takes away what is set in this directory. Whoever is just doing that is waited
/// for, but not for long: the lock is only between those of us who mean well.
pub fn share(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    for _ in 0..50 {
        if try_lock(&file, libc::LOCK_SH) != Ok(false) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    if let Ok(mut shared) = SHARED.lock() {
        *shared = Some((path.to_owned(), file));
    }
}

/// Do this while nobody else of us relies on the directory; `None`: somebody does.
pub fn alone<T>(path: &Path, act: impl FnOnce() -> T) -> Option<T> {
    let shared = SHARED.lock().ok()?;
    let opened;
    // Two open files of one process would be in each other's way: the lock becomes another on the same one.
    let file = match shared.as_ref().filter(|(known, _)| known == path) {
        Some((_, file)) => file,
        None => {
            opened = File::open(path).ok()?;
            &opened
        }
    };
    let taken = try_lock(file, libc::LOCK_EX) == Ok(true);
    let done = taken.then(act);
    let _ = try_lock(file, libc::LOCK_SH);
    done
}
