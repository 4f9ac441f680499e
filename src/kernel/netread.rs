//! Which interfaces, addresses and routes does this network namespace have, and which chains of nf_tables? One
//! netlink(7) dump each, as the kernel sends it, into memory that the caller gives: the helper inside may not
//! allocate.
//!
//! What the bytes mean: `crate::probes::network` and `crate::probes::host_network`.

use super::Errno;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// What is asked for.
#[derive(Clone, Copy)]
pub enum Dump {
    Links,
    Addresses,
    Routes,
    Chains,
}

const HEAD: usize = 16;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
/// NFNL_SUBSYS_NFTABLES and NFT_MSG_GETCHAIN (linux/netfilter/nfnetlink.h, nf_tables.h).
const GETCHAIN: u16 = 10 << 8 | 4;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// `struct nlmsghdr`, the zeroes of a family's own header, and at most one attribute of four bytes.
struct Request {
    bytes: [u8; HEAD + 24],
    length: usize,
}

impl Request {
    fn new(kind: u16, flags: libc::c_int, header: usize, attribute: Option<(u16, u32)>) -> Request {
        let mut request = Request { bytes: [0; HEAD + 24], length: HEAD + header };
        if let Some((kind, value)) = attribute {
            let at = request.length;
            request.put(at, &8u16.to_ne_bytes());
            request.put(at + 2, &kind.to_ne_bytes());
            request.put(at + 4, &value.to_ne_bytes());
            request.length += 8;
        }
        request.put(0, &(request.length as u32).to_ne_bytes());
        request.put(4, &kind.to_ne_bytes());
        request.put(6, &((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        request.put(8, &1u32.to_ne_bytes());
        request
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Over a socket of its own.
    fn send(&self, protocol: libc::c_int) -> Result<OwnedFd, Errno> {
        // SAFETY: socket(2) takes no pointers; the descriptor it returns is new and owned by nobody else.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol);
            if fd < 0 {
                return Err(Errno::last());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let bytes = self.bytes.get(..self.length).unwrap_or(&[]);
        // SAFETY: `bytes` is valid for reads of its own length through the call.
        let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(Errno::last()) } else { Ok(socket) }
    }
}

/// One message or several; 0 bytes at the end.
fn receive(socket: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    loop {
        // SAFETY: `room` is valid for writes of its own length through the call.
        let got = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), 0) };
        match usize::try_from(got) {
            Ok(got) => return Ok(got),
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(Errno::last()),
        }
    }
}

/// Ask, and take down the answer up to and without NLMSG_DONE; what finds no room is left out.
pub fn dump(what: Dump, room: &mut [u8]) -> Result<usize, Errno> {
    // Counters are most of an answer about links, and not in a view.
    let without_counters = (IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    let (protocol, kind, header, attribute) = match what {
        Dump::Links => (libc::NETLINK_ROUTE, libc::RTM_GETLINK, 16, Some(without_counters)),
        Dump::Addresses => (libc::NETLINK_ROUTE, libc::RTM_GETADDR, 8, None),
        Dump::Routes => (libc::NETLINK_ROUTE, libc::RTM_GETROUTE, 12, None),
        Dump::Chains => (libc::NETLINK_NETFILTER, GETCHAIN, 4, None),
    };
    let socket = Request::new(kind, libc::NLM_F_DUMP, header, attribute).send(protocol)?;
    let mut used = 0;
    loop {
        let Some(rest) = room.get_mut(used..) else { return Ok(used) };
        if rest.len() < 32 << 10 {
            return Ok(used);
        }
        let got = receive(&socket, rest)?;
        if got == 0 {
            return Ok(used);
        }
        let answer = rest.get(..got).unwrap_or(&[]);
        match last_message(answer) {
            Last::More => used += got,
            Last::Done(before) => return Ok(used + before),
            Last::Refused(errno) => return Err(errno),
        }
    }
}

/// By which number this network namespace knows another one; none while it knows it by none, and so has no
/// interface with an end there.
pub fn number_of(namespace: &impl AsFd) -> Result<Option<i32>, Errno> {
    let fd = namespace.as_fd().as_raw_fd() as u32;
    let request = Request::new(libc::RTM_GETNSID, 0, 4, Some((NETNSA_FD, fd)));
    let mut room = [0; 512];
    let got = receive(&request.send(libc::NETLINK_ROUTE)?, &mut room)?;
    let answer = room.get(..got).unwrap_or(&[]);
    if let Last::Refused(errno) = last_message(answer) {
        return Err(errno);
    }
    let attribute = answer.get(HEAD + 4..).and_then(|rest| rest.first_chunk::<8>());
    let Some([_, _, kind, more, number @ ..]) = attribute else { return Err(Errno::ENODATA) };
    match u16::from_ne_bytes([*kind, *more]) {
        NETNSA_NSID => Ok(Some(i32::from_ne_bytes(*number)).filter(|number| *number >= 0)),
        _ => Err(Errno::ENODATA),
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
