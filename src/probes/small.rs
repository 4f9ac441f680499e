//! What do the small files say? Those of /proc/PID that hold one thing each.

use super::{nul_separated, numbered, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// /proc/PID/cmdline: the arguments, program name first; empty for a kernel thread and a zombie.
pub fn command_line(bytes: &[u8]) -> Vec<String> {
    nul_separated(bytes).collect()
}

/// /proc/PID/environ: the environment that it was started with, by name.
pub fn environment(bytes: &[u8]) -> BTreeMap<String, String> {
    numbered(nul_separated(bytes).map(|variable| {
        let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
        (name.to_owned(), value.to_owned())
    }))
}

/// /proc/PID/attr/current: the label that AppArmor, SELinux or Smack gave it.
pub fn label(bytes: &[u8]) -> String {
    text(bytes).trim_end_matches(['\0', '\n']).to_owned()
}

/// What /proc/PID/status says of seccomp(2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seccomp {
    /// `disabled`, `strict` or `filter`.
    pub mode: String,
    /// How many filters are stacked; Linux 5.9 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<u32>,
}

pub fn seccomp(mode: u32, filters: Option<u32>) -> Seccomp {
    let mode = match mode {
        0 => "disabled".to_owned(),
        1 => "strict".to_owned(),
        2 => "filter".to_owned(),
        other => other.to_string(),
    };
    Seccomp { mode, filters }
}

/// The open files: by descriptor, what /proc/PID/fd says that it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenFiles {
    pub files: BTreeMap<String, String>,
    /// There are more than are named here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// /proc/PID/timens_offsets: by clock, how many seconds (and nanoseconds) are added in the time namespace.
pub fn time_offsets(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (clock, seconds, nanos) = (words.next()?, words.next()?, words.next()?);
        Some((clock.to_owned(), format!("{seconds} s {nanos} ns")))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_may_be_empty_and_variables_may_come_twice() {
        assert_eq!(command_line(b"sh\0-c\0\0"), ["sh", "-c", ""]);
        assert!(command_line(b"").is_empty());
        let environment = environment(b"A=1\0A=2\0B\0=x\0\xff=\x1b[31m\0");
        assert_eq!((environment["A"].as_str(), environment["A#2"].as_str()), ("1", "2"));
        assert_eq!(environment["B"], "");
        assert_eq!(environment["\u{fffd}"], "\u{1b}[31m");
    }

    /// A process says what is in its environment: were each looked for from the beginning, this would take minutes.
    #[test]
    fn a_variable_may_come_as_often_as_a_process_likes() {
        let often = environment(&b"A#3=x\0A=\0".repeat(30_000));
        assert_eq!(often.len(), 60_000);
        assert!(often.contains_key("A#30001") && often.contains_key("A#3#30000"));
    }
}
