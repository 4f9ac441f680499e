//! Which names and addresses does a container's network get? Such as collide with nothing: the host's
//! addresses and routes are read first, and what they speak of is left alone.
//!
//! Next: `crate::stages`, where they are used.

use std::net::Ipv4Addr;

/// A network of two: the host's end of the veth pair and the container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub host: Ipv4Addr,
    pub container: Ipv4Addr,
    pub prefix: u8,
}

/// Networks for private use (RFC 1918), and the one for benchmarks (RFC 2544) where a VPN took them all.
const PRIVATE: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
];
/// No network is wider than 10.0.0.0/8. What is, is the way to all that has no other: the default route, and the two halves
/// that OpenVPN puts before it (0.0.0.0/1 and 128.0.0.0/1).
const WIDEST: u8 = 8;
/// Two addresses, the network's and the broadcast's.
const PREFIX: u8 = 30;
const SIZE: u64 = 4;
/// IFNAMSIZ is 16 with the closing NUL (netdevice(7)).
const LONGEST_NAME: usize = 15;

/// A network that overlaps none of `used`; `seed` spreads containers that start at the same time.
pub fn choose_subnet(used: &[(Ipv4Addr, u8)], seed: u64) -> Option<Subnet> {
    let used = used.iter().filter(|(_, prefix)| *prefix >= WIDEST);
    let used: Vec<(u64, u64)> = used.map(|(address, prefix)| range(*address, *prefix)).collect();
    PRIVATE.iter().find_map(|(address, prefix)| {
        let (first, end) = range(*address, *prefix);
        let start = first + seed % ((end - first) / SIZE) * SIZE;
        free(start, end, &used).or_else(|| free(first, start, &used))
    })
}

/// The first free network in `from..end`. What is in the way is stepped over as a whole.
fn free(from: u64, end: u64, used: &[(u64, u64)]) -> Option<Subnet> {
    let mut start = from;
    while start + SIZE <= end {
        match used
            .iter()
            .filter(|(first, last)| *first < start + SIZE && start < *last)
            .map(|(_, last)| *last)
            .max()
        {
            Some(behind) => start = behind.next_multiple_of(SIZE),
            None => {
                let address = |number: u64| u32::try_from(start + number).ok().map(Ipv4Addr::from);
                return Some(Subnet { host: address(1)?, container: address(2)?, prefix: PREFIX });
            }
        }
    }
    None
}

/// First address, and the one behind the last.
fn range(address: Ipv4Addr, prefix: u8) -> (u64, u64) {
    let size = 1u64 << 32u8.saturating_sub(prefix);
    let first = u64::from(u32::from(address)) / size * size;
    (first, first + size)
}

/// What a veth pair's ends are called on the host: `lc` and the container's id, the second one with a `p`
/// until it is inside and becomes `eth0`. Of an id whose beginning is taken, the next part is used.
pub fn veth_names(id: &str, mut taken: impl FnMut(&str) -> bool) -> Option<(String, String)> {
    let letters: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let room = LONGEST_NAME - "lc".len() - "p".len();
    let parts =
        (0..letters.len().max(1)).map(|start| letters.iter().skip(start).take(10).collect::<String>());
    let numbered =
        (0..1000).map(|number| letters.iter().take(room - 4).collect::<String>() + &format!("{number:04}"));
    parts
        .filter(|part| part.len() >= 8)
        .chain(numbered)
        .map(|part| (format!("lc{part}"), format!("lc{part}p")))
        .find(|(host, peer)| !taken(host) && !taken(peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn networks() -> impl Strategy<Value = Vec<(Ipv4Addr, u8)>> {
        let anywhere = (any::<u32>(), 0u8..=40);
        let private = (0usize..4, any::<u32>(), 1u8..=32).prop_map(|(which, number, prefix)| {
            let (network, length) = PRIVATE[which];
            (u32::from(network) | number.checked_shr(length.into()).unwrap_or(0), prefix)
        });
        let one =
            prop_oneof![1 => anywhere, 9 => private].prop_map(|(number, prefix)| (number.into(), prefix));
        prop::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn it_never_overlaps_what_is_used(used in networks(), seed: u64) {
            if let Some(subnet) = choose_subnet(&used, seed) {
                let inside = |network: Ipv4Addr, prefix: u8, address: Ipv4Addr| {
                    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
                    u32::from(network) & mask == u32::from(address) & mask
                };
                let first = u32::from(subnet.host) - 1;
                for (address, prefix) in used.into_iter().filter(|(_, prefix)| *prefix >= WIDEST) {
                    // Two networks overlap when one holds the other's first address.
                    prop_assert!(!inside(address, prefix, first.into()), "{address}/{prefix} {subnet:?}");
                    prop_assert!(!inside(first.into(), subnet.prefix, address), "{address}/{prefix} {subnet:?}");
                }
                prop_assert!(PRIVATE.iter().any(|(network, prefix)| inside(*network, *prefix, subnet.host)));
                prop_assert_eq!(first % 4, 0);
                prop_assert_eq!(u32::from(subnet.container), first + 2);
            }
        }

        #[test]
        fn names_fit_and_are_free(id: String, taken: std::collections::HashSet<String>) {
            let (host, peer) = veth_names(&id, |name| taken.contains(name)).expect("there are thousands");
            for name in [&host, &peer] {
                prop_assert!(name.len() <= LONGEST_NAME && name.starts_with("lc"));
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
                prop_assert!(!taken.contains(name));
            }
        }
    }

    #[test]
    fn a_full_block_leads_to_the_next_and_none_to_none() {
        let block = |text: &str, prefix| (text.parse::<Ipv4Addr>().unwrap(), prefix);
        let vpn = [block("10.0.0.0", 8), block("172.16.0.0", 12), block("192.168.0.0", 16)];
        assert_eq!(choose_subnet(&vpn, 0).unwrap().host, Ipv4Addr::new(198, 18, 0, 1));
        // All but the last network of a block, wherever the search starts.
        let halves: Vec<_> = (9..=30)
            .map(|prefix| (Ipv4Addr::from(0x0a00_0000u32 + (0x0100_0000 - (1 << (33 - prefix)))), prefix))
            .collect();
        for seed in [0, 1, 77_777, u64::MAX] {
            assert_eq!(choose_subnet(&halves, seed).unwrap().host, Ipv4Addr::new(10, 255, 255, 253));
        }
        // And all but the first.
        let halves: Vec<_> =
            (9..=30).map(|prefix| (Ipv4Addr::from(0x0a00_0000u32 + (1 << (32 - prefix))), prefix)).collect();
        assert_eq!(choose_subnet(&halves, 77_777).unwrap().host, Ipv4Addr::new(10, 0, 0, 1));
        let halves = [block("0.0.0.0", 1), block("128.0.0.0", 1)];
        assert_eq!(choose_subnet(&halves, 7), choose_subnet(&[], 7));
        assert_eq!(choose_subnet(&[&vpn[..], &halves, &[block("198.18.0.0", 15)]].concat(), 5), None);
    }

    #[test]
    fn one_address_anywhere_in_a_network_is_enough_to_leave_it() {
        let first = choose_subnet(&[], 4711).unwrap();
        for number in 0..4 {
            let used = [(Ipv4Addr::from(u32::from(first.host) - 1 + number), 32)];
            assert_ne!(choose_subnet(&used, 4711).unwrap(), first);
        }
    }

    #[test]
    fn a_name_that_is_taken_is_passed_over() {
        let id = "0123456789abcdef";
        assert_eq!(veth_names(id, |_| false).unwrap(), ("lc0123456789".into(), "lc0123456789p".into()));
        assert_eq!(veth_names(id, |name| name == "lc0123456789p").unwrap().0, "lc123456789a");
    }
}
