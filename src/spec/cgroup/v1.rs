//! cgroup v1: a file for each field, nearly by the same name.
//!
//! Next: `v2`.

use super::super::Error;
use super::{Limits, cpuset, rdma, throttles};
use oci_spec::runtime::LinuxResources;

/// The writes for `linux.resources` in the hierarchies of cgroup v1.
pub fn v1(resources: &LinuxResources) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    memory(resources, &mut limits)?;
    cpu(resources, &mut limits);
    match resources.pids().as_ref().map_or(0, |pids| pids.limit()) {
        0 => {}
        limit if limit < 0 => limits.add("pids", "max", "max"),
        limit => limits.add("pids", "max", limit),
    }
    io(resources, &mut limits);
    for huge in resources.hugepage_limits().iter().flatten() {
        limits.add("hugetlb", &format!("hugetlb.{}.limit_in_bytes", huge.page_size()), huge.limit());
        limits.try_add("hugetlb", &format!("hugetlb.{}.rsvd.limit_in_bytes", huge.page_size()), huge.limit());
    }
    if let Some(network) = resources.network() {
        if let Some(id) = network.class_id().filter(|id| *id != 0) {
            limits.add("net_cls", "classid", id);
        }
        for priority in network.priorities().iter().flatten() {
            limits.add("net_prio", "ifpriomap", format!("{} {}", priority.name(), priority.priority()));
        }
    }
    rdma(resources, &mut limits);
    if resources.unified().as_ref().is_some_and(|unified| !unified.is_empty()) {
        limits.lost("unified", "its files are those of cgroup v2, and this machine has v1 or both");
    }
    Ok(limits)
}

fn memory(resources: &LinuxResources, limits: &mut Limits) -> Result<(), Error> {
    let Some(memory) = resources.memory() else { return Ok(()) };
    let limit = memory.limit().unwrap_or(0);
    let both = match memory.swap().unwrap_or(0) {
        0 if limit == -1 => -1,
        both => both,
    };
    super::swap_alone(limit, both)?;
    // A new group has no limits, and memsw may never be below limit: so limit goes first.
    if limit != 0 {
        limits.add("memory", "limit_in_bytes", limit);
    }
    if both != 0 {
        limits.try_add("memory", "memsw.limit_in_bytes", both);
    }
    if let Some(reservation) = memory.reservation().filter(|n| *n != 0) {
        limits.add("memory", "soft_limit_in_bytes", reservation);
    }
    if memory.disable_oom_killer() == Some(true) {
        limits.add("memory", "oom_control", 1);
    }
    match memory.swappiness() {
        Some(n @ 0..=100) => limits.add("memory", "swappiness", n),
        None | Some(u64::MAX) => {}
        Some(n) => {
            return Err(Error::new("linux.resources.memory.swappiness", n.to_string(), "0 to 100"));
        }
    }
    if memory.kernel().is_some() || memory.kernel_tcp().is_some() {
        limits.lost(
            "memory.kernel",
            "kernels from 5.4 on ignore it or have it no more, and so do other runtimes",
        );
    }
    Ok(())
}

fn cpu(resources: &LinuxResources, limits: &mut Limits) {
    let Some(cpu) = resources.cpu() else { return };
    if let Some(shares) = cpu.shares().filter(|n| *n != 0) {
        limits.add("cpu", "shares", shares);
    }
    // The quota is checked against the period that is there.
    if let Some(period) = cpu.period().filter(|n| *n != 0) {
        limits.add("cpu", "cfs_period_us", period);
    }
    if let Some(quota) = cpu.quota().filter(|n| *n != 0) {
        limits.add("cpu", "cfs_quota_us", quota);
    }
    if let Some(burst) = cpu.burst() {
        limits.try_add("cpu", "cfs_burst_us", burst);
    }
    if let Some(period) = cpu.realtime_period().filter(|n| *n != 0) {
        limits.add("cpu", "rt_period_us", period);
    }
    if let Some(runtime) = cpu.realtime_runtime().filter(|n| *n != 0) {
        limits.add("cpu", "rt_runtime_us", runtime);
    }
    if let Some(idle) = cpu.idle() {
        limits.try_add("cpu", "idle", idle);
    }
    cpuset(cpu, limits);
}

fn io(resources: &LinuxResources, limits: &mut Limits) {
    let Some(io) = resources.block_io() else { return };
    if let Some(weight) = io.weight().filter(|n| *n != 0) {
        limits.try_add("blkio", "weight", weight);
        limits.try_add("blkio", "bfq.weight", weight);
    }
    if let Some(weight) = io.leaf_weight().filter(|n| *n != 0) {
        limits.try_add("blkio", "leaf_weight", weight);
    }
    for device in io.weight_device().iter().flatten() {
        let at = format!("{}:{}", device.major(), device.minor());
        if let Some(weight) = device.weight() {
            limits.try_add("blkio", "weight_device", format!("{at} {weight}"));
            limits.try_add("blkio", "bfq.weight_device", format!("{at} {weight}"));
        }
        if let Some(weight) = device.leaf_weight() {
            limits.try_add("blkio", "leaf_weight_device", format!("{at} {weight}"));
        }
    }
    for (file, _, device) in throttles(io) {
        let value = format!("{}:{} {}", device.major(), device.minor(), device.rate());
        limits.add("blkio", &format!("blkio.throttle.{file}_device"), value);
    }
}
