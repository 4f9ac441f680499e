//! How much may a process use, and how much does it? Memory, processors and processes of its group, the same for both
//! versions of cgroups(7), each with the place in the view where it was read.
//!
//! Next: `process` and `security`, which show it.

use crate::probes::cgroups::Cgroup;
use crate::view::KernelView;
use crate::web::scene::{Row, Tone, part};

/// A controller and its files: version 2 has `memory.max`, version 1 `memory.limit_in_bytes`.
pub struct Resource {
    pub name: &'static str,
    /// Its name, in version 2 and in version 1.
    controller: &'static [&'static str],
    limits: &'static [&'static str],
    usage: &'static [&'static str],
    /// How often the limit was met.
    met: &'static [&'static str],
    tell: fn(&str) -> Option<String>,
}

pub static RESOURCES: [Resource; 4] = [
    Resource {
        name: "memory",
        controller: &["memory"],
        limits: &["memory.max", "memory.limit_in_bytes"],
        usage: &["memory.current", "memory.usage_in_bytes"],
        met: &["memory.events max", "memory.failcnt"],
        tell: bytes,
    },
    Resource {
        name: "processor",
        controller: &["cpu"],
        limits: &["cpu.max", "cpu.cfs_quota_us"],
        usage: &[],
        met: &["cpu.stat nr_throttled"],
        tell: microseconds,
    },
    Resource {
        name: "processes",
        controller: &["pids"],
        limits: &["pids.max"],
        usage: &["pids.current"],
        met: &["pids.events max"],
        tell: |text| Some(text.to_owned()).filter(|text| text != "max"),
    },
    Resource {
        name: "I/O",
        controller: &["io", "blkio"],
        // A line for each device that has one.
        limits: &["io.max", "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"],
        usage: &[],
        met: &[],
        tell: |text| Some(text.to_owned()).filter(|text| !text.is_empty()),
    },
];

impl Resource {
    /// What may be used.
    pub fn limit(&self, view: &KernelView) -> Row {
        let Some((at, group)) = self.group(view) else {
            return Row::new(self.name, "no group of this controller").tone(Tone::Off);
        };
        for file in self.limits {
            if let Some(text) = group.limits.get(*file) {
                let fact = format!("{at}/limits/{}", part(file));
                let Some(told) = (self.tell)(text) else { break };
                // The name of version 1's file is what says which of the two it is.
                let told = if file.starts_with("blkio") { format!("{file} {told}") } else { told };
                let period = group.limits.get("cpu.cfs_period_us").filter(|_| *file == "cpu.cfs_quota_us");
                return match period {
                    Some(period) => Row::new(self.name, share(text, period)),
                    None => Row::new(self.name, told),
                }
                .fact(fact);
            }
        }
        Row::new(self.name, "no limit in its group")
    }

    /// What is in use now, and how often more was asked for than is allowed.
    pub fn used(&self, view: &KernelView) -> Vec<Row> {
        let Some((at, group)) = self.group(view) else { return Vec::new() };
        let usage = self.usage.iter().filter_map(|file| {
            let text = group.usage.get(*file)?;
            let told = if self.name == "memory" { bytes(text) } else { None };
            let fact = format!("{at}/usage/{}", part(file));
            Some(Row::new("in use", told.unwrap_or_else(|| text.clone())).fact(fact))
        });
        let met = self.met.iter().filter_map(|file| {
            let (table, count) = match group.events.get(*file) {
                Some(count) => ("events", count),
                None => ("usage", group.usage.get(*file)?),
            };
            let fact = format!("{at}/{table}/{}", part(file));
            Some(Row::new("limit met", format!("{count} times")).fact(fact))
        });
        usage.chain(met).collect()
    }

    fn group<'a>(&self, view: &'a KernelView) -> Option<(String, &'a Cgroup)> {
        let groups = view.outside.cgroups.value()?;
        let (key, group) = groups
            .iter()
            .find(|(_, group)| group.controllers.iter().any(|one| self.controller.contains(&one.as_str())))?;
        Some((format!("/outside/cgroups/value/{}", part(key)), group))
    }
}

/// In a unit that fits, beside the number that is in the file; none for no limit.
pub fn bytes(text: &str) -> Option<String> {
    // Version 1 has no word for it: the largest number of whole pages.
    let bytes = text.parse::<u64>().ok().filter(|bytes| *bytes < 1 << 62)?;
    Some(match bytes {
        0..0x10_0000 => format!("{text} bytes"),
        _ => format!("{} MiB ({text} bytes)", bytes >> 20),
    })
}

/// `cpu.max` is a quota and its period, `cpu.cfs_quota_us` a quota, -1 for none.
fn microseconds(text: &str) -> Option<String> {
    let mut words = text.split(' ');
    let quota = words.next()?.parse::<u64>().ok()?;
    Some(match words.next().and_then(|period| period.parse::<u64>().ok()) {
        Some(period) => format!("{} ({text} µs)", processors(quota, period)),
        None => text.to_owned(),
    })
}

fn share(quota: &str, period: &str) -> String {
    match (quota.parse(), period.parse()) {
        (Ok(quota), Ok(period)) => format!("{} ({quota} of {period} µs)", processors(quota, period)),
        _ => quota.to_owned(),
    }
}

fn processors(quota: u64, period: u64) -> String {
    let hundredths = quota.saturating_mul(100).checked_div(period).unwrap_or(0);
    match (hundredths / 100, hundredths % 100) {
        (1, 0) => "1 processor’s time".to_owned(),
        (whole, 0) => format!("the time of {whole} processors"),
        (whole, part) => format!("the time of {whole}.{part:02} processors"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_say_the_same_of_a_limit() {
        assert_eq!(bytes("max"), None);
        assert_eq!(bytes("9223372036854771712"), None);
        assert_eq!(bytes("536870912").as_deref(), Some("512 MiB (536870912 bytes)"));
        assert_eq!(microseconds("max 100000"), None);
        assert_eq!(microseconds("-1"), None);
        assert_eq!(
            microseconds("50000 100000").as_deref(),
            Some("the time of 0.50 processors (50000 100000 µs)")
        );
        assert_eq!(share("5000", "100000"), "the time of 0.05 processors (5000 of 100000 µs)");
        assert_eq!(share("100000", "100000"), "1 processor’s time (100000 of 100000 µs)");
        assert_eq!(share("1", "0"), "the time of 0 processors (1 of 0 µs)");
    }
}
