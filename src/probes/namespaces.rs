//! In which namespaces is it? The links of /proc/PID/ns (namespaces(7)): the same number means the same one.

use super::Reading;
use crate::kernel::{Errno, dir::Dir};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Namespace {
    /// The inode number of nsfs, which is the namespace's name.
    pub id: u64,
    /// Whether it is the host's: that of process 1, or the reader's where that one cannot be read.
    pub host: bool,
}

/// Kinds, in the order of the man page. The last two are where children will be put.
pub const KINDS: [&str; 10] =
    ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts", "pid_for_children", "time_for_children"];

/// The numbers of one process's namespaces, in the order of [`KINDS`].
pub struct Ids([Result<u64, Errno>; 10]);

impl Ids {
    pub fn read(process: &Dir) -> Ids {
        Ids(KINDS.map(|kind| parse(&process.link(&format!("ns/{kind}"))?)))
    }

    pub fn id(&self, kind: &str) -> Result<u64, Errno> {
        let place = KINDS.iter().position(|known| *known == kind);
        place.and_then(|place| self.0.get(place).copied()).unwrap_or(Err(Errno::ENODATA))
    }

    /// This one's, and those of the reader where these were refused.
    pub fn or(self, reader: &Ids) -> Ids {
        let mut ids = self.0;
        for (id, other) in ids.iter_mut().zip(reader.0) {
            *id = id.or(other);
        }
        Ids(ids)
    }

    pub fn readings(&self, host: &Ids) -> BTreeMap<String, Reading<Namespace>> {
        let reading = |kind: &str| {
            let id = self.id(kind);
            let is_host = |id| host.id(kind.trim_end_matches("_for_children")) == Ok(id);
            Reading::new(format!("/proc/PID/ns/{kind}"), id.map(|id| Namespace { id, host: is_host(id) }))
        };
        KINDS.iter().map(|kind| ((*kind).to_owned(), reading(kind))).collect()
    }
}

/// `net:[4026531833]`
pub fn parse(link: &[u8]) -> Result<u64, Errno> {
    let text = std::str::from_utf8(link).map_err(|_| Errno::ENODATA)?;
    let number = text.split_once(":[").and_then(|(_, rest)| rest.strip_suffix(']'));
    number.and_then(|number| number.parse().ok()).ok_or(Errno::ENODATA)
}
