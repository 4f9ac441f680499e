//! Which files of a control group hold a limit? `linux.resources`, written for cgroup v1, as the writes that
//! it means on v1 and on v2, in the order that the kernel needs; what a version has no file for is a note.
//!
//! The conversions are runc's (1.3.2 on, for the weight of the processor). Next: `crate::stages::cgroup`.

mod v1;
mod v2;

pub use v1::v1;
pub use v2::v2;

use super::{Error, Note};
use oci_spec::runtime::{
    LinuxCpu, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType, LinuxResources,
    LinuxThrottleDevice,
};

/// One value for one file of a control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The controller that must be there, or enabled, for the file to be there.
    pub controller: String,
    pub file: String,
    pub value: String,
    /// The kernel may have been built without this file (swap, bfq): then it is said, and is no failure.
    pub optional: bool,
}

/// What becomes of `linux.resources` in one version of control groups; device rules are apart, see [`rules`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub writes: Vec<Write>,
    pub notes: Vec<Note>,
}

impl Limits {
    fn add(&mut self, controller: &str, file: &str, value: impl ToString) {
        self.push(controller, file, value.to_string(), false);
    }

    fn try_add(&mut self, controller: &str, file: &str, value: impl ToString) {
        self.push(controller, file, value.to_string(), true);
    }

    fn push(&mut self, controller: &str, file: &str, value: String, optional: bool) {
        let own = file.strip_prefix(controller).is_some_and(|rest| rest.starts_with('.'));
        let file = if own { file.to_owned() } else { format!("{controller}.{file}") };
        self.writes.push(Write { controller: controller.to_owned(), file, value, optional });
    }

    /// A field that this version of control groups has nothing for.
    fn lost(&mut self, field: &str, why: &str) {
        self.notes.push(Note::new("cgroup", format!("linux.resources.{field} is not obeyed: {why}")));
    }
}

/// The device rules that hold: the description's own, then those without which no container works, as runc
/// adds them (mknod of anything, and what OCI's default devices and terminals need). The last that matches wins.
pub fn rules(resources: &LinuxResources) -> Vec<LinuxDeviceCgroup> {
    use LinuxDeviceType::{B, C};
    let rule = |kind, major: Option<i64>, minor: Option<i64>, access: &str| {
        let mut rule =
            LinuxDeviceCgroupBuilder::default().allow(true).access(access).build().unwrap_or_default();
        rule.set_typ(Some(kind)).set_major(major).set_minor(minor);
        rule
    };
    let mut rules = resources.devices().clone().unwrap_or_default();
    if rules.is_empty() {
        return rules;
    }
    rules.push(rule(C, None, None, "m"));
    rules.push(rule(B, None, None, "m"));
    // null, random, full, tty, zero, urandom, ptmx.
    for (major, minor) in [(1, 3), (1, 8), (1, 7), (5, 0), (1, 5), (1, 9), (5, 2)] {
        rules.push(rule(C, Some(major), Some(minor), "rwm"));
    }
    rules.push(rule(C, Some(136), None, "rwm"));
    rules
}

/// v1 has no swap limit of its own, but one of memory and swap together; this is what v2 is to be given.
/// `None`: not set.
fn swap_alone(limit: i64, both: i64) -> Result<Option<String>, Error> {
    let refused =
        |found: String, expected: &str| Err(Error::new("linux.resources.memory.swap", found, expected));
    match (limit, both) {
        (-1, 0) | (_, -1) => Ok(Some("max".to_owned())),
        (_, 0) => Ok(None),
        (-1, both) => Ok(Some(both.to_string())),
        (0, both) => {
            refused(format!("{both} with no memory limit"), "memory.limit too: swap is what is above it")
        }
        (limit, both) => match both.checked_sub(limit).filter(|swap| *swap >= 0) {
            Some(swap) => Ok(Some(swap.to_string())),
            None => refused(format!("{both} is less than the limit {limit}"), "the sum of memory and swap"),
        },
    }
}

/// `cpu.shares` as `cpu.weight`: a curve through 2 and 1, 1024 and 100, 262144 and 10000 (runc 1.3.2, crun 1.23).
pub fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

/// `blkio.weight`, 10 to 1000, as `io.weight`, 1 to 10000.
fn weight_of_blkio(weight: u16) -> u64 {
    1 + u64::from(weight.clamp(10, 1000) - 10) * 9999 / 990
}

/// On which processors and memory nodes: the same in both versions.
fn cpuset(cpu: &LinuxCpu, limits: &mut Limits) {
    for (file, list) in [("cpus", cpu.cpus()), ("mems", cpu.mems())] {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            limits.add("cpuset", file, list);
        }
    }
}

/// What is limited, and at which device.
fn throttles(
    io: &oci_spec::runtime::LinuxBlockIo,
) -> impl Iterator<Item = (&'static str, &'static str, &LinuxThrottleDevice)> {
    let all = [
        ("read_bps", "rbps", io.throttle_read_bps_device()),
        ("write_bps", "wbps", io.throttle_write_bps_device()),
        ("read_iops", "riops", io.throttle_read_iops_device()),
        ("write_iops", "wiops", io.throttle_write_iops_device()),
    ];
    all.into_iter().flat_map(|(v1, v2, devices)| devices.iter().flatten().map(move |device| (v1, v2, device)))
}

/// `rdma.max` is the same in both versions.
fn rdma(resources: &LinuxResources, limits: &mut Limits) {
    let mut all: Vec<_> = resources.rdma().iter().flatten().collect();
    all.sort_by_key(|(name, _)| name.as_str());
    for (name, limit) in all {
        let mut value = name.clone();
        for (key, number) in [("hca_handle", limit.hca_handles()), ("hca_object", limit.hca_objects())] {
            if let Some(number) = number {
                value += &format!(" {key}={number}");
            }
        }
        limits.add("rdma", "max", value);
    }
}

#[cfg(test)]
mod tests;
