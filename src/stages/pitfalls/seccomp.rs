//! What refuses a filter? seccomp(2).
//!
//! Next: [`super::exec`].

use crate::kernel::Errno;
use crate::refusal::process::SYS_ADMIN;
use crate::stage::Pitfall;
use crate::step::Step;

/// BPF_MAXINSNS.
const LONGEST: usize = 4096;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "seccomp",
        Errno::EACCES,
        "a filter takes either no_new_privs or CAP_SYS_ADMIN, or a set-user-ID program could be fooled by it; the process has neither",
        |s| Some(s.lacks_cap(SYS_ADMIN)? && s.status("NoNewPrivs")? == "0"),
        "--security-opt no-new-privileges; or load it before the capabilities go",
    ),
    Pitfall::new(
        "seccomp",
        Errno::EINVAL,
        "the filter is longer than 4096 instructions, or empty",
        |s| length(s).map(|length| length == 0 || length > LONGEST),
        "a shorter profile: fewer architectures, fewer comparisons of arguments",
    ),
    Pitfall::new(
        "seccomp",
        Errno::EINVAL,
        "this kernel, {kernel}, does not know one of the filter's flags (SECCOMP_FILTER_FLAG_SPEC_ALLOW is of 4.17, _WAIT_KILLABLE_RECV of 5.19), or an instruction",
        |s| if matches!(s.step(), Step::Seccomp { flags, .. } if *flags != 0) { None } else { Some(false) },
        "take it out of linux.seccomp.flags",
    ),
    Pitfall::new(
        "seccomp",
        Errno::EINVAL,
        "this kernel, {kernel}, was built without CONFIG_SECCOMP_FILTER, or an instruction of the filter is none that it takes",
        |_| None,
        "`learnctr doctor`; --security-opt seccomp=unconfined does without",
    ),
    Pitfall::new(
        "seccomp",
        Errno::ENOMEM,
        "all filters of the process, those of outer containers too, would be longer than 32768 instructions together",
        |s| if s.host.seccomp_filtered { None } else { Some(false) },
        "--security-opt seccomp=unconfined: the outer filter holds anyway",
    ),
    Pitfall::new(
        "seccomp",
        Errno::EBUSY,
        "a filter that asks a supervisor is on the process already, and there can be one only",
        |_| Some(true),
        "take SCMP_ACT_NOTIFY out of the profile",
    ),
];

fn length(s: &crate::refusal::Scene) -> Option<usize> {
    match s.step() {
        Step::Seccomp { program, .. } => Some(program.0.len() / 8),
        _ => None,
    }
}
