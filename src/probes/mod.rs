//! What can be read of a process? One file a subject: the type of the answer, and the pure function that
//! makes it of the bytes that the kernel gave. These survive any bytes (tests/parsers.rs).
//!
//! Next: `crate::view`, which asks all of them at one moment.

pub mod capabilities;
pub mod cgroups;
pub mod entries;
pub mod host_network;
pub mod ids;
pub mod layers;
pub mod limits;
pub mod mounts;
pub mod namespaces;
pub mod network;
pub mod processes;
pub mod root;
pub mod signals;
pub mod small;
pub mod status;

use crate::kernel::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One thing read from the kernel: where it was read, and the answer. What was refused is an answer too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading<T> {
    /// The file and line, or the call, that gives it: `/proc/PID/status NSpid`.
    pub source: Cow<'static, str>,
    #[serde(flatten)]
    pub answer: Answer<T>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    Value(T),
    Refused(Errno),
}

impl<T> Reading<T> {
    pub fn new(source: impl Into<Cow<'static, str>>, answer: Result<T, Errno>) -> Reading<T> {
        let answer = answer.map_or_else(Answer::Refused, Answer::Value);
        Reading { source: source.into(), answer }
    }

    pub fn get(&self) -> Result<&T, Errno> {
        match &self.answer {
            Answer::Value(value) => Ok(value),
            Answer::Refused(errno) => Err(*errno),
        }
    }

    pub fn value(&self) -> Option<&T> {
        self.get().ok()
    }
}

/// Text that the kernel gave, which may be any bytes: what is no UTF-8 is replaced.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Things under their names; under `name#2`, `name#3` … where there are several of that name.
fn numbered<T>(things: impl IntoIterator<Item = (String, T)>) -> BTreeMap<String, T> {
    let mut map = BTreeMap::new();
    // Where to go on looking for a free number: a process chooses how often it repeats a name, and from 2 on each time
    // would take the square of that.
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for (name, thing) in things {
        let mut key = name.clone();
        while map.contains_key(&key) {
            let number = last.entry(name.clone()).or_insert(1);
            *number += 1;
            key = format!("{name}#{number}");
        }
        map.insert(key, thing);
    }
    map
}

/// The next `\0`-ended text of some bytes, as /proc/PID/cmdline and environ have them.
fn nul_separated(bytes: &[u8]) -> impl Iterator<Item = String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).filter(move |_| !bytes.is_empty()).map(text)
}
