//! What may the container use? The limits that its control group is given, and the devices that it may open.
//!
//! Next: `cgroup`, which says which files these are written to.

use super::devices::Node;
use super::values::Cpus;
use super::{Error, Options};
use crate::host::Host;
use oci_spec::runtime::{
    LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxPids, LinuxResources,
};

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
pub fn resources(options: &Options, nodes: &[Node]) -> Result<LinuxResources, Error> {
    let limits = &options.limits;
    let mut resources = LinuxResources::default();
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
        let mut limit = LinuxMemory::default();
        limit.set_limit(Some(memory)).set_swap(Some(swap));
        resources.set_memory(Some(limit));
    }
    let mut cpu = LinuxCpu::default();
    if limits.cpus.0 > 0 {
        cpu.set_quota(Some(limits.cpus.0)).set_period(Some(Cpus::PERIOD));
    }
    cpu.set_shares(limits.cpu_shares).set_cpus(limits.cpuset_cpus.clone());
    if cpu != LinuxCpu::default() {
        resources.set_cpu(Some(cpu));
    }
    if limits.pids_limit > 0 {
        let mut pids = LinuxPids::default();
        pids.set_limit(limits.pids_limit);
        resources.set_pids(Some(pids));
    }
    resources.set_devices(Some(device_rules(nodes)));
    Ok(resources)
}

/// Moby's: nothing but null, zero, random, urandom, tty and console; /dev/fuse named, so that it stays out.
fn device_rules(nodes: &[Node]) -> Vec<LinuxDeviceCgroup> {
    let known = [
        (true, 1, 5),
        (true, 1, 3),
        (true, 1, 9),
        (true, 1, 8),
        (true, 5, 0),
        (true, 5, 1),
        (false, 10, 229),
    ];
    let known =
        known.map(|(allow, major, minor)| rule(allow, Some((LinuxDeviceType::C, major, minor)), "rwm"));
    let asked = nodes.iter().map(|node| node.rule.clone());
    std::iter::once(rule(false, None, "rwm")).chain(known).chain(asked).collect()
}

/// Whether one device, or every device, may be opened so.
pub fn rule(allow: bool, device: Option<(LinuxDeviceType, i64, i64)>, access: &str) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow).set_access(Some(access.to_owned()));
    if let Some((kind, major, minor)) = device {
        rule.set_typ(Some(kind)).set_major(Some(major)).set_minor(Some(minor));
    }
    rule
}
