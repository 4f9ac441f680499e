//! How far does a packet come (5.6.1)? Its way out of the container by what the kernel has here; and, marked as not here,
//! what Docker puts beside that, each with the command that shows it where Docker runs.
//!
//! Next: `security`.

use super::Shown;
use super::net::{self, Pair};
use crate::probes::host_network::{Chain, HostNetwork};
use crate::web::scene::{Panel, Row, Side, State, Tone, part};

/// What Docker adds, whether that is here, and how it is seen.
struct Added {
    name: &'static str,
    is_here: fn(&HostNetwork, &[Pair]) -> bool,
    what: &'static str,
    command: &'static str,
}

const ADDED: [Added; 5] = [
    Added {
        name: "a pair",
        is_here: |_, pairs| !pairs.is_empty(),
        what: "eth0 inside, its other end on the host",
        command: "$ ip link show type veth",
    },
    Added {
        name: "docker0",
        is_here: |host, _| host.bridges.value().is_some_and(|bridges| !bridges.is_empty()),
        what: "a bridge: the host’s end of each pair is a port of it, its own address is the gateway",
        command: "$ ip link show master docker0",
    },
    Added {
        name: "ip_forward",
        is_here: |host, _| host.ip_forward.value() == Some(&true),
        what: "set to 1: the host passes on what comes from docker0",
        command: "$ sysctl net.ipv4.ip_forward",
    },
    Added {
        name: "masquerade",
        is_here: |host, _| translates(host, "postrouting"),
        what: "NAT: what leaves the host has the host’s address as its source; in the answer the container’s is put back",
        command: "$ sudo iptables -t nat -S POSTROUTING",
    },
    Added {
        name: "-p 8080:80",
        is_here: |host, _| translates(host, "prerouting"),
        what: "DNAT: what comes to port 8080 of the host goes to port 80 of the container’s address",
        command: "$ sudo iptables -t nat -S DOCKER",
    },
];

/// Base chains at a hook, with where they are in the view.
fn at<'a>(host: &'a HostNetwork, hook: &str, kind: &str) -> Vec<(&'a String, &'a Chain)> {
    let chains = host.chains.value().into_iter().flatten();
    chains.filter(|(_, chain)| chain.hook == hook && chain.kind == kind).collect()
}

/// Whether something looks at addresses there: of the older iptables only the table is known.
fn translates(host: &HostNetwork, hook: &str) -> bool {
    !at(host, hook, "nat").is_empty() || has_table(host)
}

fn has_table(host: &HostNetwork) -> bool {
    host.legacy_tables.value().is_some_and(|tables| tables.iter().any(|table| table == "nat"))
}

pub fn below(shown: &Shown, pairs: &[Pair]) -> Vec<Vec<Panel>> {
    let host = &shown.view.outside.host_network;
    let mut columns = vec![vec![way(shown, host, pairs)]];
    let added: Vec<&Added> = ADDED.iter().filter(|one| !(one.is_here)(host, pairs)).collect();
    if !added.is_empty() {
        let mut panel =
            Panel::new("docker", Side::Host, "Not seen here: what Docker would add").state(State::Off);
        for one in added {
            panel.rows.extend([Row::new(one.name, one.what), Row::new("", one.command)]);
        }
        let all = "eth0 → pair → docker0 → routing → masquerade → out; the answer comes the same way back";
        columns.push(vec![panel.row(Row::new("together", all))]);
    }
    columns
}

fn way(shown: &Shown, host: &HostNetwork, pairs: &[Pair]) -> Panel {
    let panel = Panel::new("way", Side::Neutral, "The way of a packet to elsewhere, here");
    let Some(pair) = pairs.first() else {
        return panel.row(Row::new("1 leaves by", "nothing: no wire leads out of it").tone(Tone::Refused));
    };
    let routes = shown.view.inside.as_ref().and_then(|inside| inside.routes.value());
    let via = routes.and_then(|routes| routes.get("default")?.via.as_ref());
    let leaves = match via {
        Some(via) => Row::new("1 leaves by", format!("{}, to the gateway {via}", pair.inside))
            .fact("/inside/routes/value/default/via")
            .same("addr", via),
        None => Row::new("1 leaves by", "no route leads elsewhere").tone(Tone::Refused),
    };
    let mut panel = panel.row(leaves);
    if via.is_none() {
        return panel;
    }
    let Some((end, interface)) = pair.end else { return panel };
    panel.rows.push(
        Row::new("2 comes out at", format!("{end}, on the host"))
            .same("interface", net::key(shown, end, interface)),
    );
    panel.rows.extend(host.bridges.value().into_iter().flatten().take(1).map(|(name, bridge)| {
        Row::new("  a port of", name.as_str()).same("interface", net::key(shown, name, bridge))
    }));
    let fact = "/outside/host_network/ip_forward";
    let forward = Row::read("3 is passed on", fact, &host.ip_forward, |yes| {
        if *yes { "yes (ip_forward)" } else { "no (ip_forward): it ends here, on the host" }.to_owned()
    });
    let passes = host.ip_forward.value() != Some(&false);
    panel.rows.push(if passes { forward } else { forward.tone(Tone::Refused) });
    if passes {
        panel.rows.extend(asked(host, "forward", "filter"));
        panel.rows.push(source(pair, host));
        panel.rows.extend(asked(host, "postrouting", "nat"));
    }
    let inward =
        if translates(host, "prerouting") { "as the chains there decide" } else { "no port leads in" };
    panel.row(Row::new("from elsewhere", inward).tone(Tone::Off)).rows(asked(host, "prerouting", "nat"))
}

/// Whose address it has when it leaves the host.
fn source(pair: &Pair, host: &HostNetwork) -> Row {
    match pair.interface.addresses.first() {
        _ if translates(host, "postrouting") => Row::new("4 its source", "as the chains there decide"),
        Some(address) => {
            Row::new("4 its source", format!("stays {address}: who is elsewhere finds no way back to that"))
                .fact(format!("/inside/interfaces/value/{}/addresses/0", part(pair.inside)))
        }
        None => Row::new("4 its source", "it has no address").tone(Tone::Refused),
    }
}

fn asked(host: &HostNetwork, hook: &str, kind: &str) -> Vec<Row> {
    let chains = at(host, hook, kind).into_iter().take(4).map(|(name, chain)| {
        let policy = chain.policy.as_ref().map_or_else(String::new, |policy| format!(", else {policy}"));
        Row::new("", format!("{name} at {}{policy}", chain.hook))
            .fact(format!("/outside/host_network/chains/value/{}/hook", part(name)))
            .indent(1)
    });
    chains.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::Reading;

    fn host() -> HostNetwork {
        HostNetwork {
            ends: Reading::new("", Ok(Default::default())),
            bridges: Reading::new("", Ok(Default::default())),
            ip_forward: Reading::new("", Ok(false)),
            chains: Reading::new("", Ok(Default::default())),
            legacy_tables: Reading::new("", Ok(Vec::new())),
        }
    }

    #[test]
    fn what_is_here_is_not_said_to_be_missing() {
        let missing = |host: &HostNetwork| -> Vec<&str> {
            ADDED.iter().filter(|one| !(one.is_here)(host, &[])).map(|one| one.name).collect()
        };
        let mut host = host();
        assert_eq!(missing(&host), ["a pair", "docker0", "ip_forward", "masquerade", "-p 8080:80"]);
        host.ip_forward = Reading::new("", Ok(true));
        let chain = |hook: &str, kind: &str| Chain {
            hook: hook.to_owned(),
            kind: kind.to_owned(),
            priority: 0,
            policy: None,
        };
        let mut chains = std::collections::BTreeMap::new();
        chains.insert("ip filter FORWARD".to_owned(), chain("postrouting", "filter"));
        host.chains = Reading::new("", Ok(chains.clone()));
        assert_eq!(missing(&host), ["a pair", "docker0", "masquerade", "-p 8080:80"]);
        chains.insert("ip nat POSTROUTING".to_owned(), chain("postrouting", "nat"));
        host.chains = Reading::new("", Ok(chains));
        assert_eq!(missing(&host), ["a pair", "docker0", "-p 8080:80"]);
        host.legacy_tables = Reading::new("", Ok(vec!["nat".to_owned()]));
        assert_eq!(missing(&host), ["a pair", "docker0"]);
    }
}
