//! Which system calls may a process make? Its filters are read back from the kernel and asked about each.
//!
//! Next: `crate::cli::decode`, which prints it.

use crate::kernel::bpf::explore::{Verdict, explore};
use crate::kernel::bpf::{Action, Insn};
use crate::kernel::{ptrace, seccomp};
use oci_spec::runtime::Arch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Decoded {
    pub pid: i32,
    /// Instructions of each filter, the first installed coming first.
    pub filters: Vec<usize>,
    pub architectures: Vec<Architecture>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Architecture {
    pub name: String,
    /// An AUDIT_ARCH_* value (linux/audit.h).
    pub audit: u32,
    /// Each call that has a name, by its number.
    pub calls: Vec<Decision>,
    /// What a number beyond them gets.
    pub beyond: Answer,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Decision {
    pub number: u32,
    pub name: String,
    #[serde(flatten)]
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Answer {
    Allowed,
    /// `EPERM`, `kills the process`.
    Refused {
        with: String,
    },
    /// It reaches the kernel or somebody who is asked: `allowed and logged`, `asks a tracer (1)`.
    Otherwise {
        with: String,
    },
    Depends {
        arguments: Vec<u8>,
        actions: Vec<When>,
    },
    /// More ways through the filter than are followed.
    Unknown {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct When {
    pub action: String,
    /// `(arg0 & 0x7e020000) == 0x0`; absent where it is all else, or is not said in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

impl Answer {
    fn of(verdict: Verdict) -> Answer {
        match verdict {
            Verdict::Always(Action::Allow) => Answer::Allowed,
            Verdict::Always(with @ (Action::Log | Action::Trace(_) | Action::UserNotif)) => {
                Answer::Otherwise { with: with.to_string() }
            }
            Verdict::Always(with) => Answer::Refused { with: with.to_string() },
            Verdict::Depends { args, actions } => {
                let when = |(action, when): (Action, _)| When { action: action.to_string(), when };
                Answer::Depends { arguments: args, actions: actions.into_iter().map(when).collect() }
            }
            Verdict::TooComplex => Answer::Unknown { why: "too many ways through the filter".into() },
            Verdict::Broken => Answer::Unknown { why: "no filter that this program understands".into() },
        }
    }
}

/// The ABIs by which a process of this machine can call its kernel: name, AUDIT_ARCH_*, where its numbers begin.
#[cfg(target_arch = "x86_64")]
const ABIS: [(Arch, &str, u32, u32); 3] = [
    (Arch::ScmpArchX86_64, "x86_64", 0xc000_003e, 0),
    (Arch::ScmpArchX86, "i386", 0x4000_0003, 0),
    (Arch::ScmpArchX32, "x32", 0xc000_003e, 0x4000_0000),
];
#[cfg(target_arch = "aarch64")]
const ABIS: [(Arch, &str, u32, u32); 2] =
    [(Arch::ScmpArchAarch64, "aarch64", 0xc000_00b7, 0), (Arch::ScmpArchArm, "arm", 0x4000_0028, 0)];

/// No ABI has more numbers than this.
const NUMBERS: u32 = 600;

/// Read the filters of a process, and ask them.
pub fn decode(pid: i32) -> Result<Decoded, ptrace::Error> {
    match ptrace::seccomp_filters(pid) {
        Err(_) if has_none(pid) => Ok(ask(pid, &[])),
        filters => Ok(ask(pid, &filters?)),
    }
}

/// Reading filters back takes privilege, but that there is none is said to everybody. What has no memory, a thread of
/// the kernel or a zombie, makes no system calls.
fn has_none(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("\nVmSize:") && status.contains("\nSeccomp:\t0\n")
}

/// Ask filters about every call that has a name.
pub fn ask(pid: i32, filters: &[Vec<Insn>]) -> Decoded {
    let asked = if filters.is_empty() { &[][..] } else { &ABIS[..] };
    Decoded {
        pid,
        filters: filters.iter().map(Vec::len).collect(),
        architectures: asked.iter().map(|abi| architecture(*abi, filters)).collect(),
    }
}

/// What filters decide for the ABI that programs of this machine have.
pub fn native(filters: &[Vec<Insn>]) -> Architecture {
    let [native, ..] = ABIS;
    architecture(native, filters)
}

fn architecture((arch, name, audit, base): (Arch, &str, u32, u32), filters: &[Vec<Insn>]) -> Architecture {
    let answer = |number| Answer::of(explore(filters, audit, number));
    let numbers = base..base + NUMBERS;
    let calls: Vec<Decision> = numbers
        .filter_map(|number| {
            let name = seccomp::syscall_name(arch, number)?;
            Some(Decision { number, name, answer: answer(number) })
        })
        .collect();
    let beyond = answer(calls.last().map_or(base, |last| last.number + 1));
    Architecture { name: name.to_owned(), audit, calls, beyond }
}
