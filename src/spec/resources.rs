//! What may the container use? The limits that its control group is given, and the devices that it may open.
//!
//! Next: `cgroup`, which says which files these are written to.

use super::devices::Node;
use super::values::Cpus;
use super::{Error, Options};
use crate::host::Host;
use serde_json::{Map, Value, json};

/// Where its control group is.
pub fn cgroups_path(options: &Options, host: &Host, id: &str) -> String {
    // A relative path begins where groups can be made, which for root is nearly always the root of the mount.
    // No group above it is shared with other containers, so that none has to be kept for them.
    let at_the_top = host.cgroup.hierarchies.iter().all(|hierarchy| hierarchy.parent.dir == hierarchy.mount);
    let root = if host.is_privileged() && at_the_top { "/" } else { "" };
    match &options.limits.cgroup_parent {
        Some(parent) => format!("{}/{id}", parent.trim_end_matches('/')),
        None => format!("{root}learnctr-{id}"),
    }
}

/// `linux.resources`: what the options ask for.
pub fn resources(options: &Options, nodes: &[Node]) -> Result<Value, Error> {
    let limits = &options.limits;
    let mut resources = Map::new();
    let memory = i64::try_from(limits.memory.0).unwrap_or(i64::MAX);
    let swap = match limits.memory_swap {
        Some(_) if memory == 0 => {
            return Err(Error::new("--memory-swap", "given with --memory 0", "a limit of memory too"));
        }
        Some(swap) if swap.0 >= 0 && swap.0 < memory => {
            let found = format!("{} is less than --memory {memory}", swap.0);
            return Err(Error::new("--memory-swap", found, "the sum of memory and swap, such as 1g, or -1"));
        }
        asked => asked.map_or(memory.saturating_mul(2), |swap| swap.0),
    };
    if memory > 0 && memory < 6 << 20 {
        let found = format!("{memory} bytes hold no container");
        return Err(Error::new("--memory", found, "6m at least, or 0 for no limit"));
    }
    if memory > 0 {
        resources.insert("memory".into(), json!({"limit": memory, "swap": swap}));
    }
    let quota = limits.cpus.0;
    let mut cpu = Map::new();
    if quota > 0 {
        cpu.insert("quota".into(), quota.into());
        cpu.insert("period".into(), Cpus::PERIOD.into());
    }
    cpu.extend(limits.cpu_shares.map(|shares| ("shares".into(), shares.into())));
    if let Some(list) = &limits.cpuset_cpus {
        cpu.insert("cpus".into(), list.as_str().into());
    }
    if !cpu.is_empty() {
        resources.insert("cpu".into(), cpu.into());
    }
    if limits.pids_limit > 0 {
        resources.insert("pids".into(), json!({"limit": limits.pids_limit}));
    }
    resources.insert("devices".into(), device_rules(nodes).into());
    Ok(resources.into())
}

/// Moby's: nothing but null, zero, random, urandom, tty and console; /dev/fuse named, so that it stays out.
fn device_rules(nodes: &[Node]) -> Vec<Value> {
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    let known = [
        (true, 1, 5),
        (true, 1, 3),
        (true, 1, 9),
        (true, 1, 8),
        (true, 5, 0),
        (true, 5, 1),
        (false, 10, 229),
    ];
    rules.extend(known.iter().map(|(allow, major, minor)| {
        json!({"allow": allow, "type": "c", "major": major, "minor": minor, "access": "rwm"})
    }));
    rules.extend(nodes.iter().map(|node| node.rule.clone()));
    rules
}
