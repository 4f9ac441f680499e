//! Which devices may a container use? The rules of an OCI `config.json`, as lines for cgroup v1's
//! `devices.allow` and `devices.deny`, and as the eBPF program that does it on cgroup v2.
//!
//! Next: `ebpf`, the program.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use std::fmt;

pub mod ebpf;

pub use ebpf::{attach, attached, load, program};

/// Bits of an access, as eBPF has them (BPF_DEVCG_ACC_*, linux/bpf.h).
pub const MKNOD: u8 = 1;
pub const READ: u8 = 2;
pub const WRITE: u8 = 4;
const ALL: u8 = MKNOD | READ | WRITE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Block,
    Char,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Kind::Block => 'b',
            Kind::Char => 'c',
        }
    }
}

/// A rule of `linux.resources.devices`; none stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub allow: bool,
    pub kind: Option<Kind>,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: u8,
}

/// A rule that cannot be kept, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub rule: String,
    pub why: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the device rule \"{}\" cannot be kept: {}", self.rule, self.why)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let letter = self.kind.map_or('a', Kind::letter);
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        write!(f, "{letter} {}:{} ", number(self.major), number(self.minor))?;
        let letters = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')];
        letters
            .iter()
            .filter(|(bit, _)| self.access & bit != 0)
            .try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

impl Rule {
    fn is_everything(&self) -> bool {
        (self.kind, self.major, self.minor, self.access) == (None, None, None, ALL)
    }

    fn is_about(&self, kind: Kind, major: u32, minor: u32) -> bool {
        self.kind.is_none_or(|its| its == kind)
            && self.major.is_none_or(|its| its == major)
            && self.minor.is_none_or(|its| its == minor)
    }
}

/// The rules in a form that can be asked; negative numbers and absent ones are wildcards.
pub fn rules(of: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>, Error> {
    of.iter().map(rule).collect()
}

fn rule(of: &LinuxDeviceCgroup) -> Result<Rule, Error> {
    let wrong = |why: &str| Error { rule: of.to_string(), why: why.to_owned() };
    let kind = match of.typ() {
        None | Some(LinuxDeviceType::A) => None,
        Some(LinuxDeviceType::B) => Some(Kind::Block),
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(Kind::Char),
        Some(LinuxDeviceType::P) => return Err(wrong("a FIFO is no device; take the rule out")),
    };
    let number = |n: Option<i64>| match n {
        None | Some(..0) => Ok(None),
        Some(n) => u32::try_from(n).map(Some).map_err(|_| wrong("device numbers have 32 bits")),
    };
    let access = match of.access().as_deref() {
        // As runc takes it.
        None | Some("") => ALL,
        Some(letters) => letters.chars().try_fold(0, |bits, letter| match letter {
            'r' => Ok(bits | READ),
            'w' => Ok(bits | WRITE),
            'm' => Ok(bits | MKNOD),
            _ => Err(wrong("the access must be made of r, w and m")),
        })?,
    };
    Ok(Rule { allow: of.allow(), kind, major: number(of.major())?, minor: number(of.minor())?, access })
}

/// What the rules mean: for each bit of the access the last rule about it counts; without one, no.
pub fn allowed(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    [MKNOD, READ, WRITE].into_iter().filter(|bit| access & bit != 0).all(|bit| {
        let last =
            rules.iter().rev().find(|rule| rule.access & bit != 0 && rule.is_about(kind, major, minor));
        last.is_some_and(|rule| rule.allow)
    })
}

/// What to write on cgroup v1, in order: the file in the group, and the line.
///
/// v1 has one default, set by a rule about everything, and exceptions to it; a rule that goes with the
/// default only takes away exceptions that are equal to it. What cannot be said so is refused.
pub fn v1_lines(of: &[LinuxDeviceCgroup]) -> Result<Vec<(&'static str, String)>, Error> {
    let file = |allow: bool| if allow { "devices.allow" } else { "devices.deny" };
    // A group starts with its parent's exceptions; without a first rule about everything, deny.
    let mut lines = vec![(file(false), "a".to_owned())];
    let (mut default, mut exceptions) = (false, Vec::<Rule>::new());
    for rule in rules(of)? {
        if rule.is_everything() {
            default = rule.allow;
            exceptions.clear();
            lines = vec![(file(default), "a".to_owned())];
            continue;
        }
        // In a line, `a` means everything whatever follows it.
        for kind in rule.kind.map_or(vec![Kind::Block, Kind::Char], |kind| vec![kind]) {
            let rule = Rule { kind: Some(kind), ..rule };
            if rule.allow != default {
                lines.push((file(rule.allow), rule.to_string()));
                exceptions.push(rule);
                continue;
            }
            for exception in exceptions.iter().filter(|exception| overlap(exception, &rule)) {
                if !covers(&rule, exception) {
                    return Err(Error {
                        rule: rule.to_string(),
                        why: format!(
                            "cgroup v1 knows no exception to the exception \"{exception}\"; put it first"
                        ),
                    });
                }
                let part = Rule { allow: default, access: exception.access & rule.access, ..*exception };
                lines.push((file(default), part.to_string()));
            }
            for exception in exceptions.iter_mut().filter(|exception| covers(&rule, exception)) {
                exception.access &= !rule.access;
            }
            exceptions.retain(|exception| exception.access != 0);
        }
    }
    Ok(lines)
}

fn overlap(one: &Rule, other: &Rule) -> bool {
    let meet = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    one.kind == other.kind
        && meet(one.major, other.major)
        && meet(one.minor, other.minor)
        && one.access & other.access != 0
}

/// Is `wide` about every device that `narrow` is about?
fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let holds = |wide: Option<u32>, narrow: Option<u32>| wide.is_none() || wide == narrow;
    wide.kind == narrow.kind && holds(wide.major, narrow.major) && holds(wide.minor, narrow.minor)
}
