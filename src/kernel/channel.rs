//! How do the two sides talk? Over a SOCK_SEQPACKET pair (unix(7)): one message a send, nothing split or
//! joined, end-of-file when the other side is gone, and descriptors can be passed along (SCM_RIGHTS).
//!
//! Next: `spawn`, which gives one end to the new process.

use super::{Errno, check};
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A longer message than this goes through a file that is nowhere (memfd_create(2)), whose descriptor is sent in its
/// place: what fits into one sendmsg(2) is a matter of net.core.wmem_max, and parts of one message could not be told
/// from another's, as two processes answer at the same end.
const LONGEST: usize = 128 * 1024;
/// Far beyond any plan: a config.json has 16 MiB at most.
const MOST: u64 = 256 << 20;
/// Stands for the message that is in the first descriptor; no JSON begins so.
const IN_FILE: &[u8] = b"@";

/// So many descriptors go along with a message: a long message's file, and the container's terminal.
const MOST_FDS: usize = 2;

/// One end of the pair.
pub struct Channel {
    fd: OwnedFd,
}

/// What the other side sent.
pub enum Received<T> {
    Message(T, Vec<OwnedFd>),
    /// The other side is gone, or execve(2) has closed its end.
    End,
}

/// A message as it came, with its descriptors.
type Bytes = (Vec<u8>, Vec<OwnedFd>);

impl Channel {
    /// Both ends; they are closed on exec.
    pub fn pair() -> Result<(Channel, Channel), Errno> {
        let mut fds: [RawFd; 2] = [0; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: the array holds two descriptors.
        check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) } as i64)?;
        for fd in fds {
            // Twice, so that a message is not waited for by the one before it.
            let size: libc::c_int = 2 * LONGEST as libc::c_int;
            // SAFETY: size outlives the call. A refusal leaves the default, which has room for one message at least.
            unsafe {
                libc::setsockopt(
                    fd,
                    libc::SOL_SOCKET,
                    libc::SO_SNDBUF,
                    (&raw const size).cast(),
                    std::mem::size_of::<libc::c_int>() as libc::socklen_t,
                )
            };
        }
        // SAFETY: the kernel has just made both.
        Ok(unsafe { (Channel::from_raw(fds[0]), Channel::from_raw(fds[1])) })
    }

    /// # Safety
    /// `fd` is an open socket that nothing else owns.
    unsafe fn from_raw(fd: RawFd) -> Channel {
        // SAFETY: the caller's.
        Channel { fd: unsafe { OwnedFd::from_raw_fd(fd) } }
    }

    /// The end that was handed over as a number on the command line; refused when it is not a socket.
    pub fn inherited(fd: RawFd) -> Result<Channel, Errno> {
        let mut kind: libc::c_int = 0;
        let mut size = std::mem::size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: kind and size outlive the call.
        check(unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &mut size)
        } as i64)?;
        if kind != libc::SOCK_SEQPACKET {
            return Err(Errno::EINVAL);
        }
        // SAFETY: no pointers; it is open, as getsockopt answered.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } as i64)?;
        // SAFETY: it is open, and was left to this process alone by the one that executed it.
        Ok(unsafe { Channel::from_raw(fd) })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether nobody is at the other end any more, asked without waiting.
    pub fn is_ended(&self) -> bool {
        let mut polled = libc::pollfd { fd: self.raw(), events: 0, revents: 0 };
        // SAFETY: one pollfd, which outlives the call.
        let ready = unsafe { libc::poll(&mut polled, 1, 0) };
        ready == 1 && polled.revents & libc::POLLHUP != 0
    }

    /// Let this end survive one execve(2).
    pub fn keep_on_exec(&self) -> Result<(), Errno> {
        // SAFETY: no pointers.
        check(unsafe { libc::fcntl(self.raw(), libc::F_SETFD, 0) } as i64).map(|_| ())
    }

    pub fn send(&self, message: &impl Serialize, fds: &[RawFd]) -> Result<(), Errno> {
        let bytes = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
        if bytes.len() <= LONGEST {
            return self.send_bytes(&bytes, fds, 0);
        }
        let file = super::tty::memory_file(&bytes)?;
        self.send_bytes(IN_FILE, &[&[file.as_raw_fd()], fds].concat(), 0)
    }

    /// A short message, without waiting: EAGAIN when the other side has not taken what was sent before.
    pub fn try_send(&self, message: &impl Serialize) -> Result<(), Errno> {
        let bytes = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
        self.send_bytes(&bytes, &[], libc::MSG_DONTWAIT)
    }

    fn send_bytes(&self, bytes: &[u8], fds: &[RawFd], how: i32) -> Result<(), Errno> {
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        // Room for a few descriptors, aligned as a cmsghdr has to be.
        let mut control = [0u64; 8];
        let fds = fds.get(..fds.len().min(MOST_FDS)).unwrap_or_default();
        // SAFETY: a msghdr of zeroes is an empty one.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &mut part;
        header.msg_iovlen = 1;
        if !fds.is_empty() {
            let size = std::mem::size_of_val(fds) as u32;
            header.msg_control = control.as_mut_ptr().cast();
            // SAFETY: CMSG_SPACE computes; control is longer than a message of MOST_FDS descriptors.
            unsafe {
                header.msg_controllen = libc::CMSG_SPACE(size) as _;
                let message = libc::CMSG_FIRSTHDR(&header);
                (*message).cmsg_level = libc::SOL_SOCKET;
                (*message).cmsg_type = libc::SCM_RIGHTS;
                (*message).cmsg_len = libc::CMSG_LEN(size) as _;
                for (n, fd) in fds.iter().enumerate() {
                    libc::CMSG_DATA(message).cast::<RawFd>().add(n).write_unaligned(*fd);
                }
            }
        }
        loop {
            // SAFETY: header points to part and control, which outlive the call.
            match check(unsafe { libc::sendmsg(self.raw(), &header, libc::MSG_NOSIGNAL | how) } as i64) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The next message; waits for it.
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Received<T>, Errno> {
        let Some((mut bytes, mut fds)) = self.receive_bytes(0)? else { return Ok(Received::End) };
        if bytes == IN_FILE && !fds.is_empty() {
            bytes.clear();
            File::from(fds.remove(0)).take(MOST).read_to_end(&mut bytes)?;
        }
        let message = serde_json::from_slice(&bytes).map_err(|_| Errno::EIO)?;
        Ok(Received::Message(message, fds))
    }

    /// A short message, without waiting: EAGAIN when there is none, EIO when it is another one. For a side that is not
    /// trusted: a descriptor that it sends is closed, and nothing is read from it.
    pub fn try_receive<T: DeserializeOwned>(&self) -> Result<Received<T>, Errno> {
        let Some((bytes, _)) = self.receive_bytes(libc::MSG_DONTWAIT)? else { return Ok(Received::End) };
        let message = serde_json::from_slice(&bytes).map_err(|_| Errno::EIO)?;
        Ok(Received::Message(message, Vec::new()))
    }

    fn receive_bytes(&self, how: i32) -> Result<Option<Bytes>, Errno> {
        // Ask for the length first, so that a long message costs what it is and a short one no more.
        let length = self.read_message(&mut [], libc::MSG_PEEK | libc::MSG_TRUNC | how)?.0;
        let mut bytes = vec![0u8; length.min(LONGEST)];
        let (length, fds) = self.read_message(&mut bytes, libc::MSG_CMSG_CLOEXEC | how)?;
        bytes.truncate(length);
        Ok((length > 0).then_some((bytes, fds)))
    }

    fn read_message(&self, bytes: &mut [u8], how: i32) -> Result<(usize, Vec<OwnedFd>), Errno> {
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let mut control = [0u64; 8];
        // SAFETY: a msghdr of zeroes is an empty one.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &mut part;
        header.msg_iovlen = 1;
        if how & libc::MSG_PEEK == 0 {
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = std::mem::size_of_val(&control) as _;
        }
        let length = loop {
            // SAFETY: header points to part and control, which outlive the call.
            match check(unsafe { libc::recvmsg(self.raw(), &mut header, how) } as i64) {
                Ok(length) => break length as usize,
                Err(Errno::EINTR) => {}
                // A process that ended with unread messages resets the pair: it is gone.
                Err(Errno(libc::ECONNRESET)) => break 0,
                Err(errno) => return Err(errno),
            }
        };
        let mut fds = Vec::new();
        if how & libc::MSG_PEEK == 0 {
            // SAFETY: recvmsg filled control as far as msg_controllen says; each SCM_RIGHTS message holds
            // whole descriptors, which are now this process's own.
            unsafe {
                let mut message = libc::CMSG_FIRSTHDR(&header);
                while !message.is_null() {
                    if (*message).cmsg_type == libc::SCM_RIGHTS && (*message).cmsg_level == libc::SOL_SOCKET {
                        let bytes = (*message).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                        let data = libc::CMSG_DATA(message).cast::<RawFd>();
                        for n in 0..bytes / std::mem::size_of::<RawFd>() {
                            fds.push(OwnedFd::from_raw_fd(data.add(n).read_unaligned()));
                        }
                    }
                    message = libc::CMSG_NXTHDR(&header, message);
                }
            }
        }
        Ok((length, fds))
    }
}
