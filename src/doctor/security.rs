//! What can privilege be taken away with?
//!
//! Next: [`super::calls`].

use super::case::Case;
use super::{Answer, Finding};
use crate::kernel::attempt;
use crate::kernel::trial::trial;

/// The 14 that Docker leaves a container.
const DOCKER: u64 = 0xa804_25fb;

pub fn capabilities(case: &Case) -> Finding {
    if !case.privileged {
        let all = "all of them, in its user namespace; none over what the machine owns";
        return Finding::new(Answer::Yes, all);
    }
    let caps = case.host.caps;
    let last: u32 = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(40);
    let all = u64::MAX.checked_shr(63u32.saturating_sub(last)).unwrap_or(u64::MAX);
    let missing = all & !(caps.permitted & caps.bounding);
    if missing == 0 {
        return Finding::new(Answer::Yes, format!("all {} of this kernel", last.saturating_add(1)));
    }
    let mut names: Vec<(u8, String)> = caps::all()
        .into_iter()
        .filter(|cap| missing & cap.bitmask() != 0)
        .map(|cap| (cap.index(), cap.to_string()))
        .collect();
    names.sort();
    let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
    let says = format!("without {}", names.join(", "));
    let mut finding = Finding::new(Answer::Limited, says);
    if names.iter().any(|name| name == "CAP_SYS_RESOURCE") {
        finding =
            finding.because("without CAP_SYS_RESOURCE no hard rlimit is raised, no oom score lowered", None);
    }
    if missing & DOCKER != 0 {
        finding = finding.because(
            "some of Docker's default 14 are among them: the container does without",
            super::causes::outer(case, "--cap-add ALL"),
        );
    }
    finding
}

pub fn no_new_privs(_: &Case) -> Finding {
    Finding::of(trial(attempt::no_new_privs), "set")
}

/// With no_new_privs anybody may; without it, who has CAP_SYS_ADMIN, which decides on the order of stages.
pub fn seccomp_filter(case: &Case) -> Finding {
    let without = case.try_inside(attempt::seccomp_filter);
    let finding = Finding::of(without, "loaded, also without no_new_privs");
    if finding.answer == Answer::Yes {
        return finding;
    }
    let with = trial(|| attempt::no_new_privs().and_then(|()| attempt::seccomp_filter()));
    let with = Finding::of(with, "loaded, but only with no_new_privs");
    if with.answer == Answer::Yes { Finding { answer: Answer::Limited, ..with } } else { with }
}

/// seccomp(2)'s actions, and those without which Docker's profile cannot be.
const ACTIONS: [(&str, u32); 7] = [
    ("SECCOMP_RET_KILL_PROCESS", 0x8000_0000),
    ("SECCOMP_RET_KILL_THREAD", 0),
    ("SECCOMP_RET_TRAP", 0x0003_0000),
    ("SECCOMP_RET_ERRNO", 0x0005_0000),
    ("SECCOMP_RET_USER_NOTIF", 0x7fc0_0000),
    ("SECCOMP_RET_TRACE", 0x7ff0_0000),
    ("SECCOMP_RET_LOG", 0x7ffc_0000),
];

pub fn seccomp_actions(_: &Case) -> Finding {
    let mut missing = Vec::new();
    let mut all = trial(|| Ok(()));
    for (name, action) in ACTIONS {
        let one = trial(|| attempt::seccomp_action(name, action));
        if one.end != all.end {
            missing.push(name);
        }
        all.calls.extend(one.calls);
    }
    match missing.as_slice() {
        [] => Finding::of(all, "all seven"),
        some if some.len() == ACTIONS.len() => Finding::new(Answer::No, "none"),
        some => Finding {
            trial: Some(all),
            ..Finding::new(Answer::Limited, format!("without {}", some.join(", ")))
        },
    }
}

pub fn keyring(_: &Case) -> Finding {
    Finding::of(trial(attempt::session_keyring), "made")
}

pub fn modules(case: &Case) -> Finding {
    let lsm = &case.host.lsm;
    let names = match lsm.names.as_slice() {
        [] => "none that can be seen".to_owned(),
        names => names.join(", "),
    };
    match &lsm.label {
        Some(label) => Finding::new(Answer::Yes, format!("{names}; we are {label}")),
        None => Finding::new(Answer::Yes, names),
    }
}
