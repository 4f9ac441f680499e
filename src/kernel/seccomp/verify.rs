//! Does the generated filter decide what the profile says? libseccomp before 2.6.1 mixes up comparisons of
//! several 64-bit arguments (GHSA-4q85-33p6-j5g6), so the filter is asked.
//!
//! Next: `cache`, which keeps what has passed.

use super::{Error, action, library_version, names_one_twice};
use crate::kernel::Errno;
use crate::kernel::bpf::{Action, Data, Insn, decide};
use libseccomp::{ScmpAction, ScmpSyscall};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall};
use std::collections::{BTreeMap, BTreeSet};

/// So many points are asked for one call.
const MAX_POINTS: usize = 1 << 14;

/// Ask the filter about the calls of the profile, as this machine's own ABI makes them.
pub fn verify(profile: &LinuxSeccomp, filter: &[Insn], audit: u32) -> Result<(), Error> {
    let default = taken(action(profile.default_action(), profile.default_errno_ret(), "defaultAction")?);
    let mut calls: BTreeMap<&str, Vec<(&LinuxSyscall, Action)>> = BTreeMap::new();
    for rule in profile.syscalls().iter().flatten() {
        let action = taken(action(rule.action(), rule.errno_ret(), "a rule")?);
        for name in rule.names() {
            calls.entry(name).or_default().push((rule, action));
        }
    }
    for (name, rules) in calls {
        let number = ScmpSyscall::from_name(name).map(ScmpSyscall::as_raw_syscall);
        let Some(nr) = number.ok().and_then(|number| u32::try_from(number).ok()) else { continue };
        for args in points(&rules) {
            let is = decide(&[filter], &Data { nr, arch: audit, args, ..Data::default() });
            let mut meant =
                rules.iter().filter(|(rule, action)| *action != default && holds(rule, args)).peekable();
            let right = match meant.peek() {
                None => is == Some(default),
                // Which of several rules counts, the OCI does not say.
                Some(_) => meant.any(|(_, action)| is == Some(*action)),
            };
            if !right {
                let is = is.map_or_else(|| "nothing".to_owned(), |is| is.to_string());
                return Err(Error::Profile(format!(
                    "libseccomp {} makes a wrong filter of the rules for {name}: with the arguments {args:x?} it \
                     decides {is}; versions before 2.6.1 do so with several rules for the arguments of one call: use a newer \
                     one, or one rule with other operators",
                    library_version()
                )));
            }
        }
    }
    Ok(())
}

fn taken(action: ScmpAction) -> Action {
    match action {
        ScmpAction::Allow => Action::Allow,
        ScmpAction::Log => Action::Log,
        ScmpAction::Trace(data) => Action::Trace(data),
        ScmpAction::Errno(number) => Action::Errno(Errno(number.clamp(0, 4095))),
        ScmpAction::Trap => Action::Trap,
        ScmpAction::KillProcess => Action::KillProcess,
        ScmpAction::Notify => Action::UserNotif,
        _ => Action::KillThread,
    }
}

/// All conditions of a rule; or one of them, where an argument is named twice (see `conditions`).
fn holds(rule: &LinuxSyscall, args: [u64; 6]) -> bool {
    let conditions = rule.args().as_deref().unwrap_or_default();
    let mut each = conditions.iter().map(|condition| met(condition, args));
    if names_one_twice(conditions) { each.any(|met| met) } else { each.all(|met| met) }
}

fn met(condition: &LinuxSeccompArg, args: [u64; 6]) -> bool {
    let (is, k) = (args.get(condition.index()).copied().unwrap_or(0), condition.value());
    match condition.op() {
        LinuxSeccompOperator::ScmpCmpNe => is != k,
        LinuxSeccompOperator::ScmpCmpLt => is < k,
        LinuxSeccompOperator::ScmpCmpLe => is <= k,
        LinuxSeccompOperator::ScmpCmpEq => is == k,
        LinuxSeccompOperator::ScmpCmpGe => is >= k,
        LinuxSeccompOperator::ScmpCmpGt => is > k,
        LinuxSeccompOperator::ScmpCmpMaskedEq => is & k == condition.value_two().unwrap_or(0) & k,
    }
}

/// Every half that the rules compare, and its neighbours, in each half of each argument that they name:
/// the errors come from halves of one argument that are taken for those of another.
fn points(rules: &[(&LinuxSyscall, Action)]) -> Vec<[u64; 6]> {
    let conditions: Vec<&LinuxSeccompArg> =
        rules.iter().flat_map(|(rule, _)| rule.args().iter().flatten()).collect();
    let mut halves = BTreeSet::from([0, u32::MAX]);
    for condition in &conditions {
        let (k, two) = (condition.value(), condition.value_two().unwrap_or(0));
        let ordered = condition.op() != LinuxSeccompOperator::ScmpCmpEq;
        for half in [k, k >> 32, two, two >> 32].map(|half| half as u32) {
            halves.insert(half);
            if ordered {
                halves.extend([half.wrapping_sub(1), half.wrapping_add(1)]);
            }
        }
    }
    let values: Vec<u64> = halves
        .iter()
        .flat_map(|&high| halves.iter().map(move |&low| u64::from(high) << 32 | u64::from(low)))
        .collect();
    let named: BTreeSet<usize> = conditions.iter().map(|condition| condition.index()).collect();
    let all = values.len().saturating_pow(named.len() as u32);
    // Where they are too many, some from everywhere.
    let stride = if all > MAX_POINTS { (all / MAX_POINTS) | 1 } else { 1 };
    (0..all.min(MAX_POINTS))
        .map(|number| {
            let mut digits = number.wrapping_mul(stride);
            let mut point = [0; 6];
            for (_, place) in point.iter_mut().enumerate().filter(|(index, _)| named.contains(index)) {
                *place = values.get(digits % values.len()).copied().unwrap_or(0);
                digits /= values.len();
            }
            point
        })
        .collect()
}
