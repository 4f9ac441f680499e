//! What has the host of the container's network? The other ends of its veth pairs, found by index and number of
//! namespace and never by name, the bridges that those are ports of, and what the host lets pass between them.

use super::network::{self, Interface};
use super::{Reading, numbered, text};
use crate::kernel::Errno;
use crate::kernel::dir::Dir;
use crate::kernel::netread::{self, Dump};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

type Named<T> = BTreeMap<String, T>;

/// All of it in the reader's network namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostNetwork {
    /// Of each veth pair with one end in the process's namespace and one here, that one: its `peer` is the
    /// index inside, and the `peer` inside its `index`.
    pub ends: Reading<Named<Interface>>,
    /// The bridges that those are ports of.
    pub bridges: Reading<Named<Interface>>,
    /// Whether packets are passed on from one interface to another (net.ipv4.ip_forward).
    pub ip_forward: Reading<bool>,
    /// Where nf_tables looks at packets: the base chains, by family, table and name.
    pub chains: Reading<Named<Chain>>,
    /// The tables that the older iptables has.
    pub legacy_tables: Reading<Vec<String>>,
}

/// A base chain: it is asked about each packet that comes by its hook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chain {
    /// `prerouting`, `input`, `forward`, `output`, `postrouting`, `ingress`, `egress`.
    pub hook: String,
    /// `filter`, `nat` or `route`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Chains of one hook are asked in this order.
    pub priority: i32,
    /// What becomes of a packet that no rule decides about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

// linux/netfilter/nf_tables.h, linux/netfilter.h
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const FAMILIES: [(u8, &str); 6] =
    [(1, "inet"), (2, "ip"), (3, "arp"), (5, "netdev"), (7, "bridge"), (10, "ip6")];

/// More of an answer than this is not read.
const ROOM: usize = 128 << 10;

/// `same`: the process is in the reader's network namespace.
pub fn read(process: &Dir, same: Result<bool, Errno>) -> HostNetwork {
    let (ends, bridges) = match ends(process, same) {
        Ok((ends, bridges)) => (Ok(ends), Ok(bridges)),
        Err(errno) => (Err(errno), Err(errno)),
    };
    let (chains_of, chains) = chains();
    let legacy = Dir::open("/proc/net").and_then(|net| net.read("ip_tables_names"));
    let forward = Dir::open("/proc/sys/net/ipv4").and_then(|net| net.read("ip_forward"));
    HostNetwork {
        ends: Reading::new("rtnetlink RTM_GETNSID RTM_GETLINK RTM_GETADDR", ends),
        bridges: Reading::new("rtnetlink RTM_GETLINK RTM_GETADDR", bridges),
        ip_forward: Reading::new("/proc/sys/net/ipv4/ip_forward", forward.map(|text| text.starts_with(b"1"))),
        chains: Reading::new(chains_of, chains),
        legacy_tables: Reading::new(
            "/proc/net/ip_tables_names",
            legacy.map(|names| text(&names).split_whitespace().map(str::to_owned).collect()),
        ),
    }
}

type Interfaces = Named<Interface>;

fn ends(process: &Dir, same: Result<bool, Errno>) -> Result<(Interfaces, Interfaces), Errno> {
    let nothing = || Ok((Named::new(), Named::new()));
    if same? {
        return nothing();
    }
    let Some(number) = netread::number_of(&process.namespace("net")?)? else { return nothing() };
    let interfaces = network::interfaces(&dumped(Dump::Links)?, &dumped(Dump::Addresses)?);
    Ok(select(interfaces, number))
}

/// Those whose other end is in the namespace of this number, and their bridges.
pub fn select(interfaces: Interfaces, number: i32) -> (Interfaces, Interfaces) {
    let is_end = |one: &Interface| one.kind.as_deref() == Some("veth") && one.peer_namespace == Some(number);
    let (ends, others): (Interfaces, Interfaces) = interfaces.into_iter().partition(|(_, one)| is_end(one));
    let is_bridge = |one: &Interface| ends.values().any(|end| end.master == Some(one.index));
    let bridges = others.into_iter().filter(|(_, one)| is_bridge(one)).collect();
    (ends, bridges)
}

fn dumped(what: Dump) -> Result<Vec<u8>, Errno> {
    let mut room = vec![0; ROOM];
    let length = netread::dump(what, &mut room)?;
    room.truncate(length);
    Ok(room)
}

/// To ask where nf_tables is not loaded would have the kernel load it: who only looks must not do that.
fn chains() -> (&'static str, Result<Named<Chain>, Errno>) {
    match can_ask() {
        Ok(true) => ("nfnetlink NFT_MSG_GETCHAIN", dumped(Dump::Chains).map(|bytes| parse(&bytes))),
        Ok(false) => ("/sys/module/nf_tables: it is not loaded", Ok(Named::new())),
        Err(errno) => ("/lib/modules/RELEASE/modules.builtin", Err(errno)),
    }
}

fn can_ask() -> Result<bool, Errno> {
    if Path::new("/sys/module/nf_tables").exists() || !Path::new("/proc/modules").exists() {
        return Ok(true);
    }
    static BUILT_IN: OnceLock<Result<bool, Errno>> = OnceLock::new();
    *BUILT_IN.get_or_init(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let built_in = std::fs::read_to_string(format!("/lib/modules/{}/modules.builtin", release.trim()))?;
        Ok(built_in.lines().any(|line| line.ends_with("/nf_tables.ko")))
    })
}

/// Those chains that have a hook.
pub fn parse(bytes: &[u8]) -> Named<Chain> {
    numbered(network::messages(bytes).filter_map(chain))
}

fn chain(message: &[u8]) -> Option<(String, Chain)> {
    let (head, rest) = message.split_at_checked(4)?;
    let family = *head.first()?;
    let of =
        |bytes, wanted| network::attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let hook = of(rest, NFTA_CHAIN_HOOK)?;
    let named = |wanted| of(rest, wanted).map(network::c_text);
    let family_name = FAMILIES.iter().find(|(number, _)| *number == family);
    let family_name = family_name.map_or_else(|| family.to_string(), |(_, name)| (*name).to_owned());
    let name = format!("{family_name} {} {}", named(NFTA_CHAIN_TABLE)?, named(NFTA_CHAIN_NAME)?);
    let policy = of(rest, NFTA_CHAIN_POLICY).and_then(big_endian);
    Some((
        name,
        Chain {
            hook: hook_name(family, of(hook, NFTA_HOOK_HOOKNUM).and_then(big_endian)?),
            kind: named(NFTA_CHAIN_TYPE).unwrap_or_default(),
            priority: of(hook, NFTA_HOOK_PRIORITY).and_then(big_endian)? as i32,
            policy: policy.map(|verdict| match verdict {
                0 => "drop".to_owned(),
                1 => "accept".to_owned(),
                other => other.to_string(),
            }),
        },
    ))
}

/// The numbers of hooks are each family's own.
fn hook_name(family: u8, number: u32) -> String {
    let names: &[&str] = match family {
        3 => &["input", "output", "forward"],
        5 => &["ingress", "egress"],
        _ => &["prerouting", "input", "forward", "output", "postrouting", "ingress"],
    };
    let name = usize::try_from(number).ok().and_then(|number| names.get(number));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

fn big_endian(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.first_chunk::<4>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [((value.len() + 4) as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(body: &[u8]) -> Vec<u8> {
        let mut bytes = ((body.len() + 16) as u32).to_ne_bytes().to_vec();
        bytes.resize(16, 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_chain_with_a_hook_is_a_base_chain_and_one_without_is_not() {
        let hook = [attribute(1, &2u32.to_be_bytes()), attribute(2, &(-100i32).to_be_bytes())].concat();
        let named = [attribute(1, b"filter\0"), attribute(3, b"FORWARD\0")].concat();
        let based =
            [attribute(4 | 0x8000, &hook), attribute(5, &[0, 0, 0, 0]), attribute(7, b"filter\0")].concat();
        let base = [&[2, 0, 0, 0][..], &named, &based].concat();
        let plain = [&[2, 0, 0, 0][..], &named].concat();
        let chains = parse(&[message(&plain), message(&base)].concat());
        assert_eq!(chains.keys().collect::<Vec<_>>(), ["ip filter FORWARD"]);
        let policy = Some("drop".to_owned());
        let chain = Chain { hook: "forward".into(), kind: "filter".into(), priority: -100, policy };
        assert_eq!(chains["ip filter FORWARD"], chain);
    }
}
