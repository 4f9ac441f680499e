//! What may it use at most? The table of /proc/PID/limits (getrlimit(2)), by the names of the man page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A soft and a hard limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    pub soft: Bound,
    pub hard: Bound,
}

/// A number, or RLIM_INFINITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Bound {
    At(u64),
    None(Unlimited),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unlimited {
    Unlimited,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Bound::At(number) => write!(f, "{number}"),
            Bound::None(_) => write!(f, "unlimited"),
        }
    }
}

const NAMES: [(&str, &str); 16] = [
    ("Max cpu time", "RLIMIT_CPU"),
    ("Max file size", "RLIMIT_FSIZE"),
    ("Max data size", "RLIMIT_DATA"),
    ("Max stack size", "RLIMIT_STACK"),
    ("Max core file size", "RLIMIT_CORE"),
    ("Max resident set", "RLIMIT_RSS"),
    ("Max processes", "RLIMIT_NPROC"),
    ("Max open files", "RLIMIT_NOFILE"),
    ("Max locked memory", "RLIMIT_MEMLOCK"),
    ("Max address space", "RLIMIT_AS"),
    ("Max file locks", "RLIMIT_LOCKS"),
    ("Max pending signals", "RLIMIT_SIGPENDING"),
    ("Max msgqueue size", "RLIMIT_MSGQUEUE"),
    ("Max nice priority", "RLIMIT_NICE"),
    ("Max realtime priority", "RLIMIT_RTPRIO"),
    ("Max realtime timeout", "RLIMIT_RTTIME"),
];

/// Lines that are no limit known here are left out, the heading among them.
pub fn parse(text: &str) -> BTreeMap<String, Limit> {
    let number = |word: &str| match word {
        "unlimited" => Some(Bound::None(Unlimited::Unlimited)),
        _ => word.parse().ok().map(Bound::At),
    };
    let line = |line: &str| {
        let (label, name) = NAMES.into_iter().find(|(label, _)| line.starts_with(label))?;
        let mut words = line.strip_prefix(label)?.split_whitespace();
        let (soft, hard) = (number(words.next()?)?, number(words.next()?)?);
        Some((name.to_owned(), Limit { soft, hard }))
    };
    text.lines().filter_map(line).collect()
}
