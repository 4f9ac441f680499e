//! Who is it? The ids of /proc/PID/status, which the kernel writes as the reader's user namespace has
//! them, and the maps between two user namespaces (user_namespaces(7)).

use super::status::Status;
use crate::kernel::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ids {
    pub uid: Four,
    pub gid: Four,
    pub groups: Vec<u32>,
}

/// The four ids of one kind that a process has (credentials(7)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Four {
    pub real: u32,
    pub effective: u32,
    pub saved: u32,
    pub filesystem: u32,
}

pub fn parse(status: &Status) -> Result<Ids, Errno> {
    let four = |name| match status.numbers(name)?.as_slice() {
        &[real, effective, saved, filesystem] => Ok(Four { real, effective, saved, filesystem }),
        _ => Err(Errno::ENODATA),
    };
    Ok(Ids { uid: four("Uid")?, gid: four("Gid")?, groups: status.numbers("Groups")? })
}

/// One line of /proc/PID/uid_map: `count` ids from `inside` on are the ids from `outside` on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    pub inside: u32,
    /// As the reader's user namespace has them.
    pub outside: u32,
    pub count: u32,
}

pub fn parse_map(text: &str) -> Result<Vec<Range>, Errno> {
    let line = |line: &str| {
        let numbers: Result<Vec<u32>, _> = line.split_whitespace().map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[inside, outside, count]) => Ok(Range { inside, outside, count }),
            _ => Err(Errno::ENODATA),
        }
    };
    text.lines().map(line).collect()
}
