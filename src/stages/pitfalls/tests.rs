//! Are causes found that no refusal on this machine can show? Hosts made up for it.

use crate::host::{Helper, Host, IdRange, Privilege};
use crate::kernel::call::{Call, Returned};
use crate::kernel::{Errno, libc_flags as o};
use crate::refusal::mounts::parse;
use crate::refusal::{Diagnosis, Scene};
use crate::stage::Move;
use crate::stages;
use crate::stages::pitfalls::diagnose;
use crate::step::{At, Range, Step};
use std::collections::BTreeMap;

fn diagnosed(stage: &str, host: &Host, step: Step, errno: Errno) -> Diagnosis {
    let name = step.to_string().split('(').next().unwrap().to_owned();
    let call = Some(Call { name, args: String::new(), returned: Returned::Refused(errno) });
    let one = Move::host(step, "");
    let scene = Scene { host, stages: &[], at: (0, 0), pid: None, one: &one, call, errno };
    diagnose(stages::find(stage).unwrap(), &scene)
}

fn user_namespace() -> Step {
    Step::Unshare { flags: o::CLONE_NEWUSER as u64 }
}

fn host(sysctl: &str, value: u64) -> Host {
    Host { uid: 1000, sysctls: BTreeMap::from([(sysctl.to_owned(), value)]).into(), ..Host::default() }
}

#[track_caller]
fn finds(diagnosis: &Diagnosis, cause: &str, mend: &str) {
    let fits = |c: &&crate::refusal::Cause| c.cause.contains(cause) && c.mend.contains(mend) && c.found;
    assert!(diagnosis.causes.iter().any(|c| fits(&c)), "{diagnosis}");
}

#[test]
fn sysctls_and_apparmor() {
    let debian = host("kernel.unprivileged_userns_clone", 0);
    let said = diagnosed("userns", &debian, user_namespace(), Errno::EPERM);
    finds(
        &said,
        "kernel.unprivileged_userns_clone is 0",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    );
    let ubuntu = host("kernel.apparmor_restrict_unprivileged_userns", 1);
    let said = diagnosed("userns", &ubuntu, user_namespace(), Errno::EPERM);
    finds(&said, "AppArmor", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
    let full = host("user.max_user_namespaces", 7);
    let said = diagnosed("userns", &full, user_namespace(), Errno::ENOSPC);
    assert!(!said.causes[0].found && said.causes[0].cause.contains("user.max_user_namespaces"), "{said}");
}

#[test]
fn a_profile_that_is_not_loaded() {
    let profile = Step::Write { path: At::Proc("self/attr/apparmor/exec".into()), text: "exec shop".into() };
    let said = diagnosed("limits", &Host::default(), profile, Errno::ENOENT);
    finds(&said, "`exec shop`, and no profile", "apparmor_parser -r");
}

#[test]
fn an_outer_filter_is_a_candidate() {
    let outer = Host { seccomp_filtered: true, release: (6, 1), ..Host::default() };
    let said = diagnosed("mounts", &outer, Step::OpenProc, Errno::ENOSYS);
    assert!(said.causes.iter().any(|c| !c.found && c.cause.contains("Seccomp: 2")), "{said}");
    let old = Host { release: (5, 1), kernel: "5.1.0".into(), ..Host::default() };
    let said = diagnosed("mounts", &old, Step::OpenProc, Errno::ENOSYS);
    finds(&said, "this kernel, 5.1.0, is older than open_tree", "learnctr doctor");
}

#[test]
fn newuidmap() {
    let map = |outside, count| Step::MapIds {
        file: "/proc/1/uid_map".into(),
        ranges: vec![Range { inside: 0, outside: 1000, count: 1 }, Range { inside: 1, outside, count }],
        helper: Some("/usr/bin/newuidmap".into()),
    };
    let helper = |privilege| Some(Helper { path: "/usr/bin/newuidmap".into(), privilege });
    let granted = vec![IdRange { start: 100_000, count: 65_536 }];
    let mut host =
        Host { uid: 1000, subuid: granted, newuidmap: helper(Privilege::None).into(), ..Host::default() };
    let said = diagnosed("userns", &host, map(100_000, 65_536), Errno::EPERM);
    finds(&said, "neither its set-user-ID bit", "chmod u+s");
    host.newuidmap = helper(Privilege::Setuid).into();
    let said = diagnosed("userns", &host, map(100_000, 65_537), Errno::EPERM);
    finds(&said, "was not given to", "usermod --add-subuids");
    host.no_new_privs = true;
    let said = diagnosed("userns", &host, map(100_000, 65_536), Errno::EPERM);
    finds(&said, "no_new_privs is set", "outside of the sandbox");
}

#[test]
fn mountinfo_is_read_and_never_panics() {
    let text = "36 35 98:0 / /a\\040b rw,noexec shared:1 - ext4 /dev/root rw,errors=continue\nx\n - \n1 2 3 4 5 6 - a\n";
    let [mount, _] = parse(text).try_into().unwrap();
    assert_eq!((mount.point.to_str(), mount.shared, &*mount.fstype), (Some("/a b"), true, "ext4"));
    assert!(mount.has("noexec") && mount.has("errors=continue") && !mount.has("ro"));
}

/// No table has a word in braces that is never put in, and every errno has what to do next.
#[test]
fn each_text_is_whole() {
    let all = stages::TABLE.iter().flat_map(|stage| stage.pitfalls).chain(super::COMMON);
    for pitfall in all {
        for text in [pitfall.cause, pitfall.mend] {
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
            assert!(!text.is_empty() && !text.contains("  "), "{text}");
        }
    }
}
