//! Which interfaces, addresses and routes are there? The answers of rtnetlink(7), decoded.
//!
//! The attributes are walked here and not by netlink-packet-route: that fails a whole message for one
//! attribute whose size it does not know, and a newer kernel must not hide an interface.

use super::{numbered, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interface {
    pub index: u32,
    /// `veth`, `bridge` …; none for loopback and hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// IFF_UP: somebody set it up. Whether packets can pass is the state.
    pub up: bool,
    /// `up`, `down`, `lowerlayerdown`, `unknown` (loopback) … (RFC 2863).
    pub state: String,
    pub mtu: u32,
    /// The hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Of a veth: the index of its other end, in that end's network namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<u32>,
    /// The other end is in another network namespace, which this one knows by that number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_namespace: Option<i32>,
    /// The index of the bridge that it is a port of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<u32>,
    /// `10.0.0.2/24`.
    pub addresses: Vec<String>,
}

/// A route of the main table, by its destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The interface's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// `unicast`, `blackhole`, `unreachable` …
    pub kind: String,
}

// linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_LINK_NETNSID: u16 = 37;
const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_TABLE: u16 = 15;
const RT_TABLE_MAIN: u32 = 254;
const AF_INET6: u8 = 10;

/// Interfaces by name, with their addresses.
pub fn interfaces(links: &[u8], addresses: &[u8]) -> BTreeMap<String, Interface> {
    let mut found = numbered(messages(links).filter_map(interface));
    for (index, address) in messages(addresses).filter_map(address) {
        if let Some(interface) = found.values_mut().find(|interface| interface.index == index) {
            interface.addresses.push(address);
        }
    }
    found
}

/// Routes by destination, `default` for all that no other matches.
pub fn routes(routes: &[u8], interfaces: &BTreeMap<String, Interface>) -> BTreeMap<String, Route> {
    numbered(messages(routes).filter_map(|message| route(message, interfaces)))
}

fn interface(message: &[u8]) -> Option<(String, Interface)> {
    let (head, rest) = message.split_at_checked(16)?;
    let (index, flags) = (number(head.get(4..8)?)?, number(head.get(8..12)?)?);
    let mut interface = Interface {
        index,
        kind: None,
        up: flags & IFF_UP != 0,
        state: "unknown".into(),
        mtu: 0,
        mac: None,
        peer: None,
        peer_namespace: None,
        master: None,
        addresses: Vec::new(),
    };
    let mut name = None;
    for (kind, value) in attributes(rest) {
        match kind {
            IFLA_IFNAME => name = Some(c_text(value)),
            IFLA_ADDRESS => interface.mac = Some(hexadecimal(value)),
            IFLA_MTU => interface.mtu = number(value)?,
            IFLA_LINK => interface.peer = number(value),
            IFLA_LINK_NETNSID => interface.peer_namespace = number(value).map(|id| id as i32),
            IFLA_MASTER => interface.master = number(value),
            IFLA_OPERSTATE => interface.state = state(value).into(),
            IFLA_LINKINFO => {
                let info = attributes(value).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                interface.kind = info.map(|(_, kind)| c_text(kind));
            }
            _ => {}
        }
    }
    Some((name?, interface))
}

fn state(value: &[u8]) -> &'static str {
    let names = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"];
    value.first().and_then(|number| names.get(usize::from(*number)).copied()).unwrap_or("unknown")
}

fn address(message: &[u8]) -> Option<(u32, String)> {
    let (head, rest) = message.split_at_checked(8)?;
    let (length, index) = (head.get(1)?, number(head.get(4..8)?)?);
    // Where both are there, IFA_LOCAL is this end and IFA_ADDRESS the other of a point-to-point link.
    let one = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted).and_then(|(_, value)| ip(value));
    Some((index, format!("{}/{length}", one(IFA_LOCAL).or_else(|| one(IFA_ADDRESS))?)))
}

fn route(message: &[u8], interfaces: &BTreeMap<String, Interface>) -> Option<(String, Route)> {
    let (head, rest) = message.split_at_checked(12)?;
    let (&family, &length, &table, &kind) = (head.first()?, head.get(1)?, head.get(4)?, head.get(7)?);
    let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    if find(RTA_TABLE).and_then(number).unwrap_or(u32::from(table)) != RT_TABLE_MAIN {
        return None;
    }
    let destination = match find(RTA_DST).and_then(ip) {
        Some(address) => format!("{address}/{length}"),
        None if family == AF_INET6 => "default (IPv6)".to_owned(),
        None => "default".to_owned(),
    };
    let name = |index| {
        let known = interfaces.iter().find(|(_, interface)| interface.index == index);
        known.map_or_else(|| format!("index {index}"), |(name, _)| name.clone())
    };
    let kinds = [
        "unspec",
        "unicast",
        "local",
        "broadcast",
        "anycast",
        "multicast",
        "blackhole",
        "unreachable",
        "prohibit",
        "throw",
    ];
    let route = Route {
        via: find(RTA_GATEWAY).and_then(ip).map(|address| address.to_string()),
        interface: find(RTA_OIF).and_then(number).map(name),
        source: find(RTA_PREFSRC).and_then(ip).map(|address| address.to_string()),
        metric: find(RTA_PRIORITY).and_then(number),
        kind: kinds.get(usize::from(kind)).map_or_else(|| kind.to_string(), |name| (*name).to_owned()),
    };
    Some((destination, route))
}

/// The bodies of the messages, without their `struct nlmsghdr`.
pub(super) fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    pieces(bytes, 16, |head| number(head.get(..4)?).map(|length| length as usize)).map(|(_, body)| body)
}

/// Kind and value of each attribute (`struct nlattr`); the two highest bits of the kind are flags.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let short = |bytes: &[u8]| Some(u16::from_ne_bytes(*bytes.first_chunk::<2>()?));
    pieces(bytes, 4, move |head| short(head).map(usize::from))
        .filter_map(move |(head, value)| Some((short(head.get(2..)?)? & 0x3fff, value)))
}

/// Heads and bodies: each piece says its length, head and all, and the next begins at a multiple of 4.
fn pieces(
    mut bytes: &[u8],
    head: usize,
    length: impl Fn(&[u8]) -> Option<usize>,
) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = length(bytes.get(..head)?)?;
        let piece = bytes.get(..size)?;
        let parts = piece.split_at_checked(head)?;
        bytes = bytes.get(size.next_multiple_of(4)..).unwrap_or(&[]);
        Some(parts)
    })
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.first_chunk::<4>()?))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

pub(super) fn c_text(bytes: &[u8]) -> String {
    text(bytes.split(|byte| *byte == 0).next().unwrap_or(&[]))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
