//! Which capabilities are in the five sets? The numbers of /proc/PID/status, decoded (capabilities(7)).

use super::status::Status;
use crate::kernel::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One set: as the kernel writes it, and what that means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    pub hex: String,
    pub names: Vec<String>,
}

/// The sets by name, and each one's line in `status`.
pub const SETS: [(&str, &str); 5] = [
    ("inheritable", "CapInh"),
    ("permitted", "CapPrm"),
    ("effective", "CapEff"),
    ("bounding", "CapBnd"),
    ("ambient", "CapAmb"),
];

pub fn parse(status: &Status) -> Result<BTreeMap<String, Capabilities>, Errno> {
    SETS.into_iter()
        .map(|(name, line)| {
            let bits = status.mask(line)?;
            Ok((name.to_owned(), Capabilities { hex: format!("{bits:016x}"), names: names(bits) }))
        })
        .collect()
}

/// The capabilities of a set, in the kernel's order; one that this program does not know is `CAP_63`.
pub fn names(bits: u64) -> Vec<String> {
    let known = known();
    let name = |bit: usize| match known.get(bit).copied().flatten() {
        Some(capability) => capability.to_string(),
        None => format!("CAP_{bit}"),
    };
    (0..64).filter(|bit| bits & (1 << bit) != 0).map(name).collect()
}

/// The set that has these capabilities; the reverse of [`names`].
pub fn bits(names: &[String]) -> Option<u64> {
    names.iter().try_fold(0u64, |bits, name| {
        let known = name.parse::<caps::Capability>().ok().map(|capability| u32::from(capability.index()));
        let bit = known.or_else(|| name.strip_prefix("CAP_")?.parse().ok())?;
        Some(bits | 1u64.checked_shl(bit)?)
    })
}

fn known() -> &'static [Option<caps::Capability>; 64] {
    static KNOWN: std::sync::OnceLock<[Option<caps::Capability>; 64]> = std::sync::OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut table = [None; 64];
        for capability in caps::all() {
            if let Some(place) = table.get_mut(usize::from(capability.index())) {
                *place = Some(capability);
            }
        }
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_default_is_fourteen_capabilities() {
        let decoded = names(0xa80425fb);
        assert_eq!(decoded.len(), 14);
        assert_eq!(decoded[0], "CAP_CHOWN");
        assert_eq!(decoded[13], "CAP_SETFCAP");
        assert_eq!(bits(&decoded), Some(0xa80425fb));
    }
}
