//! What are the rows of what the host reads about a process?

use super::{Row, Section, Tone, layers, own, plain, row, rows};
use crate::probes::{capabilities, cgroups, ids, limits, mounts, processes};
use crate::terminal::text::list;
use crate::view::{KernelView, Outside};
use std::collections::BTreeMap;

/// Lists of things that are many are shown so far; `--json` has all.
const MOST: usize = 40;

pub fn sections(view: &KernelView) -> Vec<Section> {
    let outside = &view.outside;
    vec![
        ("Process", process(outside)),
        ("Process tree", rows("tree", &outside.processes, tree)),
        ("Namespaces", namespaces(outside)),
        ("Ids", user(outside)),
        ("Privileges", privileges(outside)),
        ("Root", root(outside)),
        (
            "Mounts",
            rows("mounts", &outside.mounts, |mounts| {
                mounts.iter().map(|(place, one)| Row::new(Tone::Plain, place, mount(one))).collect()
            }),
        ),
        ("Layers", rows("layers", &outside.layers, layers::rows)),
        ("Cgroups", rows("cgroups", &outside.cgroups, cgroups)),
        ("The host's network", layers::network(&outside.host_network)),
        ("Limits", limits(outside)),
        ("Signals", signals(outside)),
        (
            "Open files",
            rows("files", &outside.open_files, |open| {
                let more = open.more.then(|| Row::new(Tone::Dim, "…", "and more"));
                let mut files: Vec<_> = open.files.iter().collect();
                files.sort_by_key(|(fd, _)| fd.parse::<u32>().unwrap_or(u32::MAX));
                files.into_iter().map(|(fd, file)| Row::new(Tone::Plain, fd, file)).chain(more).collect()
            }),
        ),
        (
            "Environment",
            rows("environment", &outside.environment, |variables| {
                variables.iter().map(|(name, value)| Row::new(Tone::Plain, name, value)).collect()
            }),
        ),
    ]
}

fn process(outside: &Outside) -> Vec<Row> {
    vec![
        row("state", &outside.state, |state| plain(state)),
        row("pid", &outside.pids, |pids| {
            let levels: Vec<String> = pids.iter().map(i32::to_string).collect();
            let inner = pids.len() > 1;
            own(
                inner,
                if inner {
                    format!("{} (each pid namespace, yours first)", levels.join(" → "))
                } else {
                    levels.join("")
                },
            )
        }),
        row("executable", &outside.executable, |path| plain(path)),
        row("command", &outside.command_line, |words| match words.is_empty() {
            true => (Tone::Dim, "none: a kernel thread or a zombie".to_owned()),
            false => plain(words.join(" ")),
        }),
        row("directory", &outside.working_directory, |path| plain(path)),
        row("session", &outside.session, |session| {
            let terminal = session.terminal.as_deref().unwrap_or("none");
            plain(format!(
                "{}, process group {}, terminal {terminal}, nice {}",
                session.session, session.process_group, session.nice
            ))
        }),
        row("host name", &outside.hostname, |name| plain(format!("{name} (the reader's)"))),
    ]
}

fn tree(tree: &processes::Tree) -> Vec<Row> {
    let mut found: Vec<Row> =
        tree.ancestors.iter().map(|named| Row::new(Tone::Dim, named.pid.to_string(), &named.name)).collect();
    if tree.children.is_empty() {
        found.push(Row::new(Tone::Dim, "children", "none"));
    }
    descend(&tree.children, 0, &mut found);
    found
}

fn descend(children: &BTreeMap<String, processes::Child>, deep: usize, found: &mut Vec<Row>) {
    for (pid, child) in children {
        found.push(Row::new(Tone::Own, pid, format!("{}└ {}", "  ".repeat(deep), child.name)));
        descend(&child.children, deep + 1, found);
    }
}

fn namespaces(outside: &Outside) -> Vec<Row> {
    let mut found: Vec<Row> = outside
        .namespaces
        .iter()
        .map(|(kind, reading)| {
            row(kind, reading, |namespace| match namespace.host {
                true => (Tone::Dim, format!("{}  the host's", namespace.id)),
                false => (Tone::Own, format!("{}  its own", namespace.id)),
            })
        })
        .collect();
    if let Some(offsets) = outside.time_offsets.value() {
        let moved = offsets.iter().filter(|(_, offset)| *offset != "0 s 0 ns");
        found.extend(moved.map(|(clock, offset)| Row::new(Tone::Own, clock, format!("+ {offset}"))));
    }
    found
}

pub fn ids(ids: &ids::Ids) -> String {
    let four = |four: &ids::Four| {
        let all = [four.real, four.effective, four.saved, four.filesystem];
        match all.iter().all(|id| *id == four.real) {
            true => four.real.to_string(),
            false => format!("real {} effective {} saved {} filesystem {}", all[0], all[1], all[2], all[3]),
        }
    };
    let groups = list(ids.groups.iter().map(u32::to_string), " ", MOST);
    let groups = if groups.is_empty() { "none".to_owned() } else { groups };
    format!("uid {}, gid {}, groups {groups}", four(&ids.uid), four(&ids.gid))
}

pub fn range(range: &ids::Range) -> String {
    let last = |first: u32| u64::from(first) + u64::from(range.count).saturating_sub(1);
    match range.count {
        1 => format!("{} inside is {}", range.inside, range.outside),
        _ => {
            let (inside, outside) = (last(range.inside), last(range.outside));
            format!("{}–{inside} inside is {}–{outside}", range.inside, range.outside)
        }
    }
}

fn user(outside: &Outside) -> Vec<Row> {
    let map = |ranges: &Vec<ids::Range>| match ranges.as_slice() {
        [] => (Tone::Own, "none yet: every id is the overflow id".to_owned()),
        [all] if all.inside == 0 && all.outside == 0 && all.count == u32::MAX => {
            (Tone::Dim, "every id is itself".to_owned())
        }
        ranges => (Tone::Own, list(ranges.iter().map(range), ", ", MOST)),
    };
    vec![
        row("ids", &outside.ids, |all| plain(ids(all))),
        row("uid map", &outside.uid_map, map),
        row("gid map", &outside.gid_map, map),
        row("setgroups", &outside.setgroups, |word| own(word == "deny", word)),
        row("umask", &outside.umask, |mask| plain(mask)),
    ]
}

fn privileges(outside: &Outside) -> Vec<Row> {
    let mut found = rows("capabilities", &outside.capabilities, |sets| {
        capabilities::SETS
            .iter()
            .filter_map(|(name, _)| {
                sets.get(*name).map(|set| Row::new(Tone::Plain, *name, capability_set(set)))
            })
            .collect()
    });
    found.extend([
        row("no new privs", &outside.no_new_privs, |set| own(*set, if *set { "yes" } else { "no" })),
        row("seccomp", &outside.seccomp, |seccomp| {
            let filters = seccomp
                .filters
                .filter(|count| *count > 0)
                .map_or(String::new(), |count| format!(", {count} stacked"));
            own(seccomp.mode != "disabled", format!("{}{filters}", seccomp.mode))
        }),
        row("LSM label", &outside.lsm_label, |label| plain(label)),
    ]);
    found
}

/// The hexadecimal number, and the names without their common `CAP_`; of an almost full set what is missing.
fn capability_set(set: &capabilities::Capabilities) -> String {
    let short = |name: &String| name.trim_start_matches("CAP_").to_owned();
    let all = capabilities::names((1 << 41) - 1);
    let missing: Vec<String> = all.iter().filter(|name| !set.names.contains(name)).map(short).collect();
    let names = match (set.names.len(), missing.len()) {
        (0, _) => "none".to_owned(),
        (_, 0) => "all".to_owned(),
        (_, 1..=4) => format!("all but {}", missing.join(" ")),
        (count, _) => format!("{count}: {}", list(set.names.iter().map(short), " ", 64)),
    };
    format!("{}  {names}", set.hex)
}

fn root(outside: &Outside) -> Vec<Row> {
    let mut found = vec![row("link", &outside.root, |root| own(root.link != "/", &root.link))];
    if let Some(root) = outside.root.value() {
        if let (Some(filesystem), Some(directory)) = (&root.filesystem, &root.directory) {
            found.push(Row::new(
                Tone::Plain,
                "file system",
                format!("{filesystem}, its directory {directory}"),
            ));
        }
        let place = root.on_host.as_deref().unwrap_or("nowhere: that file system is not mounted on the host");
        found.push(Row::new(Tone::Plain, "on the host", place));
    }
    found
}

pub fn mount(mount: &mounts::Mount) -> String {
    let part = if mount.root == "/" { String::new() } else { format!(", its directory {}", mount.root) };
    let source = match mount.source.as_str() {
        "none" | "" => String::new(),
        source if source == mount.filesystem => String::new(),
        source => format!(" of {source}"),
    };
    format!("{}{source}{part}; {}; {}", mount.filesystem, mount.flags.join(" "), mount.propagation.kind)
}

pub fn limit(limit: &limits::Limit) -> String {
    match limit.soft == limit.hard {
        true => limit.soft.to_string(),
        false => format!("{}, at most {}", limit.soft, limit.hard),
    }
}

fn cgroups(groups: &BTreeMap<String, cgroups::Cgroup>) -> Vec<Row> {
    let mut found = Vec::new();
    for (name, group) in groups {
        let frozen = if group.frozen == Some(true) { ", frozen" } else { "" };
        let text = format!("{} (version {}{frozen})", group.path, group.version);
        found.push(Row::new(if group.path == "/" { Tone::Dim } else { Tone::Own }, name, text));
        let met = group.events.iter().filter(|(_, count)| *count != "0");
        for (file, value) in
            group.limits.iter().chain(group.usage.iter().filter(|(file, _)| !file.contains(' '))).chain(met)
        {
            found.push(Row::new(Tone::Plain, format!("  {file}"), amount(file, value)));
        }
    }
    found
}

/// Bytes in a unit that fits, beside the number that is in the file.
fn amount(file: &str, value: &str) -> String {
    let bytes = value.parse::<u64>().ok().filter(|_| file.starts_with("memory.") && !file.contains(' '));
    match bytes {
        Some(bytes) if bytes >= 1 << 62 => format!("{value} (no limit)"),
        Some(bytes) if bytes >= 1 << 20 => format!("{value} ({} MiB)", bytes >> 20),
        _ => value.to_owned(),
    }
}

fn limits(outside: &Outside) -> Vec<Row> {
    let mut found = rows("limits", &outside.limits, |limits| {
        limits.iter().map(|(name, limit)| Row::new(Tone::Plain, name, self::limit(limit))).collect()
    });
    found.push(row("oom_score_adj", &outside.oom_score_adj, |score| plain(score.to_string())));
    found
}

fn signals(outside: &Outside) -> Vec<Row> {
    rows("signals", &outside.signals, |signals| {
        let all = [
            ("pending", &signals.pending),
            ("blocked", &signals.blocked),
            ("ignored", &signals.ignored),
            ("caught", &signals.caught),
        ];
        let some = all.into_iter().filter(|(_, names)| !names.is_empty());
        let found: Vec<Row> =
            some.map(|(label, names)| Row::new(Tone::Plain, label, list(names, " ", MOST))).collect();
        if found.is_empty() { vec![Row::new(Tone::Dim, "all", "their default action")] } else { found }
    })
}
