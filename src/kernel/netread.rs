//! Which interfaces, addresses and routes does this network namespace have? One rtnetlink(7) dump each,
//! as the kernel sends it, into memory that the caller gives: the helper inside may not allocate.
//!
//! What the bytes mean: `crate::probes::network`.

use super::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What is asked for.
#[derive(Clone, Copy)]
pub enum Dump {
    Links,
    Addresses,
    Routes,
}

/// `struct nlmsghdr` and `struct ifinfomsg` (long enough for the other two requests also), then one attribute:
/// IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS, since counters are most of an answer and not in a view.
#[repr(C)]
struct Request {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
    body: [u32; 4],
    attribute_length: u16,
    attribute_kind: u16,
    mask: u32,
}

const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
const HEAD: usize = 16;

/// Ask, and take down the answer up to and without NLMSG_DONE; what finds no room is left out.
pub fn dump(what: Dump, room: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: socket(2) takes no pointers; the descriptor it returns is new and owned by nobody else.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE);
        if fd < 0 {
            return Err(Errno::last());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let (kind, body, length) = match what {
        Dump::Links => (libc::RTM_GETLINK, 16, size_of::<Request>()),
        Dump::Addresses => (libc::RTM_GETADDR, 8, HEAD + 8),
        Dump::Routes => (libc::RTM_GETROUTE, 12, HEAD + 12),
    };
    debug_assert!(HEAD + body <= length);
    let request = Request {
        length: length as u32,
        kind,
        flags: (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16,
        sequence: 1,
        port: 0,
        body: [0; 4],
        attribute_length: 8,
        attribute_kind: IFLA_EXT_MASK,
        mask: RTEXT_FILTER_SKIP_STATS,
    };
    // SAFETY: `request` lives through the call and has at least `length` initialised bytes (no padding:
    // its fields are in descending alignment within their words).
    let sent = unsafe { libc::send(socket.as_raw_fd(), (&raw const request).cast(), length, 0) };
    if sent < 0 {
        return Err(Errno::last());
    }
    let mut used = 0;
    loop {
        let Some(rest) = room.get_mut(used..) else { return Ok(used) };
        if rest.len() < 32 << 10 {
            return Ok(used);
        }
        // SAFETY: `rest` is valid for writes of its own length through the call.
        let got = unsafe { libc::recv(socket.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), 0) };
        let got = match usize::try_from(got) {
            Ok(0) => return Ok(used),
            Ok(got) => got,
            Err(_) if Errno::last() == Errno::EINTR => continue,
            Err(_) => return Err(Errno::last()),
        };
        let answer = rest.get(..got).unwrap_or(&[]);
        match last_message(answer) {
            Last::More => used += got,
            Last::Done(before) => return Ok(used + before),
            Last::Refused(errno) => return Err(errno),
        }
    }
}

enum Last {
    More,
    Done(usize),
    Refused(Errno),
}

fn last_message(bytes: &[u8]) -> Last {
    let mut at = 0;
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEAD>()) {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        match i32::from(u16::from_ne_bytes([head[4], head[5]])) {
            libc::NLMSG_DONE => return Last::Done(at),
            libc::NLMSG_ERROR => {
                let errno = bytes.get(at + HEAD..).and_then(|rest| rest.first_chunk::<4>());
                return Last::Refused(Errno(errno.map_or(libc::EIO, |four| -i32::from_ne_bytes(*four))));
            }
            _ if length < HEAD => return Last::Done(at),
            _ => at += length.next_multiple_of(4),
        }
    }
    Last::More
}
