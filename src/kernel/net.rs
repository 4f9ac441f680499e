//! How is a network interface made, moved and given an address? By a request to the kernel's routing
//! family (rtnetlink(7)) and its acknowledgement, one at a time, over one socket.
//!
//! Next: `crate::net`, which chooses names and addresses that collide with nothing.

use super::Errno;
use super::call::call;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NlasIterator,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Message};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

/// A socket of the routing family, for the network namespace in which it was opened.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    said: Option<String>,
}

/// The kernel's largest answer to one recvfrom: it fills no more than 32 KiB of a dump at once.
const LARGEST: usize = 32 * 1024;
const MAKE: u16 = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
/// The attribute of an acknowledgement that holds the kernel's own words (linux/netlink.h).
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Behind the error number is the header of the request, and behind that the attributes.
const REQUEST_HEADER: usize = 16;

impl Netlink {
    /// It stays in this network namespace, wherever the process goes afterwards.
    pub fn open() -> Result<Netlink, Errno> {
        let mut socket = None;
        call("socket", format_args!("AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE"), || {
            let mut new = Socket::new(NETLINK_ROUTE)?;
            new.bind_auto()?;
            new.connect(&SocketAddr::new(0, 0))?;
            // Without them (before Linux 4.12) the errno comes without the kernel's words.
            let _ = new.set_cap_ack(true).and_then(|()| new.set_ext_ack(true));
            let number = new.as_raw_fd();
            socket = Some(new);
            Ok::<i32, std::io::Error>(number)
        })?;
        let socket = socket.ok_or(Errno::EIO)?;
        Ok(Netlink { socket, sequence: 0, said: None })
    }

    /// What the kernel said of the last refusal, in its own words; it has words for few of them.
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Two interfaces, each of which receives what the other one sends (veth(4)).
    pub fn veth_add(&mut self, name: &str, peer: &str, mtu: Option<u32>) -> Result<(), Errno> {
        let end = |name: &str| {
            let mut end = LinkMessage::default();
            end.attributes.push(LinkAttribute::IfName(name.to_owned()));
            end.attributes.extend(mtu.map(LinkAttribute::Mtu));
            end
        };
        let mut link = end(name);
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(end(peer)))),
        ]));
        let mtu = MtuText(mtu);
        self.ask(
            Message::NewLink(link),
            MAKE,
            format_args!(
                "[{{nla_type=IFLA_IFNAME}}, {name:?}]{mtu}, [{{nla_type=IFLA_LINKINFO}}, \
                 [[{{nla_type=IFLA_INFO_KIND}}, \"veth\"], [{{nla_type=IFLA_INFO_DATA}}, \
                 [{{nla_type=VETH_INFO_PEER}}, [{{nla_type=IFLA_IFNAME}}, {peer:?}]{mtu}]]]]"
            ),
        )
    }

    /// Move an interface into the network namespace of a process. It arrives down and without addresses.
    pub fn set_ns(&mut self, name: &str, pid: u32) -> Result<(), Errno> {
        let link = named(name, [LinkAttribute::NetNsPid(pid)]);
        let args =
            format_args!("[{{nla_type=IFLA_IFNAME}}, {name:?}], [{{nla_type=IFLA_NET_NS_PID}}, {pid}]");
        self.ask(Message::SetLink(link), NLM_F_ACK, args)
    }

    /// An interface that is up keeps its name on kernels before 6.2 (EBUSY).
    pub fn rename(&mut self, name: &str, new: &str) -> Result<(), Errno> {
        let index = self.index(name)?;
        let mut link = named(new, []);
        link.header.index = index;
        let args = format_args!("{{ifi_index={index}}}, [{{nla_type=IFLA_IFNAME}}, {new:?}]");
        self.ask(Message::SetLink(link), NLM_F_ACK, args)
    }

    pub fn up(&mut self, name: &str) -> Result<(), Errno> {
        self.set_up(name, LinkFlags::Up, "IFF_UP")
    }

    pub fn down(&mut self, name: &str) -> Result<(), Errno> {
        self.set_up(name, LinkFlags::empty(), "0")
    }

    fn set_up(&mut self, name: &str, flags: LinkFlags, text: &str) -> Result<(), Errno> {
        let mut link = named(name, []);
        link.header.flags = flags;
        link.header.change_mask = LinkFlags::Up;
        let args =
            format_args!("{{ifi_flags={text}, ifi_change=IFF_UP}}, [{{nla_type=IFLA_IFNAME}}, {name:?}]");
        self.ask(Message::SetLink(link), NLM_F_ACK, args)
    }

    /// An address of an interface, and with it a route to all addresses of its prefix.
    pub fn addr_add(&mut self, name: &str, address: impl Into<IpAddr>, prefix: u8) -> Result<(), Errno> {
        let address = address.into();
        let index = self.index(name)?;
        let mut new = AddressMessage::default();
        new.header.family = family(address);
        new.header.prefix_len = prefix;
        new.header.scope = if address.is_loopback() { AddressScope::Host } else { AddressScope::Universe };
        new.header.index = index;
        new.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        if let (IpAddr::V4(address), 0..31) = (address, prefix) {
            let last = u32::from(address) | u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            new.attributes.push(AddressAttribute::Broadcast(last.into()));
        }
        let args = format_args!(
            "{{ifa_prefixlen={prefix}, ifa_index={index}}}, [{{nla_type=IFA_LOCAL}}, {address}]"
        );
        self.ask(Message::NewAddress(new), MAKE, args)
    }

    /// Where everything goes that no other route wants; the gateway must be reachable already.
    pub fn route_add_default(&mut self, via: impl Into<IpAddr>) -> Result<(), Errno> {
        let via = via.into();
        let mut route = RouteMessage::default();
        route.header.address_family = family(via);
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.protocol = RouteProtocol::Boot;
        route.header.scope = RouteScope::Universe;
        route.header.kind = RouteType::Unicast;
        route.attributes = vec![RouteAttribute::Gateway(match via {
            IpAddr::V4(via) => RouteAddress::Inet(via),
            IpAddr::V6(via) => RouteAddress::Inet6(via),
        })];
        let args =
            format_args!("{{rtm_dst_len=0, rtm_table=RT_TABLE_MAIN}}, [{{nla_type=RTA_GATEWAY}}, {via}]");
        self.ask(Message::NewRoute(route), MAKE, args)
    }

    /// A veth's other end goes with it, wherever it is.
    pub fn link_del(&mut self, name: &str) -> Result<(), Errno> {
        let args = format_args!("[{{nla_type=IFLA_IFNAME}}, {name:?}]");
        self.ask(Message::DelLink(named(name, [])), NLM_F_ACK, args)
    }

    /// The number of an interface in this namespace; ENODEV where there is none of that name.
    pub fn index(&mut self, name: &str) -> Result<u32, Errno> {
        let mut index = None;
        let args = format_args!("[{{nla_type=IFLA_IFNAME}}, {name:?}]");
        self.exchange(Message::GetLink(named(name, [])), NLM_F_ACK, args, &mut |answer| {
            if let Message::NewLink(link) = answer {
                index = Some(link.header.index);
            }
        })?;
        index.ok_or(Errno(libc::ENODEV))
    }

    pub fn exists(&mut self, name: &str) -> Result<bool, Errno> {
        match self.index(name) {
            Ok(_) => Ok(true),
            Err(Errno(libc::ENODEV)) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Every IPv4 network that an address or a route of this namespace speaks of, in any table.
    pub fn used_subnets(&mut self) -> Result<Vec<(Ipv4Addr, u8)>, Errno> {
        let mut used = Vec::new();
        let mut addresses = AddressMessage::default();
        addresses.header.family = AddressFamily::Inet;
        self.exchange(
            Message::GetAddress(addresses),
            NLM_F_DUMP,
            format_args!("{{AF_INET}}"),
            &mut |answer| {
                let Message::NewAddress(address) = answer else { return };
                used.extend(address.attributes.iter().filter_map(|attribute| match attribute {
                    AddressAttribute::Address(IpAddr::V4(ip)) => Some((*ip, address.header.prefix_len)),
                    AddressAttribute::Local(IpAddr::V4(ip)) => Some((*ip, 32)),
                    _ => None,
                }));
            },
        )?;
        let mut routes = RouteMessage::default();
        routes.header.address_family = AddressFamily::Inet;
        self.exchange(Message::GetRoute(routes), NLM_F_DUMP, format_args!("{{AF_INET}}"), &mut |answer| {
            let Message::NewRoute(route) = answer else { return };
            let prefix = route.header.destination_prefix_length;
            used.extend(route.attributes.iter().filter_map(|attribute| match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(ip)) if prefix > 0 => Some((*ip, prefix)),
                RouteAttribute::Gateway(RouteAddress::Inet(ip)) => Some((*ip, 32)),
                _ => None,
            }));
        })?;
        used.sort_unstable();
        used.dedup();
        Ok(used)
    }

    fn ask(&mut self, message: Message, flags: u16, args: fmt::Arguments) -> Result<(), Errno> {
        self.exchange(message, flags, args, &mut |_| {})
    }

    /// One request, and what the kernel answers up to its acknowledgement, or to the end of a dump.
    fn exchange(
        &mut self,
        message: Message,
        flags: u16,
        args: fmt::Arguments,
        each: &mut dyn FnMut(Message),
    ) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        self.said = None;
        let kind = type_name(&message);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        let number = self.socket.as_raw_fd();
        call("sendto", format_args!("{number}, [{{nlmsg_type={kind}}}, {args}]"), || {
            let sent = again(|| self.socket.send(&bytes, 0))?;
            self.answers(each).and(Ok(sent))
        })
        .and(Ok(()))
    }

    fn answers(&mut self, each: &mut dyn FnMut(Message)) -> Result<(), Errno> {
        let mut buffer = Vec::with_capacity(LARGEST);
        loop {
            buffer.clear();
            let (length, sender) = again(|| self.socket.recv_from(&mut buffer, libc::MSG_TRUNC))?;
            if length > buffer.len() {
                return Err(Errno(libc::EMSGSIZE));
            }
            let mut rest = buffer.as_slice();
            // Only the kernel has port 0: another process could have written to this socket too.
            while !rest.is_empty() && sender.port_number() == 0 {
                let answer = NetlinkMessage::<Message>::deserialize(rest).map_err(|_| Errno::EIO)?;
                let length = (answer.header.length as usize).next_multiple_of(4);
                rest = rest.get(length.max(REQUEST_HEADER)..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::Error(answer) => {
                        let Some(code) = answer.code else { return Ok(()) };
                        self.said = words(&answer.header);
                        return Err(Errno(code.get().wrapping_neg()));
                    }
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::InnerMessage(answer) => each(answer),
                    _ => {}
                }
            }
        }
    }
}

/// A signal that is handled is no reason to fail.
fn again<T>(mut make: impl FnMut() -> std::io::Result<T>) -> Result<T, Errno> {
    loop {
        match make().map_err(Errno::from) {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// The kernel's words in a refusal; there are none when it knew none, or does not know how to tell.
fn words(header: &[u8]) -> Option<String> {
    let attributes = NlasIterator::new(header.get(REQUEST_HEADER..)?);
    let text = attributes.flatten().find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)?;
    Some(String::from_utf8_lossy(text.value()).trim_end_matches('\0').to_owned())
}

fn named<const N: usize>(name: &str, more: [LinkAttribute; N]) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link.attributes.extend(more);
    link
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn type_name(message: &Message) -> &'static str {
    match message {
        Message::NewLink(_) => "RTM_NEWLINK",
        Message::SetLink(_) => "RTM_SETLINK",
        Message::DelLink(_) => "RTM_DELLINK",
        Message::GetLink(_) => "RTM_GETLINK",
        Message::NewAddress(_) => "RTM_NEWADDR",
        Message::GetAddress(_) => "RTM_GETADDR",
        Message::NewRoute(_) => "RTM_NEWROUTE",
        _ => "RTM_GETROUTE",
    }
}

struct MtuText(Option<u32>);

impl fmt::Display for MtuText {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.map_or(Ok(()), |mtu| write!(f, ", [{{nla_type=IFLA_MTU}}, {mtu}]"))
    }
}
