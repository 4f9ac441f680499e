//! cgroup v2: other names, other units, and `max` for no limit.
//!
//! Next: `crate::stages::cgroup`.

use super::super::Error;
use super::{Limits, cpuset, rdma, swap_alone, throttles, weight_of_blkio, weight_of_shares};
use oci_spec::runtime::LinuxResources;

/// The writes for `linux.resources` in the one hierarchy of cgroup v2; device rules are a BPF program there.
pub fn v2(resources: &LinuxResources) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    memory(resources, &mut limits)?;
    cpu(resources, &mut limits);
    match resources.pids().as_ref().map_or(0, |pids| pids.limit()) {
        0 => {}
        limit => limits.add("pids", "max", or_max(limit)),
    }
    io(resources, &mut limits);
    for huge in resources.hugepage_limits().iter().flatten() {
        limits.add("hugetlb", &format!("hugetlb.{}.max", huge.page_size()), huge.limit());
        limits.try_add("hugetlb", &format!("hugetlb.{}.rsvd.max", huge.page_size()), huge.limit());
    }
    if resources.network().as_ref().is_some_and(|n| n.class_id().is_some() || n.priorities().is_some()) {
        limits.lost("network", "cgroup v2 has neither net_cls nor net_prio");
    }
    rdma(resources, &mut limits);
    unified(resources, &mut limits)?;
    Ok(limits)
}

fn or_max(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

fn memory(resources: &LinuxResources, limits: &mut Limits) -> Result<(), Error> {
    let Some(memory) = resources.memory() else { return Ok(()) };
    let limit = memory.limit().unwrap_or(0);
    if let Some(swap) = swap_alone(limit, memory.swap().unwrap_or(0))? {
        limits.try_add("memory", "swap.max", swap);
    }
    if limit != 0 {
        limits.add("memory", "max", or_max(limit));
    }
    if let Some(reservation) = memory.reservation().filter(|n| *n != 0) {
        limits.add("memory", "low", or_max(reservation));
    }
    if memory.disable_oom_killer() == Some(true) {
        limits.lost("memory.disableOOMKiller", "cgroup v2 cannot switch it off");
    }
    if memory.swappiness().is_some() {
        limits.lost("memory.swappiness", "cgroup v2 has none for a group");
    }
    if memory.kernel().is_some() || memory.kernel_tcp().is_some() {
        limits.lost("memory.kernel", "on cgroup v2 the kernel's memory is part of memory.max");
    }
    Ok(())
}

fn cpu(resources: &LinuxResources, limits: &mut Limits) {
    let Some(cpu) = resources.cpu() else { return };
    if let Some(idle) = cpu.idle() {
        limits.try_add("cpu", "idle", idle);
    }
    // In an idle group the weight is fixed, and writing it gives EINVAL.
    if let Some(shares) = cpu.shares().filter(|n| *n != 0 && cpu.idle() != Some(1)) {
        limits.add("cpu", "weight", weight_of_shares(shares));
    }
    let (quota, period) = (cpu.quota().unwrap_or(0), cpu.period().unwrap_or(0));
    if quota != 0 || period != 0 {
        let quota = if quota > 0 { quota.to_string() } else { "max".to_owned() };
        limits.add("cpu", "max", format!("{quota} {}", if period == 0 { 100_000 } else { period }));
    }
    if let Some(burst) = cpu.burst() {
        limits.try_add("cpu", "cpu.max.burst", burst);
    }
    let real_time = cpu.realtime_period().unwrap_or(0) != 0 || cpu.realtime_runtime().unwrap_or(0) != 0;
    if real_time {
        limits.lost("cpu.realtimeRuntime", "cgroup v2 has no groups for real-time processes");
    }
    cpuset(cpu, limits);
}

fn io(resources: &LinuxResources, limits: &mut Limits) {
    let Some(io) = resources.block_io() else { return };
    if let Some(weight) = io.weight().filter(|n| *n != 0) {
        limits.try_add("io", "io.bfq.weight", weight);
        limits.try_add("io", "weight", weight_of_blkio(weight));
    }
    for device in io.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            let value = format!("{}:{} {weight}", device.major(), device.minor());
            limits.try_add("io", "io.bfq.weight", value);
        }
    }
    let leaf = io.weight_device().iter().flatten().any(|device| device.leaf_weight().is_some());
    if leaf || io.leaf_weight().is_some_and(|n| n != 0) {
        limits.lost("blockIO.leafWeight", "cgroup v2 lets no processes be where groups are");
    }
    for (_, key, device) in throttles(io) {
        // 0 is no limit, and io.max says so.
        let rate = if device.rate() == 0 { "max".to_owned() } else { device.rate().to_string() };
        limits.add("io", "max", format!("{}:{} {key}={rate}", device.major(), device.minor()));
    }
}

/// Files by their own names: a name is one file of the group, never a path out of it.
fn unified(resources: &LinuxResources, limits: &mut Limits) -> Result<(), Error> {
    let mut all: Vec<_> = resources.unified().iter().flatten().collect();
    all.sort();
    for (file, value) in all {
        match file.split_once('.') {
            Some((controller, _)) if !file.contains('/') && !controller.is_empty() => {
                for line in value.lines() {
                    limits.add(controller, file, line);
                }
            }
            _ => {
                let expected = "a file of cgroup v2, such as memory.high";
                return Err(Error::new("linux.resources.unified", format!("{file:?}"), expected));
            }
        }
    }
    Ok(())
}
