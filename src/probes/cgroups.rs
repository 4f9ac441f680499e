//! In which cgroup is it, and what does that allow? /proc/PID/cgroup, and the files of the directory in each
//! hierarchy (cgroups(7); Documentation/admin-guide/cgroup-v2.rst in the kernel).

use super::{mounts::Mount, text};
use crate::kernel::dir::Dir;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The process's place in one hierarchy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cgroup {
    /// 1 or 2.
    pub version: u8,
    /// The controllers: of version 1 those of the hierarchy, of version 2 those that are enabled here.
    pub controllers: Vec<String>,
    /// As the reader's cgroup namespace has it.
    pub path: String,
    /// The group's directory, where the hierarchy is mounted for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// By file: what may be used.
    pub limits: BTreeMap<String, String>,
    /// By file: what is in use now.
    pub usage: BTreeMap<String, String>,
    /// By file and name: how often a limit was met.
    pub events: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
}

/// What of a group's directory is in a view. A file that this kernel or this group lacks is left out.
const LIMITS_V2: [&str; 9] = [
    "cgroup.type",
    "cpu.max",
    "cpu.weight",
    "cpuset.cpus",
    "memory.high",
    "memory.max",
    "memory.swap.max",
    "pids.max",
    "io.max",
];
const USAGE_V2: [&str; 3] = ["memory.current", "memory.swap.current", "pids.current"];
const EVENTS_V2: [&str; 2] = ["memory.events", "pids.events"];

/// By controller of version 1: limits, use, events.
type Files = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);
const FILES_V1: [Files; 7] = [
    ("cpu", &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"], &["cpu.stat"], &[]),
    (
        "memory",
        &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
        &["memory.usage_in_bytes"],
        &["memory.failcnt"],
    ),
    ("pids", &["pids.max"], &["pids.current"], &["pids.events"]),
    ("cpuset", &["cpuset.cpus", "cpuset.mems"], &[], &[]),
    ("devices", &["devices.list"], &[], &[]),
    ("freezer", &[], &[], &[]),
    ("blkio", &["blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"], &[], &[]),
];

/// One line of /proc/PID/cgroup: the hierarchy's name, its version, controllers and the path.
pub struct Line<'a> {
    pub name: String,
    pub version: u8,
    pub controllers: Vec<&'a str>,
    pub path: &'a str,
}

/// A hierarchy is named by its controllers, version 2 is `unified`.
pub fn parse(text: &str) -> Vec<Line<'_>> {
    let line = |line| {
        let mut words = str::splitn(line, 3, ':');
        let (number, controllers, path) = (words.next()?, words.next()?, words.next()?);
        let version = if number == "0" && controllers.is_empty() { 2 } else { 1 };
        let name = if version == 2 { "unified" } else { controllers };
        let controllers = controllers.split(',').filter(|name| !name.is_empty()).collect();
        Some(Line { name: name.to_owned(), version, controllers, path })
    };
    text.lines().filter_map(line).collect()
}

/// The paths alone, by hierarchy: what the helper inside sees.
pub fn paths(text: &str) -> BTreeMap<String, String> {
    parse(text).into_iter().map(|line| (line.name, line.path.to_owned())).collect()
}

pub fn read(text: &str, host: &BTreeMap<String, Mount>) -> BTreeMap<String, Cgroup> {
    parse(text).into_iter().map(|line| (line.name.clone(), read_group(&line, host))).collect()
}

fn read_group(line: &Line, host: &BTreeMap<String, Mount>) -> Cgroup {
    let directory = directory(line, host);
    let mut group = Cgroup {
        version: line.version,
        controllers: line.controllers.iter().map(|name| (*name).to_owned()).collect(),
        path: line.path.to_owned(),
        limits: BTreeMap::new(),
        usage: BTreeMap::new(),
        events: BTreeMap::new(),
        frozen: None,
        directory,
    };
    let Some(Ok(dir)) = group.directory.as_deref().map(Dir::open) else { return group };
    if line.version == 2 {
        let controllers = dir.read("cgroup.controllers").unwrap_or_default();
        group.controllers = text(&controllers).split_whitespace().map(str::to_owned).collect();
        let wanted = |file: &&&str| match file.split_once('.') {
            Some(("cgroup", _)) | None => true,
            Some((controller, _)) => group.controllers.iter().any(|name| name == controller),
        };
        group.limits = values(&dir, LIMITS_V2.iter().filter(wanted));
        group.usage = values(&dir, USAGE_V2.iter().filter(wanted));
        group.events = values(&dir, EVENTS_V2.iter().filter(wanted));
        let events = dir.read("cgroup.events").map(|bytes| text(&bytes));
        group.frozen = events.ok().and_then(|events| {
            events.lines().find_map(|line| line.strip_prefix("frozen ").map(|value| value == "1"))
        });
    } else {
        for (_, limits, usage, events) in
            FILES_V1.iter().filter(|(controller, ..)| line.controllers.contains(controller))
        {
            group.limits.extend(values(&dir, limits.iter()));
            group.usage.extend(values(&dir, usage.iter()));
            group.events.extend(values(&dir, events.iter()));
        }
        if line.controllers.contains(&"freezer") {
            group.frozen = dir.read("freezer.state").ok().map(|state| !state.starts_with(b"THAWED"));
        }
    }
    group
}

/// A file of one line is a value; one of `name value` lines is several, `memory.events oom_kill`.
fn values<'a>(dir: &Dir, files: impl Iterator<Item = &'a &'a str>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in files {
        let Ok(bytes) = dir.read(file) else { continue };
        let content = text(&bytes);
        let one_by_one = file.ends_with(".events") || file.ends_with(".stat");
        match one_by_one {
            true => found.extend(content.lines().filter_map(|line| {
                let (name, value) = line.split_once(' ')?;
                Some((format!("{file} {name}"), value.to_owned()))
            })),
            // A line for each device that has a limit: most have none.
            false if file.starts_with("blkio.") && content.trim_end().is_empty() => {}
            false => found.extend([((*file).to_owned(), content.trim_end().to_owned())]),
        }
    }
    found
}

/// The hierarchy's mount is found by its file system and, in version 1, a controller among its options.
fn directory(line: &Line, host: &BTreeMap<String, Mount>) -> Option<String> {
    let is_this = |mount: &Mount| match line.version {
        2 => mount.filesystem == "cgroup2",
        _ => {
            mount.filesystem == "cgroup"
                && line
                    .controllers
                    .first()
                    .is_some_and(|name| mount.options.iter().any(|option| option == name))
        }
    };
    host.iter().filter(|(_, mount)| is_this(mount)).find_map(|(at, mount)| {
        let below = line.path.strip_prefix(mount.root.trim_end_matches('/'))?;
        // `/../x` is a group above the reader's cgroup namespace: it has no directory here.
        let reachable =
            (below.is_empty() || below.starts_with('/')) && !below.split('/').any(|name| name == "..");
        reachable.then(|| format!("{at}{}", below.trim_end_matches('/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_hierarchies_have_names_and_directories() {
        let host = super::super::mounts::parse(
            "1 0 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
             2 0 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        );
        let lines = parse("4:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/../x\nbad\n");
        let names: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.version, line.path)).collect();
        assert_eq!(names, [("cpu,cpuacct", 1, "/a:b"), ("name=systemd", 1, "/"), ("unified", 2, "/../x")]);
        let places: Vec<_> = lines.iter().map(|line| directory(line, &host)).collect();
        assert_eq!(places, [Some("/sys/fs/cgroup/cpu/a:b".into()), None, None]);
    }
}
