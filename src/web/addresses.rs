//! Where was it recorded? The host's own addresses and hardware addresses, and which others take their place in what is
//! given away: those that are kept for documentation, the same for the same, so that a drawing still shows what belongs together.
//!
//! Next: [`super::export`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stands for what.
#[derive(Default)]
pub struct Addresses {
    addresses: BTreeMap<IpAddr, IpAddr>,
    /// In lower case, with colons.
    macs: BTreeMap<String, String>,
    networks: Vec<[u8; 3]>,
    long_networks: Vec<[u16; 4]>,
}

/// RFC 5737; when they are used up, those of RFC 2544.
const KEPT: [[u8; 3]; 3] = [[198, 51, 100], [203, 0, 113], [192, 0, 2]];

impl Addresses {
    /// An address of the host's, or a network's, with or without the length of its prefix.
    pub fn learn(&mut self, text: &str) {
        let Ok(address) = text.split('/').next().unwrap_or_default().parse::<IpAddr>() else { return };
        if address.is_loopback() || address.is_unspecified() || self.addresses.contains_key(&address) {
            return;
        }
        let other = match address {
            IpAddr::V4(address) => self.short(address).into(),
            IpAddr::V6(address) => self.long(address).into(),
        };
        self.addresses.insert(address, other);
    }

    pub fn learn_mac(&mut self, text: &str) {
        let text = text.to_ascii_lowercase();
        if text.chars().all(|c| matches!(c, '0' | ':')) || self.macs.contains_key(&text) {
            return;
        }
        // RFC 9542.
        let other = format!("00:00:5e:00:53:{:02x}", (self.macs.len() + 1) % 256);
        self.macs.insert(text, other);
    }

    /// What is in one network stays in one.
    fn short(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        let [a, b, c, last] = address.octets();
        let number = position(&mut self.networks, [a, b, c]);
        let [a, b, c] = KEPT.get(number).copied().unwrap_or_else(|| {
            let above = number.saturating_sub(KEPT.len());
            [198, 18 + (above / 256 % 2) as u8, (above % 256) as u8]
        });
        Ipv4Addr::new(a, b, c, last)
    }

    /// The second half is often made of the hardware address.
    fn long(&mut self, address: Ipv6Addr) -> Ipv6Addr {
        let [a, b, c, d, rest @ ..] = address.segments();
        let number = position(&mut self.long_networks, [a, b, c, d]) as u16;
        let same = |known: &IpAddr| matches!(known, IpAddr::V6(known) if known.segments().starts_with(&[a, b, c, d]));
        let host = match rest {
            [0, 0, 0, 0] => 0,
            _ => self.addresses.keys().filter(|known| same(known)).count() as u16 + 1,
        };
        match a {
            0xfe80 => Ipv6Addr::new(a, b, c, d, 0, 0, 0, host),
            // RFC 3849.
            _ => Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, host),
        }
    }

    /// The text with every one of them replaced.
    pub fn replaced(&self, text: &str) -> String {
        let mut found = String::new();
        let mut rest = text;
        let part = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
        while let Some(at) = rest.find(part) {
            let (before, from) = rest.split_at(at);
            let (token, after) = from.split_at(from.find(|c| !part(c)).unwrap_or(from.len()));
            found.push_str(before);
            let within = found.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
            match self.other(token).filter(|_| !within) {
                Some(other) => found.push_str(&other),
                None => found.push_str(token),
            }
            rest = after;
        }
        found.push_str(rest);
        // An interface is called by its hardware address in some places: enx0250560a0b0c.
        self.macs
            .iter()
            .fold(found, |found, (mac, other)| found.replace(&mac.replace(':', ""), &other.replace(':', "")))
    }

    /// What stands for a word that may have a port or the end of a sentence after it.
    fn other(&self, token: &str) -> Option<String> {
        let whole = |token: &str| {
            let known = token.parse().ok().and_then(|address| self.addresses.get(&address));
            known.map(IpAddr::to_string).or_else(|| self.macs.get(&token.to_ascii_lowercase()).cloned())
        };
        let end = token.trim_end_matches(['.', ':']);
        let ended = || Some(whole(end)? + token.get(end.len()..)?);
        let port = || {
            let (address, port) = end.rsplit_once(':')?;
            Some(format!("{}:{port}{}", whole(address)?, token.get(end.len()..)?))
        };
        whole(token).or_else(ended).or_else(port)
    }
}

fn position<T: PartialEq>(known: &mut Vec<T>, one: T) -> usize {
    known.iter().position(|known| *known == one).unwrap_or_else(|| {
        known.push(one);
        known.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_replaced_wherever_it_stands_and_no_other() {
        let mut known = Addresses::default();
        for address in [
            "192.0.2.2/24",
            "192.0.2.0/24",
            "10.1.0.9",
            "fd00::2/64",
            "fd00::/64",
            "fe80::fc:ff:fe00:1/64",
            "127.0.0.1/8",
        ] {
            known.learn(address);
        }
        known.learn_mac("02:fc:00:00:00:01");
        known.learn_mac("00:00:00:00:00:00");
        for (text, expected) in [
            ("192.0.2.2/24 via 192.0.2.1", "198.51.100.2/24 via 192.0.2.1"),
            ("listens on 192.0.2.2:80, and 192.0.2.2.", "listens on 198.51.100.2:80, and 198.51.100.2."),
            ("192.0.2.0/24", "198.51.100.0/24"),
            ("nameserver 10.1.0.9\n", "nameserver 203.0.113.9\n"),
            ("fd00::2/64 fd00::/64", "2001:db8::1/64 2001:db8::/64"),
            ("fe80::fc:ff:fe00:1", "fe80::1"),
            ("127.0.0.1 192.0.2.22 a192.0.2.2 192.0.2.2b", "127.0.0.1 192.0.2.22 a192.0.2.2 192.0.2.2b"),
            ("02:FC:00:00:00:01 00:00:00:00:00:00", "00:00:5e:00:53:01 00:00:00:00:00:00"),
            ("enx02fc00000001", "enx00005e005301"),
        ] {
            assert_eq!(known.replaced(text), expected, "{text}");
        }
    }
}
