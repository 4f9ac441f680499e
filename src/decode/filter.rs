//! What do the filters of a container's process decide, in as few words as a trace has room for? For this
//! machine's own ABI, the names of the calls by what they get.
//!
//! Next: `crate::trace`, which records it when the stage that loads the filter is left.

use super::seccomp::{Answer, When, native};
use crate::kernel::bpf::Insn;
use crate::kernel::ptrace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Filter {
    /// Whether the program was read back from the kernel, or what it was given where it shows none.
    pub source: String,
    /// Instructions of each filter, the first installed coming first: a process has those of its maker, too.
    pub instructions: Vec<usize>,
    pub architecture: String,
    /// How many calls are allowed whatever their arguments.
    pub allowed: usize,
    /// Calls by what they get: `EPERM`, `ENOSYS`, `kills the process`.
    pub refused: BTreeMap<String, Vec<String>>,
    /// Calls that reach the kernel or somebody who is asked: `allowed and logged`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub otherwise: BTreeMap<String, Vec<String>>,
    pub by_arguments: BTreeMap<String, ByArguments>,
    /// Calls that have more ways through the filter than are followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// What a number beyond those that have a name gets.
    pub beyond: Answer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ByArguments {
    /// The arguments that decide, from 0; 6 is the instruction pointer.
    pub arguments: Vec<u8>,
    pub actions: Vec<When>,
}

/// What decides for this process, which has just loaded `program`. A process is not asked itself when it could
/// be disturbed by that: then `pid` is none.
pub fn of(pid: Option<i32>, program: Vec<Insn>) -> Filter {
    const ASKED: &str = "PTRACE_SECCOMP_GET_FILTER";
    let read = pid.map(ptrace::seccomp_filters);
    let (source, filters) = match read {
        Some(Ok(filters)) if filters.last() == Some(&program) => {
            (format!("{ASKED}: what was loaded"), filters)
        }
        Some(Ok(filters)) if !filters.is_empty() => (format!("{ASKED}: not what was loaded"), filters),
        Some(Err(error)) => {
            (format!("seccomp(2), as it was given; {}: {}", error.request, error.errno), vec![program])
        }
        _ => ("seccomp(2), as it was given".to_owned(), vec![program]),
    };
    compact(source, &filters)
}

fn compact(source: String, filters: &[Vec<Insn>]) -> Filter {
    let answers = native(filters);
    let mut filter = Filter {
        source,
        instructions: filters.iter().map(Vec::len).collect(),
        architecture: answers.name,
        allowed: 0,
        refused: BTreeMap::new(),
        otherwise: BTreeMap::new(),
        by_arguments: BTreeMap::new(),
        unknown: Vec::new(),
        beyond: answers.beyond,
    };
    for call in answers.calls {
        match call.answer {
            Answer::Allowed => filter.allowed += 1,
            Answer::Refused { with } => filter.refused.entry(with).or_default().push(call.name),
            Answer::Otherwise { with } => filter.otherwise.entry(with).or_default().push(call.name),
            Answer::Depends { arguments, actions } => {
                filter.by_arguments.insert(call.name, ByArguments { arguments, actions });
            }
            Answer::Unknown { .. } => filter.unknown.push(call.name),
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;
    /// One instruction, BPF_RET: what it returns is what every call gets (linux/seccomp.h).
    #[test]
    fn each_call_is_counted_once_by_what_it_gets() {
        let of = |k| compact(String::new(), &[vec![Insn { code: 0x06, jt: 0, jf: 0, k }]]);
        let all = native(&[]).calls.len();
        assert!(all > 250, "{all}");
        assert_eq!(of(0x7fff_0000).allowed, all);
        assert_eq!(of(0x0005_0001).refused["EPERM"].len(), all);
        let logged = of(0x7ffc_0000);
        assert_eq!((logged.allowed, logged.refused.len()), (0, 0));
        assert_eq!(logged.otherwise.values().map(Vec::len).collect::<Vec<_>>(), [all]);
    }
}
