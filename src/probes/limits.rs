//! What may it use at most? The table of /proc/PID/limits (getrlimit(2)), by the names of the man page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A soft and a hard limit; none is RLIM_INFINITY.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    pub soft: Option<u64>,
    pub hard: Option<u64>,
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
        "unlimited" => Some(None),
        _ => word.parse().ok().map(Some),
    };
    let line = |line: &str| {
        let (label, name) = NAMES.into_iter().find(|(label, _)| line.starts_with(label))?;
        let mut words = line.strip_prefix(label)?.split_whitespace();
        let (soft, hard) = (number(words.next()?)?, number(words.next()?)?);
        Some((name.to_owned(), Limit { soft, hard }))
    };
    text.lines().filter_map(line).collect()
}
