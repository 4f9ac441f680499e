//! May these lines stand in uid_map? The kernel's own rules (user_namespaces(7)), before it says only EINVAL.
//!
//! Next: `linux`.

use super::super::Error;
use super::Checked;
use oci_spec::runtime::LinuxIdMapping;

/// The kernel's limit since Linux 4.15.
const LINES: usize = 340;

pub fn check(checked: &Checked, path: &str, map: &[LinuxIdMapping]) -> Result<(), Error> {
    if map.len() > LINES {
        return checked.fault(path, format!("{} lines", map.len()), "340 at most");
    }
    for (index, line) in map.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if line.size() == 0 {
            return checked.fault(&format!("{path}.size"), 0, "1 or more");
        }
        // The last id, 4294967295, means none.
        let fits = |first: u32| first.checked_add(line.size()).is_some();
        if !fits(line.host_id()) || !fits(line.container_id()) {
            return checked.fault(&path, "ids beyond 4294967294", "a range that ends before");
        }
        let overlaps =
            |a: u32, b: u32, size: u32| a < b.saturating_add(size) && b < a.saturating_add(line.size());
        let clash = map.iter().take(index).any(|other| {
            overlaps(line.host_id(), other.host_id(), other.size())
                || overlaps(line.container_id(), other.container_id(), other.size())
        });
        if clash {
            return checked.fault(&path, "ids that an earlier line maps", "each id once, on both sides");
        }
    }
    Ok(())
}
