//! What is in a directory inside? The records that the helper wrote down (`kernel::inside`), decoded.

use super::text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The entries of one directory by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entries {
    pub entries: BTreeMap<String, Entry>,
    /// There are more than are named here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// `directory`, `file`, `symlink`, `character device`, `block device`, `fifo`, `socket`.
    pub kind: String,
    /// Where a symlink leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// A device's numbers, `1:3` for /dev/null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// A device's rights, `0666`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// A device's owner, `0:5` for uid 0 and gid 5, as its user namespace has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A record is five numbers (mode, major, minor, uid, gid) and two texts (name, link); one with no name says
/// that there were more.
pub fn parse(mut bytes: &[u8]) -> Entries {
    let mut list = Entries::default();
    while let Some((numbers, rest)) = numbers::<5>(bytes)
        && let Some((name, rest)) = counted(rest)
        && let Some((link, rest)) = counted(rest)
    {
        bytes = rest;
        if name.is_empty() {
            list.more = true;
            continue;
        }
        let [mode, major, minor, uid, gid] = numbers;
        let kind = kind(mode);
        let is_device = kind.ends_with("device");
        let entry = Entry {
            kind: kind.to_owned(),
            link: (!link.is_empty()).then(|| text(link)),
            device: is_device.then(|| format!("{major}:{minor}")),
            mode: is_device.then(|| format!("{:04o}", mode & 0o7777)),
            owner: is_device.then(|| format!("{uid}:{gid}")),
        };
        list.entries.insert(text(name), entry);
    }
    list
}

pub(super) fn kind(mode: u32) -> &'static str {
    match mode & 0o170_000 {
        0o040_000 => "directory",
        0o100_000 => "file",
        0o120_000 => "symlink",
        0o020_000 => "character device",
        0o060_000 => "block device",
        0o010_000 => "fifo",
        0o140_000 => "socket",
        _ => "unknown",
    }
}

pub(super) fn numbers<const N: usize>(bytes: &[u8]) -> Option<([u32; N], &[u8])> {
    let mut numbers = [0; N];
    let mut rest = bytes;
    for number in &mut numbers {
        let (four, tail) = rest.split_first_chunk::<4>()?;
        *number = u32::from_ne_bytes(*four);
        rest = tail;
    }
    Some((numbers, rest))
}

pub(super) fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([length], rest) = numbers::<1>(bytes)?;
    rest.split_at_checked(length as usize)
}
