//! Who is root inside, seen from outside? The lines of uid_map and gid_map (user_namespaces(7)).
//!
//! Next: `default`, which puts them into the description.

use super::options::Userns;
use super::{Error, Note};
use crate::host::{Helper, Host, IdMap, IdRange, Privilege};
use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};

/// The maps of a user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maps {
    pub uid: Vec<LinuxIdMapping>,
    pub gid: Vec<LinuxIdMapping>,
    /// Only one id is mapped, written without a helper: setgroups(2) is denied, and there are no other ids.
    pub single: bool,
}

/// What root's container gets where /etc/subuid says nothing: root inside is 100000 outside.
const ROOTS: IdRange = IdRange { start: 100_000, count: 65_536 };

/// The maps that are asked for; `None` when the container stays in the host's user namespace.
pub fn maps(asked: Option<Userns>, host: &Host, notes: &mut Vec<Note>) -> Result<Option<Maps>, Error> {
    let root = host.is_privileged();
    let keep = asked == Some(Userns::KeepId);
    match asked {
        None | Some(Userns::Host) if root => return Ok(None),
        Some(Userns::Host) => {
            return Err(Error::new(
                "--userns",
                "host, asked for by an ordinary user",
                "private: without root, only a user namespace gives the capabilities that the other stages need",
            ));
        }
        Some(Userns::KeepId) if root => {
            let found = "keep-id, asked for by root";
            return Err(Error::new("--userns", found, "private: keep-id keeps an ordinary user's id"));
        }
        _ => {}
    }
    if root {
        let uid = whole(&host.subuid, &host.user_namespace.uid_map);
        let gid = whole(&host.subgid, &host.user_namespace.gid_map);
        return Ok(Some(Maps { uid, gid, single: false }));
    }
    let inside = |id| if keep { id } else { 0 };
    let helps = |helper: &Option<Helper>| helper.as_ref().is_some_and(|h| h.privilege != Privilege::None);
    let single = !helps(&host.newuidmap)
        || !helps(&host.newgidmap)
        || host.no_new_privs
        || host.subuid.is_empty()
        || host.subgid.is_empty();
    if single {
        notes.push(Note::new(
            "userns",
            "only your own id is mapped: for more, newuidmap(1) must be installed and /etc/subuid and /etc/subgid \
             must give you a range. setgroups(2) is denied, and no other user exists inside.",
        ));
    }
    // How many of the ranges can be had.
    let all = if single { 0 } else { usize::MAX };
    Ok(Some(Maps {
        uid: fill(inside(host.uid), host.uid, host.subuid.iter().take(all)),
        gid: fill(inside(host.gid), host.gid, host.subgid.iter().take(all)),
        single,
    }))
}

/// Is this id of the container's mapped to one outside?
pub fn mapped(map: &[LinuxIdMapping], id: u32) -> bool {
    map.iter().any(|m| id.checked_sub(m.container_id()).is_some_and(|n| n < m.size()))
}

/// Root's choice: its own ranges; else 100000 and on; else, where we are in a user namespace that does not
/// have those, what that one has.
fn whole(own: &[IdRange], here: &[IdMap]) -> Vec<LinuxIdMapping> {
    let has =
        |m: &IdMap| m.inside <= ROOTS.start && m.count.saturating_sub(ROOTS.start - m.inside) >= ROOTS.count;
    let fallback = here.iter().find(|m| has(m)).map(|_| ROOTS);
    let all = here.first().map(|m| IdRange { start: m.inside, count: m.count });
    let range = own.first().copied().or(fallback).or(all).unwrap_or(ROOTS);
    vec![line(0, range.start, range.count)]
}

/// `outside` is `inside`, and the ranges fill the numbers below and above it, from 0 on.
fn fill<'a>(inside: u32, outside: u32, ranges: impl Iterator<Item = &'a IdRange>) -> Vec<LinuxIdMapping> {
    let mut lines = vec![line(inside, outside, 1)];
    let mut next = 0;
    for &IdRange { mut start, mut count } in ranges {
        if next <= inside {
            let below = count.min(inside - next);
            lines.push(line(next, start, below));
            (next, start, count) = (next + below, start.saturating_add(below), count - below);
            if next == inside {
                next = next.saturating_add(1);
            }
        }
        let count = count.min(u32::MAX - next);
        lines.push(line(next, start, count));
        next += count;
    }
    lines.retain(|line| line.size() > 0);
    lines.sort_by_key(LinuxIdMapping::container_id);
    lines
}

pub fn line(inside: u32, outside: u32, count: u32) -> LinuxIdMapping {
    let line = LinuxIdMappingBuilder::default().container_id(inside).host_id(outside).size(count);
    line.build().unwrap_or_default()
}

#[cfg(test)]
mod test {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn you_stay_yourself_and_no_number_is_given_twice(
            inside in 0u32..200_000,
            counts in proptest::collection::vec(1u32..100_000, 0..4),
        ) {
            let ranges: Vec<IdRange> = counts.iter().map(|&count| IdRange { start: 300_000, count }).collect();
            let map = fill(inside, 1000, ranges.iter());
            prop_assert!(map.iter().any(|m| m.container_id() == inside && m.host_id() == 1000 && m.size() == 1));
            prop_assert_eq!(map.iter().map(LinuxIdMapping::size).sum::<u32>(), counts.iter().sum::<u32>() + 1);
            for (a, b) in map.iter().zip(map.iter().skip(1)) {
                prop_assert!(a.container_id() + a.size() <= b.container_id());
            }
        }
    }
}
