//! What are the rows of what the host has of a container: the layers of its root, the other ends of its network?

use super::inside::interface;
use super::{Row, Tone, row, rows as rows_of};
use crate::probes::host_network::{Chain, HostNetwork};
use crate::probes::layers::{Contents, Kind, Layer};
use crate::terminal::text::list;
use std::collections::BTreeMap;

/// Lists of things that are many are shown so far; `--json` has all.
const MOST: usize = 40;

/// A row for each layer, the uppermost first, and one for what is in it.
pub fn rows(layers: &BTreeMap<String, Layer>) -> Vec<Row> {
    let mut sorted: Vec<_> = layers.iter().collect();
    sorted.sort_by_key(|(_, layer)| layer.order);
    let mut found = Vec::new();
    for (name, layer) in sorted {
        let tone = if layer.kind == Kind::Upper { Tone::Own } else { Tone::Plain };
        found.push(Row::new(tone, name, &layer.path));
        found.push(row("  holds", &layer.contents, |contents| (Tone::Plain, names(contents))));
    }
    match found.is_empty() {
        true => vec![Row::new(Tone::Dim, "none", "the root is no overlay")],
        false => found,
    }
}

/// Of a whole layer its path and how much is in it.
pub fn layer(layer: &Layer) -> String {
    let holds = match layer.contents.get() {
        Ok(contents) if contents.more => format!("more than {} entries", contents.entries.len()),
        Ok(contents) => format!("{} entries", contents.entries.len()),
        Err(errno) => errno.to_string(),
    };
    format!("{}, {holds}", layer.path)
}

fn names(contents: &Contents) -> String {
    let name = |(path, kind): (&String, &String)| match (kind.as_str(), contents.below.get(path)) {
        ("directory", _) => format!("{path}/"),
        ("file", Some(layer)) => format!("{path} (over that of {layer})"),
        ("whiteout", Some(layer)) => format!("{path} (whiteout: gone, but in {layer})"),
        ("file" | "symlink", _) => path.clone(),
        (kind, _) => format!("{path} ({kind})"),
    };
    let refused = contents.refused.iter().map(|(path, errno)| format!("{path}/ ({errno})"));
    let more = contents.more.then(|| "…".to_owned());
    let all = list(contents.entries.iter().map(name).chain(refused).chain(more), "  ", MOST);
    if all.is_empty() { "nothing".to_owned() } else { all }
}

/// The host's ends, and what it lets pass.
pub fn network(of: &HostNetwork) -> Vec<Row> {
    let interfaces = |all: &BTreeMap<String, _>| {
        all.iter().map(|(name, one)| Row::new(Tone::Own, name, interface(one))).collect()
    };
    let mut found = rows_of("veth", &of.ends, interfaces);
    found.extend(rows_of("bridges", &of.bridges, interfaces));
    found.push(row("ip_forward", &of.ip_forward, |on| {
        (Tone::Plain, if *on { "1: packets are passed on" } else { "0" }.to_owned())
    }));
    found.extend(rows_of("nf_tables", &of.chains, |chains| {
        chains.iter().take(MOST).map(|(name, one)| Row::new(Tone::Plain, name, chain(one))).collect()
    }));
    found.push(row("iptables", &of.legacy_tables, |tables| match tables.is_empty() {
        true => (Tone::Dim, "no tables".to_owned()),
        false => (Tone::Plain, tables.join(" ")),
    }));
    found
}

pub fn chain(chain: &Chain) -> String {
    let policy = chain.policy.as_ref().map_or(String::new(), |policy| format!(", policy {policy}"));
    format!("{} at {}, priority {}{policy}", chain.kind, chain.hook, chain.priority)
}
