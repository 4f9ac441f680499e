//! Can a control group be made, limited and frozen? Made below the place that [`Cgroups::place`] gives,
//! tried, and removed at once.
//!
//! Next: [`super::files`].
//!
//! [`Cgroups::place`]: crate::host::Cgroups::place

use super::case::{Case, left_behind};
use super::{Answer, Finding, mend};
use crate::host::{Hierarchy, Mode};
use crate::kernel::Errno;
use crate::kernel::attempt::{self, modern};
use crate::kernel::trial::{End, trial};
use std::path::Path;
use std::time::Duration;

pub fn version(case: &Case) -> Finding {
    let all = &case.host.cgroup;
    let names = |version: u8| {
        let of = |hierarchy: &&Hierarchy| hierarchy.version == version;
        let names = all.hierarchies.iter().filter(of).flat_map(|hierarchy| hierarchy.controllers.clone());
        names.collect::<Vec<_>>().join(" ")
    };
    match all.mode {
        Mode::V2 => Finding::new(Answer::Yes, format!("version 2: {}", names(2))),
        Mode::V1 => Finding::new(Answer::Yes, format!("version 1: {}", names(1))),
        Mode::Hybrid => {
            Finding::new(Answer::Yes, format!("hybrid: version 1 has {}; version 2 {}", names(1), names(2)))
        }
        Mode::None => Finding::new(Answer::No, "none are mounted").because(
            "no file system of type cgroup or cgroup2 is mounted here",
            Some(mend::as_root(case.host, "mount -t cgroup2 none /sys/fs/cgroup")),
        ),
    }
}

/// The hierarchy in which a container's main group would be.
fn main_hierarchy<'a>(case: &Case<'a>) -> Option<&'a Hierarchy> {
    let all = &case.host.cgroup;
    all.controller("memory").or_else(|| all.v2()).or_else(|| all.hierarchies.first())
}

fn none_mounted() -> Finding {
    Finding::new(Answer::NotAsked, "no hierarchy is mounted for it")
}

const NAME: &str = "learnctr-doctor-";

/// Make a group, try something with it, remove it.
fn with_group(hierarchy: &Hierarchy, attempt: impl FnOnce(&Path) -> Result<(), Errno>) -> Result<(), Errno> {
    let parent = &hierarchy.parent.dir;
    left_behind(parent, NAME, |group| _ = std::fs::remove_dir(group));
    let group = parent.join(format!("{NAME}{}", std::process::id()));
    attempt::mkdir(&group)?;
    // A limit is of no use in a group that nobody can enter.
    let outcome = if hierarchy.is_beyond_a_border() {
        enter(&group).and_then(|()| attempt(&group))
    } else {
        attempt(&group)
    };
    // A process that has just left may be counted a little longer.
    let mut removed = attempt::rmdir(&group);
    for _ in 0..50 {
        if removed != Err(Errno::EBUSY) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
        removed = std::fs::remove_dir(&group).map_err(Errno::from);
    }
    outcome.and(removed)
}

fn enter(group: &Path) -> Result<(), Errno> {
    trial(|| attempt::write(&group.join("cgroup.procs"), "0")).adopt()
}

pub fn group(case: &Case) -> Finding {
    let Some(hierarchy) = main_hierarchy(case) else { return none_mounted() };
    let place = hierarchy.parent.dir.display();
    let trial = trial(|| with_group(hierarchy, enter));
    let finding = Finding::of(trial, format!("made below {place}, entered and removed"));
    if finding.answer == Answer::Yes { finding } else { undelegated(case, finding) }
}

/// What an ordinary user can do to be given a group.
fn undelegated(case: &Case, finding: Finding) -> Finding {
    let host = case.host;
    let refused_here = finding.trial.as_ref().is_none_or(|trial| trial.end == End::Refused(Errno::EACCES));
    if host.uid == 0 || !refused_here {
        return finding;
    }
    let systemd = Path::new("/run/systemd/system").exists();
    match (host.cgroup.mode, systemd) {
        (Mode::V2, true) => finding.because(
            "no group above us was delegated to this user",
            Some("systemd-run --user --scope -p Delegate=yes learnctr step".into()),
        ),
        (Mode::V2, false) => {
            let mount = host.cgroup.v2().map(|v2| v2.mount.display().to_string()).unwrap_or_default();
            let (uid, group) = (host.uid, format!("user-{}", host.uid));
            // The shell that types it goes into a group below, since a group with controllers holds no process.
            let command = format!(
                "sh -c 'cd {mount} && echo +cpu +memory +pids > cgroup.subtree_control; mkdir -p {group}/shell && \
                 chown {uid} {group} {group}/cgroup.procs {group}/cgroup.subtree_control && \
                 echo '$$' > {group}/shell/cgroup.procs'"
            );
            finding
                .because("no group above us was delegated to this user", Some(mend::as_root(host, &command)))
        }
        _ => finding.because(
            "version 1 cannot be delegated to a user safely; version 2 can",
            systemd.then(|| "boot with the kernel option systemd.unified_cgroup_hierarchy=1".into()),
        ),
    }
}

/// A file of each version, and a value that it takes.
const LIMITS: [(&str, [&str; 2], [&str; 2]); 3] = [
    ("memory", ["memory.limit_in_bytes", "536870912"], ["memory.max", "536870912"]),
    ("cpu", ["cpu.cfs_quota_us", "100000"], ["cpu.max", "100000 100000"]),
    ("pids", ["pids.max", "100"], ["pids.max", "100"]),
];

pub fn limit(case: &Case, controller: &str) -> Finding {
    let Some(hierarchy) = case.host.cgroup.controller(controller) else {
        let finding = Finding::new(Answer::No, format!("no hierarchy here has the controller {controller}"));
        return match case.host.cgroup.mode {
            Mode::None => none_mounted(),
            _ => undelegated(case, finding),
        };
    };
    let parent = &hierarchy.parent;
    let enabled = hierarchy.version == 1 || parent.enabled.iter().any(|name| name == controller);
    if !enabled {
        return not_enabled(case, hierarchy, controller);
    }
    let files = LIMITS.iter().filter(|(name, ..)| *name == controller);
    let pairs: Vec<[&str; 2]> =
        files.map(|(_, v1, v2)| if hierarchy.version == 1 { *v1 } else { *v2 }).collect();
    let trial = trial(|| {
        with_group(hierarchy, |group| {
            pairs.iter().try_for_each(|[file, value]| attempt::write(&group.join(file), value))
        })
    });
    let says: Vec<String> = pairs.iter().map(|[file, value]| format!("{file} takes {value}")).collect();
    let finding = Finding::of(trial, says.join(", "));
    if finding.answer == Answer::Yes { finding } else { undelegated(case, finding) }
}

/// Enabling a controller changes what all of the machine's groups there have, so it is not tried: the
/// kernel is only asked whether we may.
fn not_enabled(case: &Case, hierarchy: &Hierarchy, controller: &str) -> Finding {
    let parent = &hierarchy.parent;
    let file = parent.dir.join("cgroup.subtree_control");
    match (parent.can_enable, parent.occupied) {
        (true, false) => Finding::new(
            Answer::Yes,
            format!("to be enabled: +{controller} in {}, which we may write", file.display()),
        ),
        (true, true) => Finding::new(
            Answer::Limited,
            format!(
                "{} has processes in it, which have to leave for a group below first",
                parent.dir.display()
            ),
        )
        .because("cgroups(7): no internal processes", None),
        (false, _) => undelegated(
            case,
            Finding::new(Answer::No, format!("{controller} is not enabled in {}", file.display())),
        ),
    }
}

pub fn devices(case: &Case) -> Finding {
    if let Some(hierarchy) = case.host.cgroup.controller("devices") {
        let trial = trial(|| with_group(hierarchy, |group| attempt::write(&group.join("devices.deny"), "a")));
        let finding = Finding::of(trial, "devices.deny takes a rule");
        return if finding.answer == Answer::Yes { finding } else { undelegated(case, finding) };
    }
    if case.host.cgroup.v2().is_none() {
        return none_mounted();
    }
    let finding =
        Finding::of(trial(attempt::device_program), "an eBPF program of type CGROUP_DEVICE is loaded");
    match case.privileged {
        true => finding,
        false => finding
            .or(Answer::Limited, "not for an ordinary user, who can make no device nodes either")
            .because("bpf(2) asks for CAP_BPF and CAP_NET_ADMIN over the machine", None),
    }
}

pub fn freeze(case: &Case) -> Finding {
    let all = &case.host.cgroup;
    let (hierarchy, file, values) = match (all.controller("freezer"), all.v2()) {
        (Some(v1), _) => (v1, "freezer.state", ["FROZEN", "THAWED"]),
        (None, Some(v2)) => (v2, "cgroup.freeze", ["1", "0"]),
        (None, None) => return none_mounted(),
    };
    let trial = trial(|| {
        with_group(hierarchy, |group| {
            values.iter().try_for_each(|value| attempt::write(&group.join(file), value))
        })
    });
    let finding = Finding::of(trial, format!("{file} takes {} and {}", values[0], values[1]));
    if finding.answer == Answer::Yes { finding } else { undelegated(case, finding) }
}

pub fn clone_into(case: &Case) -> Finding {
    let Some(hierarchy) = case.host.cgroup.v2() else {
        return Finding::new(Answer::NotAsked, "it needs version 2");
    };
    let trial = trial(|| with_group(hierarchy, |group| modern::clone3(Some(group))));
    let finding = Finding::of(trial, "a child was born in a group");
    if finding.answer == Answer::Yes { finding } else { undelegated(case, finding) }
}
