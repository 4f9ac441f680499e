//! Which links and which packet filter would the kernel give us? Asked over netlink(7) in a network
//! namespace that ends with its process.
//!
//! Next: [`super::modern`].

use super::super::Errno;
use super::super::call::call;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use netlink_sys::{Socket, SocketAddr};
use std::os::fd::AsRawFd;

/// Make a link of one kind, `veth` or `bridge` (rtnetlink(7)).
pub fn new_link(kind: &str) -> Result<(), Errno> {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName("try0".into()));
    let kind_of = match kind {
        "veth" => InfoKind::Veth,
        "bridge" => InfoKind::Bridge,
        other => InfoKind::Other(other.into()),
    };
    link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind_of)]));
    let what = format!("RTM_NEWLINK IFLA_IFNAME=\"try0\" IFLA_INFO_KIND={kind:?}");
    route(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL, &what)
}

/// Set the loopback interface up.
pub fn loopback_up() -> Result<(), Errno> {
    let mut link = LinkMessage::default();
    link.header.index = 1;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    route(RouteNetlinkMessage::SetLink(link), 0, "RTM_SETLINK ifi_index=1 IFF_UP")
}

/// Does nf_tables answer? NFT_MSG_GETGEN asks for the rule set's generation, which changes nothing.
pub fn nf_tables() -> Result<(), Errno> {
    const NFNL_SUBSYS_NFTABLES: u16 = 10;
    const NFT_MSG_GETGEN: u16 = 16;
    let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
    // A header of 16 bytes, then nfgenmsg: family, version, resource.
    let mut message = Vec::with_capacity(20);
    message.extend(20u32.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend([0; 12]);
    ask(NETLINK_NETFILTER, "NETLINK_NETFILTER", &message, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_GETGEN")
}

fn route(message: RouteNetlinkMessage, flags: u16, what: &str) -> Result<(), Errno> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    ask(NETLINK_ROUTE, "NETLINK_ROUTE", &bytes, what)
}

/// Send one request, and hear the kernel's answer; that is the errno which the call itself never gives.
fn ask(protocol: isize, name: &str, message: &[u8], what: &str) -> Result<(), Errno> {
    let mut opened = None;
    call("socket", format_args!("AF_NETLINK, SOCK_DGRAM|SOCK_CLOEXEC, {name}"), || {
        let socket = Socket::new(protocol).map_err(Errno::from)?;
        Ok::<i32, Errno>(opened.insert(socket).as_raw_fd())
    })?;
    let Some(socket) = opened else { return Err(Errno::EIO) };
    socket.connect(&SocketAddr::new(0, 0))?;
    let number = socket.as_raw_fd();
    call("sendto", format_args!("{number}, {{{what}}}, {}, 0, NULL, 0", message.len()), || {
        socket.send(message, 0)
    })?;
    call("recvfrom", format_args!("{number}, {{answer to {what}}}, …"), || {
        let (answer, _) = socket.recv_from_full().map_err(Errno::from)?;
        let number_at = |at: usize, size: usize| answer.get(at..at + size);
        const NLMSG_ERROR: [u8; 2] = 2u16.to_ne_bytes();
        match (number_at(4, 2), number_at(16, 4)) {
            (Some(kind), Some(code)) if kind == NLMSG_ERROR => {
                match i32::from_ne_bytes(code.try_into().unwrap_or_default()) {
                    0 => Ok(answer.len()),
                    code => Err(Errno(code.saturating_neg())),
                }
            }
            (Some(_), _) => Ok(answer.len()),
            (None, _) => Err(Errno::EIO),
        }
    })?;
    Ok(())
}
