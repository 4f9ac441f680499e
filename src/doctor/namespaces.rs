//! Which namespaces can be made, by whom, and with which ids in them?
//!
//! Next: [`super::cgroups`].

use super::case::Case;
use super::mend::{self, Package};
use super::{Answer, Finding};
use crate::host::{Helper, Privilege};
use crate::kernel::Errno;
use crate::kernel::attempt::{self, Flag, modern};
use crate::kernel::call::call;
use crate::kernel::trial::trial;
use std::path::Path;
use std::process::{Command, Stdio};

const FLAGS: [(&str, Flag); 7] = [
    ("mnt", attempt::CLONE_NEWNS),
    ("pid", attempt::CLONE_NEWPID),
    ("uts", attempt::CLONE_NEWUTS),
    ("ipc", attempt::CLONE_NEWIPC),
    ("net", attempt::CLONE_NEWNET),
    ("cgroup", attempt::CLONE_NEWCGROUP),
    ("time", attempt::CLONE_NEWTIME),
];

pub fn unshared(case: &Case, kind: &str) -> Finding {
    let flags: Vec<Flag> = FLAGS.iter().filter(|(name, _)| *name == kind).map(|(_, flag)| *flag).collect();
    let trial = case.try_inside(|| {
        attempt::unshare(&flags)?;
        // A PID namespace and a time namespace are those of the children: one must be born there.
        trial(|| Ok(())).adopt()
    });
    Finding::of(trial, if case.privileged { "made" } else { "made, in a user namespace" })
}

pub fn user(case: &Case) -> Finding {
    let host = case.host;
    let trial =
        trial(|| attempt::user_namespace(host.uid, host.gid).and_then(|()| attempt::private_mounts()));
    Finding::of(trial, format!("made; uid {} is root in it", host.uid))
}

/// As root, ask in the name of nobody: who has no capability, and whom AppArmor and Debian's sysctl mean.
pub fn unprivileged(case: &Case) -> Finding {
    const NOBODY: u32 = 65_534;
    let host = case.host;
    if host.uid != 0 {
        return match case.privileged {
            true => Finding::new(Answer::NotAsked, "we have capabilities, and cannot become another user"),
            false => user(case),
        };
    }
    let trial = trial(|| {
        attempt::become_user(NOBODY, NOBODY)?;
        attempt::user_namespace(NOBODY, NOBODY)?;
        attempt::private_mounts()
    });
    let became = trial.calls.iter().any(|call| call.name == "unshare");
    let finding = Finding::of(trial, "made, as uid 65534, and mounted in it");
    if became { finding } else { finding.or(Answer::NotAsked, "we cannot become another user here") }
}

/// Root maps a range itself; a user needs to be given one, and a helper that is privileged.
pub fn range(case: &Case) -> Finding {
    const SETUID_SETGID: u64 = 1 << 6 | 1 << 7;
    let host = case.host;
    if case.privileged && host.caps.effective & SETUID_SETGID == SETUID_SETGID {
        let map = |pid: u32| {
            let text = "0 100000 65536";
            attempt::write(Path::new(&format!("/proc/{pid}/uid_map")), text)?;
            attempt::write(Path::new(&format!("/proc/{pid}/gid_map")), text)
        };
        return Finding::of(
            trial(|| attempt::with_process(|| attempt::unshare(&[attempt::CLONE_NEWUSER]), map)),
            "uid 0 to 65535 inside are 100000 to 165535 outside",
        );
    }
    let (Some(uids), Some(gids)) = (host.subuid.first(), host.subgid.first()) else {
        return Finding::new(Answer::No, "/etc/subuid and /etc/subgid give this user no range")
            .because("no range was given to this user", Some(mend::give_range(host)));
    };
    let (Some(newuidmap), Some(newgidmap)) = (&*host.newuidmap, &*host.newgidmap) else {
        return Finding::new(Answer::No, "there is a range, but no newuidmap and newgidmap to map it")
            .because("they are not installed", case.distribution.install(Package::Newuidmap, host));
    };
    let run = |helper: &Helper, pid: u32, id: u32, range: &crate::host::IdRange| {
        let words = [pid, 0, id, 1, 1, range.start, range.count].map(|word| word.to_string());
        let args = format!("{:?}, [{}]", helper.path, words.join(" "));
        call("execve", format_args!("{args}"), || {
            let status = Command::new(&helper.path)
                .args(&words)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            if status.success() { Ok(0) } else { Err(std::io::Error::from_raw_os_error(Errno::EPERM.0)) }
        })
    };
    let trial = trial(|| {
        attempt::with_process(
            || attempt::unshare(&[attempt::CLONE_NEWUSER]),
            |pid| {
                run(newuidmap, pid, host.uid, uids)?;
                run(newgidmap, pid, host.gid, gids)?;
                Ok(())
            },
        )
    });
    let finding =
        Finding::of(trial, format!("uid 1 to {} inside are {} and on outside", uids.count, uids.start));
    match newuidmap.privilege {
        Privilege::None if finding.answer == Answer::No => finding.because(
            format!("{} has neither its setuid bit nor file capabilities", newuidmap.path.display()),
            Some(mend::as_root(
                host,
                &format!("chmod u+s {} {}", newuidmap.path.display(), newgidmap.path.display()),
            )),
        ),
        _ if finding.answer == Answer::No && host.no_new_privs => {
            finding.because("no_new_privs is set, so its setuid bit does nothing", None)
        }
        _ => finding,
    }
}

pub fn idmapped(case: &Case) -> Finding {
    if !case.privileged {
        return Finding::new(Answer::No, "only root of the file system's user namespace may")
            .because("mount_setattr(2): CAP_SYS_ADMIN in the user namespace that mounted it", None);
    }
    let trial = case.try_mounting(|| {
        let text = "0 100000 65536";
        attempt::with_process(
            || attempt::unshare(&[attempt::CLONE_NEWUSER]),
            |pid| {
                attempt::write(Path::new(&format!("/proc/{pid}/uid_map")), text)?;
                attempt::write(Path::new(&format!("/proc/{pid}/gid_map")), text)?;
                modern::idmapped_mount(Path::new("lower"), pid)
            },
        )
    });
    Finding::of(trial, "made, where images are kept")
}
