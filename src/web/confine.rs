//! How does the page's process come to hold nothing? By the same steps as a container's: ids, capabilities,
//! no_new_privs, a filter for system calls, limits. They are data, made one after the other; then the kernel is
//! asked whether it is so.
//!
//! Next: `process`, which serves afterwards.

use crate::engine::child::Child;
use crate::host::UserNamespace;
use crate::kernel::channel::Channel;
use crate::kernel::{Errno, caps, ident, libc_flags as o, seccomp};
use crate::step::{CapSets, Program, Step};
use std::path::PathBuf;

/// One step of the confinement.
pub struct Part {
    pub step: Step,
    pub why: &'static str,
    /// Where the kernel, or who confines us already, may say no: what the others do holds without it.
    may_be_refused: bool,
    /// What became of it.
    pub refused: Option<Errno>,
}

/// What system calls serving takes; everything else is EPERM, execve(2) and open(2) among it.
const FILTER: &str = include_str!("seccomp.json");

/// The ids to become in place of root: those of who called sudo(8), else nobody's. None for who is not root,
/// and where a user namespace has no other id than 0, which is an ordinary one outside.
pub fn ids() -> Option<(u32, u32)> {
    if ident::effective_ids().0 != 0 {
        return None;
    }
    let own = UserNamespace::look();
    let mapped = |id: u32, maps: &[crate::host::IdMap]| {
        maps.iter().any(|map| id.checked_sub(map.inside).is_some_and(|above| above < map.count))
    };
    let named = |name| std::env::var(name).ok()?.parse().ok().filter(|id| *id != 0);
    let caller = named("SUDO_UID").zip(named("SUDO_GID"));
    [caller, Some((65534, 65534))]
        .into_iter()
        .flatten()
        .find(|(uid, gid)| mapped(*uid, &own.uid_map) && mapped(*gid, &own.gid_map))
}

fn program() -> Result<Program, String> {
    let profile = serde_json::from_str(FILTER).map_err(|error| error.to_string())?;
    let compiled = seccomp::compile(&profile).map_err(|error| error.to_string())?;
    Ok(Program(compiled.filter))
}

/// All of it, in the order in which the kernel wants it.
pub fn parts(become_ids: Option<(u32, u32)>) -> Result<Vec<Part>, String> {
    let part = |step, why| Part { step, why, may_be_refused: false, refused: None };
    let perhaps = |step, why| Part { step, why, may_be_refused: true, refused: None };
    // Only who has CAP_SYS_RESOURCE raises what is lower already.
    let limit = |resource: &str, most: u64| {
        let hard = ident::limits().find(|(name, ..)| *name == resource).and_then(|(_, _, hard)| hard);
        let most = hard.map_or(most, |hard| most.min(hard));
        Step::Prlimit { resource: resource.to_owned(), soft: most, hard: most }
    };
    let mut parts = vec![
        part(
            Step::Setsid,
            "a Ctrl-C at the terminal is for the build; and no terminal can be reached from here",
        ),
        part(Step::Chdir { path: PathBuf::from("/") }, "no directory is held"),
        part(limit("RLIMIT_NOFILE", 64), "32 connections, and what serving takes"),
        part(limit("RLIMIT_CORE", 0), "the token would be in a core file"),
        part(limit("RLIMIT_FSIZE", 0), "no file grows"),
        part(limit("RLIMIT_AS", 256 << 20), "a leak ends here, and not with the machine's memory"),
    ];
    const CAP_SYS_ADMIN: u32 = 21;
    let effective = caps::get().map_or(0, |sets| sets.effective);
    // Not for who is to become another: no other id is mapped in it.
    if effective >> CAP_SYS_ADMIN & 1 == 0 && become_ids.is_none() {
        let why = "an ordinary user makes other namespaces only from within a user namespace";
        parts.push(perhaps(Step::Unshare { flags: o::CLONE_NEWUSER as u64 }, why));
    }
    for (flag, why) in [
        (o::CLONE_NEWNET, "no interface is up in it; the listening socket stays where it was made"),
        (o::CLONE_NEWIPC, "no System V IPC and no message queues of others"),
        (o::CLONE_NEWUTS, "nobody's host name is changed from here"),
    ] {
        parts.push(perhaps(Step::Unshare { flags: flag as u64 }, why));
    }
    parts.push(perhaps(Step::DropBounding { keep: 0 }, "while there is CAP_SETPCAP: no execve can gain any"));
    if let Some((uid, gid)) = become_ids {
        parts.extend([
            perhaps(Step::SetGroups { gids: Vec::new() }, "root's groups, while there is CAP_SETGID"),
            part(Step::SetResGid { gid }, "before the uid, which takes CAP_SETGID away"),
            part(Step::SetResUid { uid }, "no way back to root: the saved id goes as well"),
        ]);
    }
    let filter = Step::Seccomp { flags: 0, program: program()? };
    parts.extend([
        part(Step::CapSet { sets: CapSets::default() }, "whatever is left of capabilities"),
        part(Step::NoNewPrivs, "a filter may then be loaded without CAP_SYS_ADMIN"),
        part(
            Step::SetDumpable { dumpable: false },
            "nobody of the same user reads the token from its memory",
        ),
        part(Step::ParentDeathSignal { signal: o::SIGKILL }, "after the ids: their change would clear it"),
        part(filter, "the last: reading, writing, accepting, threads and memory are all that it may"),
    ]);
    Ok(parts)
}

/// Make them. The first that must not be refused and was ends it, by its number.
pub fn confine(channel: Channel, parts: &mut [Part]) -> Result<Channel, (Channel, usize, Errno)> {
    let mut child = Child::of(channel);
    for (number, part) in parts.iter_mut().enumerate() {
        if let Err(errno) = child.make_alone(&part.step) {
            if !part.may_be_refused {
                return Err((child.into_channel(), number, errno));
            }
            part.refused = Some(errno);
        }
    }
    Ok(child.into_channel())
}

/// Whether /proc/PID/status says that nothing is held (proc_pid_status(5)).
pub fn holds_nothing(status: &str, become_ids: Option<(u32, u32)>) -> bool {
    let is = |name: &str, wanted: &dyn Fn(&str) -> bool| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).is_some_and(|value| {
            let mut words = value.split_whitespace().peekable();
            words.peek().is_some() && words.all(wanted)
        })
    };
    let none = |word: &str| word.bytes().all(|digit| digit == b'0');
    let ids = |id: u32| move |word: &str| word == id.to_string();
    ["CapInh", "CapPrm", "CapEff", "CapAmb"].iter().all(|name| is(name, &none))
        && is("NoNewPrivs", &|word| word == "1")
        && is("Seccomp", &|word| word == "2")
        && become_ids.is_none_or(|(uid, gid)| is("Uid", &ids(uid)) && is("Gid", &ids(gid)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::bpf::{Action, explore::Verdict};
    use crate::kernel::seccomp::ask;

    #[test]
    fn the_filter_allows_what_serving_takes_and_nothing_that_opens_or_executes() {
        let program = program().unwrap().0;
        let decided = |name: &str| ask(&[&program], name).unwrap();
        for name in ["accept4", "recvfrom", "sendto", "futex", "pread64"] {
            assert_eq!(decided(name), Verdict::Always(Action::Allow), "{name}");
        }
        for name in [
            "execve",
            "execveat",
            "open",
            "openat",
            "openat2",
            "socket",
            "connect",
            "bind",
            "ptrace",
            "kill",
            "fork",
            "vfork",
            "mount",
            "unshare",
            "setns",
            "setuid",
            "memfd_create",
            "process_vm_readv",
            "bpf",
        ] {
            // ENOSYS is what the filter says of calls that came after those which it names.
            let refused = [Errno::EPERM, Errno::ENOSYS].map(|errno| Verdict::Always(Action::Errno(errno)));
            assert!(refused.contains(&decided(name)), "{name}: {:?}", decided(name));
        }
        assert_eq!(decided("clone3"), Verdict::Always(Action::Errno(Errno::ENOSYS)));
    }

    #[test]
    fn one_capability_or_roots_uid_is_not_nothing() {
        let status = |uid: &str, eff: &str| {
            format!(
                "Uid:\t{uid}\nGid:\t5\t5\t5\t5\nCapInh:\t0000\nCapPrm:\t0000\nCapEff:\t{eff}\nCapBnd:\tffff\nCapAmb:\t0000\n\
                 NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"
            )
        };
        let ids = Some((7, 5));
        assert!(holds_nothing(&status("7\t7\t7\t7", "0000"), ids));
        assert!(!holds_nothing(&status("7\t7\t0\t7", "0000"), ids));
        assert!(!holds_nothing(&status("7\t7\t7\t7", "0400"), ids));
        assert!(!holds_nothing(&status("7\t7\t7\t7", "0000").replace("Seccomp:\t2", "Seccomp:\t0"), ids));
        assert!(!holds_nothing("", ids));
    }
}
