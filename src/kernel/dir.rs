//! What does a file of the kernel's say? A directory held open, so that everything read below it is about
//! the same process even when its number is given to another one meanwhile: once the process is
//! reaped, its directory answers ESRCH.
//!
//! Next: `join`, which reads what only the process itself can see.

use super::Errno;
use rustix::fs::{Mode, OFlags, RawDir};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

impl Errno {
    /// A kernel file that lacks the line that was asked for.
    pub const ENODATA: Errno = Errno(libc::ENODATA);
    pub const ETIMEDOUT: Errno = Errno(libc::ETIMEDOUT);
    pub const EFBIG: Errno = Errno(libc::EFBIG);
}

/// More than this of one file is not read: no file of /proc that a view needs comes near it.
const MOST: usize = 1 << 20;

/// An open directory of procfs or of a cgroup hierarchy.
pub struct Dir(OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Dir {
    pub fn open(path: &str) -> Result<Dir, Errno> {
        Dir::open_at(rustix::fs::CWD, path)
    }

    /// A directory below this one.
    pub fn dir(&self, name: &str) -> Result<Dir, Errno> {
        Dir::open_at(self.0.as_fd(), name)
    }

    fn open_at(at: BorrowedFd, path: &str) -> Result<Dir, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Dir(rustix::fs::openat(at, path, flags, Mode::empty())?))
    }

    /// All of a file, which has to be a file of the kernel's: it is read to its end.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let mut bytes = Vec::with_capacity(4096);
        loop {
            if bytes.len() > MOST {
                return Err(Errno::EFBIG);
            }
            bytes.reserve(4096);
            match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)) {
                Ok(0) => return Ok(bytes),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// What a link says, as readlink(2) has it.
    pub fn link(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let mut room = [MaybeUninit::uninit(); 4096];
        let (target, _) = rustix::fs::readlinkat_raw(&self.0, name, &mut room)?;
        Ok(target.to_vec())
    }

    /// The names in a directory below, in the kernel's order, and whether there were more than `most`.
    pub fn names(&self, name: &str, most: usize) -> Result<(Vec<Vec<u8>>, bool), Errno> {
        let dir = self.dir(name)?;
        let mut room = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(&dir.0, &mut room);
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if names.len() >= most {
                return Ok((names, true));
            }
            names.push(name.to_vec());
        }
        Ok((names, false))
    }

    /// The directory that a process has as its root, whatever its link says.
    pub fn path_only(&self, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?)
    }

    /// A namespace's file, to be given to setns(2).
    pub fn namespace(&self, kind: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, format!("ns/{kind}"), flags, Mode::empty())?)
    }
}

/// The reader's own host name (uname(2)).
pub fn hostname() -> String {
    String::from_utf8_lossy(rustix::system::uname().nodename().to_bytes()).into_owned()
}

/// This process's number.
pub fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
