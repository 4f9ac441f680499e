//! How does a list of system calls become a filter that the kernel runs at each of them? libseccomp
//! generates it from the OCI profile, and seccomp(2) loads it.
//!
//! Next: `cache` (a filter is generated once and kept), then `super::bpf` (what a filter decides).

use super::bpf::{self, Insn};
use super::{Errno, call::call};
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall, ScmpVersion,
};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator,
    LinuxSyscall,
};
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::time::Duration;

pub mod cache;
mod compact;
mod enosys;
mod verify;

pub use cache::{compile_cached, default_cached};

/// A filter as seccomp(2) takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub filter: Vec<Insn>,
    /// SECCOMP_FILTER_FLAG_*.
    pub flags: u32,
    /// Names that this libseccomp does not know: they are left out, as runc leaves them out.
    pub unknown: Vec<String>,
}

/// Why a profile cannot become a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// libseccomp refused: what was asked of it, and what it said.
    Refused(String, String),
    /// No process of ours would answer SCMP_ACT_NOTIFY.
    Notify(String),
    /// The profile asks for what no filter can hold.
    Profile(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Refused(what, why) => write!(f, "libseccomp refused {what}: {why}"),
            Error::Notify(what) => {
                write!(
                    f,
                    "{what} asks for SCMP_ACT_NOTIFY, but nobody would answer; use another action there"
                )
            }
            Error::Profile(what) => write!(f, "the seccomp profile cannot be compiled: {what}"),
        }
    }
}

impl std::error::Error for Error {}

fn refused<E: fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
    move |error| Error::Refused(what.into(), error.to_string())
}

/// Before 2.6.1 libseccomp does not come to an end with some rules about several arguments; a filter as long as the
/// kernel takes it is generated in a thousandth of this, but a busy emulated machine is slower by as much.
const PATIENCE: Duration = Duration::from_secs(60);

/// Generate the filter of an OCI profile.
pub fn compile(profile: &LinuxSeccomp) -> Result<Program, Error> {
    let owned = profile.clone();
    within(PATIENCE, move || generate(&owned)).unwrap_or_else(|| {
        Err(Error::Profile(format!(
            "libseccomp {} has not made a filter of it in {} s; before 2.6.1 it does not come to an end with some rules that \
             compare several arguments: split such a rule, or use a newer libseccomp",
            library_version(),
            PATIENCE.as_secs()
        )))
    })
}

/// Do this, but not for longer: a thread that is too late is left behind, to end with this process.
fn within<T: Send + 'static>(limit: Duration, act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, answer) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || done.send(act()));
    let answer = answer.recv_timeout(limit).ok()?;
    // From here on this process has one thread again, as a fork wants it.
    let _ = thread.join();
    Some(answer)
}

fn generate(profile: &LinuxSeccomp) -> Result<Program, Error> {
    let default = action(profile.default_action(), profile.default_errno_ret(), "defaultAction")?;
    let mut context = ScmpFilterContext::new(default).map_err(refused("seccomp_init"))?;
    // A binary tree over the numbers in place of a list: the last call waits for 10 comparisons, not
    // for 400. An older libseccomp does not have it, and does without.
    let _ = context.set_ctl_optimize(2);
    let architectures = architectures(profile)?;
    for &arch in &architectures {
        context.add_arch(arch).map_err(refused(format!("architecture {arch:?}")))?;
    }

    let mut unknown = Vec::new();
    for rule in profile.syscalls().iter().flatten() {
        let label = || format!("the rule of {}", rule.names().first().map_or("no call", String::as_str));
        let action = action(rule.action(), rule.errno_ret(), &label())?;
        // libseccomp refuses a rule that says what the default says.
        if action == default {
            continue;
        }
        let conditions = conditions(rule)?;
        for name in rule.names() {
            let Ok(number) = ScmpSyscall::from_name(name) else {
                unknown.push(name.clone());
                continue;
            };
            for condition in &conditions {
                context
                    .add_rule_conditional(action, number, condition)
                    .map_err(refused(format!("a rule of {name}")))?;
            }
        }
    }
    unknown.sort();
    unknown.dedup();

    let generated = export(&context)?;
    let mut filter = match default {
        ScmpAction::Allow | ScmpAction::Log | ScmpAction::Trace(_) => Vec::new(),
        ScmpAction::Errno(libc::ENOSYS) => Vec::new(),
        _ => enosys::stub(profile, &architectures),
    };
    filter.extend(generated);
    let filter = compact::shorter(&filter).unwrap_or(filter);
    bpf::check(&filter).map_err(|_| {
        Error::Profile(format!("{} instructions; the kernel takes {}", filter.len(), bpf::MAX_LEN))
    })?;
    if let Some(audit) = enosys::audit_arch(ScmpArch::native()) {
        verify::verify(profile, &filter, audit)?;
    }
    Ok(Program { filter, flags: flags(profile), unknown })
}

/// libseccomp 2.5 exports into a descriptor only.
fn export(context: &ScmpFilterContext) -> Result<Vec<Insn>, Error> {
    let memory = rustix::fs::memfd_create("seccomp", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(memory.map_err(refused("memfd_create"))?);
    context.export_bpf(&file).map_err(refused("seccomp_export_bpf"))?;
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(refused("read"))?;
    bpf::from_bytes(&bytes).ok_or_else(|| Error::Profile("libseccomp exported half an instruction".into()))
}

/// Those that are named, and the native one, which libseccomp puts into every filter.
fn architectures(profile: &LinuxSeccomp) -> Result<Vec<ScmpArch>, Error> {
    let mut all = vec![ScmpArch::native()];
    for &arch in profile.architectures().iter().flatten() {
        let known =
            scmp_arch(arch).ok_or_else(|| Error::Profile(format!("architecture {arch} is unknown")))?;
        if !all.contains(&known) {
            all.push(known);
        }
    }
    Ok(all)
}

pub(crate) fn scmp_arch(arch: Arch) -> Option<ScmpArch> {
    match arch {
        Arch::ScmpArchNative => Some(ScmpArch::native()),
        // The names are libseccomp's own; serde has them as the OCI writes them.
        _ => serde_json::to_value(arch).ok()?.as_str()?.parse().ok(),
    }
}

fn action(action: LinuxSeccompAction, errno: Option<u32>, whose: &str) -> Result<ScmpAction, Error> {
    // EPERM where the profile says none, as the OCI has it.
    let number = u16::try_from(errno.unwrap_or(libc::EPERM as u32))
        .map_err(|_| Error::Profile(format!("errnoRet of {whose} is beyond 65535")))?;
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => ScmpAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(number.into()),
        LinuxSeccompAction::ScmpActTrace => ScmpAction::Trace(number),
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActNotify => return Err(Error::Notify(whose.to_owned())),
    })
}

/// The conditions of a rule, each of which alone lets it match. All arguments must fit together, but
/// libseccomp takes each argument once; so two conditions on one argument are two rules, as in runc.
fn conditions(rule: &LinuxSyscall) -> Result<Vec<Vec<ScmpArgCompare>>, Error> {
    let args = rule.args().as_deref().unwrap_or_default();
    let compares = args.iter().map(compare).collect::<Result<Vec<_>, _>>()?;
    Ok(if names_one_twice(args) {
        compares.into_iter().map(|one| vec![one]).collect()
    } else {
        vec![compares]
    })
}

fn names_one_twice(args: &[LinuxSeccompArg]) -> bool {
    args.iter().enumerate().any(|(i, arg)| args.iter().take(i).any(|a| a.index() == arg.index()))
}

fn compare(arg: &LinuxSeccompArg) -> Result<ScmpArgCompare, Error> {
    let index = u32::try_from(arg.index()).ok().filter(|&index| index < 6).ok_or_else(|| {
        Error::Profile(format!("argument {} of a call; there are six, 0 to 5", arg.index()))
    })?;
    let (op, value) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (ScmpCompareOp::NotEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (ScmpCompareOp::Less, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (ScmpCompareOp::Equal, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (ScmpCompareOp::Greater, arg.value()),
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            (ScmpCompareOp::MaskedEqual(arg.value()), arg.value_two().unwrap_or(0))
        }
    };
    Ok(ScmpArgCompare::new(index, op, value))
}

/// SECCOMP_FILTER_FLAG_* by number and name (linux/seccomp.h).
const FLAGS: [(LinuxSeccompFilterFlag, u32, &str); 4] = [
    (LinuxSeccompFilterFlag::SeccompFilterFlagTsync, 1 << 0, "SECCOMP_FILTER_FLAG_TSYNC"),
    (LinuxSeccompFilterFlag::SeccompFilterFlagLog, 1 << 1, "SECCOMP_FILTER_FLAG_LOG"),
    (LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow, 1 << 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
    (
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv,
        1 << 5,
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ),
];

fn flags(profile: &LinuxSeccomp) -> u32 {
    let wanted = profile.flags().as_deref().unwrap_or_default();
    FLAGS.iter().filter(|(flag, ..)| wanted.contains(flag)).fold(0, |all, (_, bit, _)| all | bit)
}

/// `2.5.4`: what generated a filter.
pub fn library_version() -> String {
    ScmpVersion::current().map_or_else(|_| "unknown".into(), |version| version.to_string())
}

/// The name of a call's number; none where this libseccomp has none for it.
pub fn syscall_name(arch: Arch, number: u32) -> Option<String> {
    let number = i32::try_from(number).ok()?;
    ScmpSyscall::from(number).get_name_by_arch(scmp_arch(arch)?).ok()
}

/// What filters decide of a call of this machine's own ABI, by its name; none for a name that is not known.
pub fn ask<F: AsRef<[Insn]>>(filters: &[F], name: &str) -> Option<bpf::explore::Verdict> {
    const AUDIT_ARCH: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
    let number = i32::from(ScmpSyscall::from_name(name).ok()?);
    Some(bpf::explore::explore(filters, AUDIT_ARCH, u32::try_from(number).ok()?))
}

/// Load a filter into this thread (into all of them with SECCOMP_FILTER_FLAG_TSYNC). The kernel takes
/// it from who has CAP_SYS_ADMIN in its user namespace or has set no_new_privs, else EACCES.
pub fn load(filter: &[Insn], flags: u32) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        // A longer one is EINVAL, from the kernel too.
        len: u16::try_from(filter.len()).map_err(|_| Errno::EINVAL)?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    let names =
        FLAGS.iter().filter(|(_, bit, _)| flags & bit != 0).map(|(.., name)| *name).collect::<Vec<_>>();
    let named = if flags == 0 { "0".to_owned() } else { names.join("|") };
    let args = format_args!(
        "SECCOMP_SET_MODE_FILTER, {named}, {{len={}, filter={:?}}}",
        program.len, program.filter
    );
    call("seccomp", args, || {
        // SAFETY: the kernel reads `len` instructions from `filter`, which is what the borrowed slice has
        // (Insn has the layout of sock_filter), and nothing of ours is written.
        match unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        } {
            0 => Ok(()),
            // With TSYNC, the first thread that could not follow.
            1.. => Err(Errno::ESRCH),
            _ => Err(Errno::last()),
        }
    })
}

/// From now on exec(2) gives no privileges that this thread does not have (PR_SET_NO_NEW_PRIVS).
pub fn set_no_new_privs() -> Result<(), Errno> {
    call("prctl", format_args!("PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0"), nix::sys::prctl::set_no_new_privs)
}

// The kernel reads a slice of Insn as sock_filter.
const _: () = assert!(
    size_of::<Insn>() == size_of::<libc::sock_filter>()
        && std::mem::offset_of!(Insn, jt) == std::mem::offset_of!(libc::sock_filter, jt)
        && std::mem::offset_of!(Insn, jf) == std::mem::offset_of!(libc::sock_filter, jf)
        && std::mem::offset_of!(Insn, k) == std::mem::offset_of!(libc::sock_filter, k)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_to_an_end_is_not_waited_for() {
        let short = Duration::from_millis(20);
        assert_eq!(within(short, || std::thread::sleep(Duration::from_secs(60))), None);
        assert_eq!(within(PATIENCE, || 7), Some(7));
    }
}
