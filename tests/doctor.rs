//! Does the doctor say what is so? Other programs are the witnesses: unshare(1), ip(8), capsh(1), bwrap(1);
//! asked as root and as an ordinary user, and where something was taken away before.

use learnctr::doctor::{Answer, Check, Report};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, Weak};

/// The program where an ordinary user can get at it: this checkout may be in somebody's home. Tests that
/// run at the same time share it, and the last one removes it.
struct Program(tempfile::TempDir);

fn program() -> Arc<Program> {
    static SHARED: Mutex<Weak<Program>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    shared.upgrade().unwrap_or_else(|| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_learnctr"), dir.path().join("learnctr")).unwrap();
        let program = Arc::new(Program(dir));
        *shared = Arc::downgrade(&program);
        program
    })
}

impl Program {
    fn path(&self) -> String {
        self.0.path().join("learnctr").to_str().unwrap().to_owned()
    }
}

const AS_ROOT: &[&str] = &[];
const AS_NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

fn root() -> bool {
    learnctr::host::Host::look().uid == 0
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

macro_rules! skip_unless {
    ($condition:expr, $reason:literal) => {
        if !$condition {
            println!("skipped: {}", $reason);
            return;
        }
    };
}

/// `prefix` runs the command that follows it.
fn run(prefix: &[&str], command: &[&str]) -> Output {
    let words: Vec<&str> = prefix.iter().chain(command).copied().collect();
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdin(Stdio::null()).env_remove("COLUMNS").env_remove("XDG_RUNTIME_DIR");
    command.output().unwrap()
}

fn doctor(prefix: &[&str]) -> (Report, i32) {
    let program = program();
    let output = run(prefix, &[&program.path(), "doctor", "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    (report, output.status.code().unwrap())
}

fn of<'a>(report: &'a Report, id: &str) -> &'a Check {
    report.checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("no check {id}"))
}

/// Everybody that we can be: this user, and nobody where we are root.
fn everybody() -> Vec<&'static [&'static str]> {
    if root() { vec![AS_ROOT, AS_NOBODY] } else { vec![AS_ROOT] }
}

#[test]
fn json_is_what_its_schema_says() {
    let schema = serde_json::to_value(schemars::schema_for!(Report)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for who in everybody() {
        let output = run(who, &[&program().path(), "doctor", "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        let report: Report = serde_json::from_value(json).unwrap();
        for check in &report.checks {
            let wanting = check.answer != Answer::Yes;
            assert_eq!(check.costs.is_some(), wanting, "{check:#?}");
            assert!(!check.says.is_empty() && (wanting || check.mend.is_none()), "{check:#?}");
        }
        assert_eq!(output.status.success(), report.verdict.can);
    }
}

#[test]
fn namespaces_as_unshare_makes_them() {
    skip_unless!(runs("unshare"), "unshare(1) is not installed");
    for who in everybody() {
        let (report, _) = doctor(who);
        let mut witnesses = vec![("user-namespace", vec!["--user", "--map-root-user"])];
        let inside: &[&str] = if report.privileged { &[] } else { &["--user", "--map-root-user"] };
        for (id, options) in [
            ("namespace-mnt", &["--mount"][..]),
            ("namespace-pid", &["--pid", "--fork"]),
            ("namespace-uts", &["--uts"]),
            ("namespace-ipc", &["--ipc"]),
            ("namespace-net", &["--net"]),
            ("namespace-cgroup", &["--cgroup"]),
            ("namespace-time", &["--time"]),
            ("mount-proc", &["--mount", "--pid", "--fork", "--mount-proc"]),
        ] {
            witnesses.push((id, [inside, options].concat()));
        }
        for (id, options) in witnesses {
            let witness = run(&[who, &["unshare"], &options[..]].concat(), &["true"]).status.success();
            assert_eq!(
                of(&report, id).answer == Answer::Yes,
                witness,
                "{id} {who:?}: {:#?}",
                of(&report, id)
            );
        }
    }
}

#[test]
fn links_as_ip_makes_them() {
    skip_unless!(Command::new("ip").arg("-V").output().is_ok(), "ip(8) is not installed");
    for who in everybody() {
        let (report, _) = doctor(who);
        let inside: &[&str] = if report.privileged { &["unshare", "-n"] } else { &["unshare", "-rn"] };
        let prefix = [who, inside].concat();
        for (id, command) in [
            ("veth", ["ip", "link", "add", "a0", "type", "veth"].as_slice()),
            ("bridge", &["ip", "link", "add", "a0", "type", "bridge"]),
            ("loopback", &["ip", "link", "set", "lo", "up"]),
        ] {
            let witness = run(&prefix, command).status.success();
            let answer = of(&report, id).answer;
            assert_eq!(matches!(answer, Answer::Yes | Answer::Limited), witness, "{id} {who:?}");
        }
    }
}

#[test]
fn groups_as_mkdir_makes_them() {
    for who in everybody() {
        let (report, _) = doctor(who);
        for controller in ["memory", "cpu", "pids"] {
            let check = of(&report, &format!("cgroup-{controller}"));
            let made = check.tried.iter().find(|call| call.starts_with("mkdir("));
            let Some(dir) = made.and_then(|call| call.split('"').nth(1)) else {
                // Version 2, and not enabled yet: whether it could be is asked without a change.
                let host = learnctr::host::Host::look();
                assert!(
                    host.cgroup.controller(controller).is_none_or(|found| found.version == 2),
                    "{check:#?}"
                );
                println!("skipped: no group was tried for {controller}: {}", check.says);
                continue;
            };
            let dir = format!("{dir}-witness");
            let witness = run(who, &["mkdir", &dir]).status.success();
            run(who, &["rmdir", &dir]);
            assert_eq!(check.answer == Answer::Yes, witness, "{check:#?}");
        }
    }
}

#[test]
fn a_limit_of_no_user_namespaces_is_found_and_its_mend_named() {
    skip_unless!(run(&[], &["unshare", "-r", "true"]).status.success(), "no user namespace can be made here");
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let (report, status) = doctor(&[
        "unshare",
        "-r",
        "sh",
        "-c",
        script,
        "sh",
        "capsh",
        "--drop=all",
        "--",
        "-c",
        "exec \"$0\" \"$@\"",
    ]);
    let check = of(&report, "user-namespace");
    assert_eq!((check.answer, status), (Answer::No, 1), "{check:#?}");
    assert_eq!(check.errno.map(|errno| errno.name()), Some("ENOSPC".into()));
    assert_eq!(check.causes, ["the sysctl user.max_user_namespaces is 0"]);
    assert_eq!(check.mend.as_deref(), Some("sysctl -w user.max_user_namespaces=15000"));
    assert_eq!(report.verdict.prevented_by, ["user-namespace"]);
    assert_eq!(of(&report, "overlay").answer, Answer::NotAsked);
}

#[test]
fn a_limit_of_one_kind_prevents_what_needs_it() {
    skip_unless!(run(&[], &["unshare", "-r", "true"]).status.success(), "no user namespace can be made here");
    let script = "echo 0 > /proc/sys/user/max_uts_namespaces && exec \"$@\"";
    let (report, status) = doctor(&["unshare", "-r", "sh", "-c", script, "sh"]);
    // What a user namespace prevents by itself, as overlay before Linux 5.11, is not this limit's.
    let (before, _) = doctor(&["unshare", "-r"]);
    let mut prevented = report.verdict.prevented_by.clone();
    prevented.retain(|check| !before.verdict.prevented_by.contains(check));
    assert_eq!((prevented.as_slice(), status), (["namespace-uts".to_owned()].as_slice(), 1));
    assert_eq!(of(&report, "namespace-ipc").answer, Answer::Yes);
}

/// A classic BPF program that answers EPERM to unshare and clone3, as a container engine's profile does.
#[cfg(target_arch = "x86_64")]
fn filter() -> Vec<u8> {
    let program: [(u16, u8, u8, u32); 5] = [
        (0x20, 0, 0, 0),           // the call's number
        (0x15, 1, 0, 272),         // unshare
        (0x15, 0, 1, 435),         // clone3
        (0x06, 0, 0, 0x0005_0001), // SECCOMP_RET_ERRNO, EPERM
        (0x06, 0, 0, 0x7fff_0000), // SECCOMP_RET_ALLOW
    ];
    let bytes = |(code, jt, jf, k): (u16, u8, u8, u32)| {
        [code.to_ne_bytes().to_vec(), vec![jt, jf], k.to_ne_bytes().to_vec()].concat()
    };
    program.into_iter().flat_map(bytes).collect()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn an_outer_container_s_filter_is_suspected() {
    skip_unless!(runs("bwrap"), "bwrap(1) is not installed");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("filter");
    std::fs::write(&file, filter()).unwrap();
    let script = format!(
        "exec bwrap --bind / / --dev /dev --proc /proc --cap-drop ALL --seccomp 9 \"$@\" 9< {}",
        file.display()
    );
    let prefix = ["sh", "-c", &script, "sh"];
    skip_unless!(run(&prefix, &["true"]).status.success(), "bwrap(1) cannot make its sandbox here");
    assert!(!run(&prefix, &["unshare", "--uts", "true"]).status.success(), "the filter filters");
    let (report, status) = doctor(&prefix);
    let check = of(&report, "user-namespace");
    assert_eq!((check.answer, status), (Answer::No, 1), "{check:#?}");
    assert_eq!(
        check.decided_by.as_deref(),
        Some("unshare(CLONE_NEWUSER) = -1 EPERM (Operation not permitted)")
    );
    assert!(check.causes.iter().any(|cause| cause.contains("seccomp filter")), "{check:#?}");
    assert_eq!(of(&report, "clone3").answer, Answer::No);
    assert_eq!(of(&report, "openat2").answer, Answer::Yes);
}

#[test]
fn a_chroot_is_recognised() {
    skip_unless!(root(), "needs root, to chroot");
    // A directory that is no mount of its own: a tmpfs's inner one, with the host's directories in it.
    let script = "set -e; mount -t tmpfs none /mnt; mkdir /mnt/r; cd /mnt/r
        for dir in bin lib lib64 usr etc proc dev sys tmp; do
            [ ! -e /$dir ] || { mkdir $dir; mount --rbind /$dir $dir; }
        done
        exec chroot /mnt/r setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";
    let prefix = ["unshare", "--mount", "sh", "-c", script, "sh"];
    skip_unless!(run(&prefix, &["true"]).status.success(), "the chroot cannot be made here");
    let witness = run(&prefix, &["unshare", "--user", "true"]).status.success();
    let (report, _) = doctor(&prefix);
    let check = of(&report, "user-namespace");
    assert_eq!(check.answer == Answer::Yes, witness);
    assert!(!witness && check.causes.iter().any(|cause| cause.contains("chroot")), "{check:#?}");
}

#[test]
fn missing_capabilities_are_named() {
    skip_unless!(
        root() && Command::new("capsh").arg("--supports=cap_bpf").output().is_ok(),
        "needs root and capsh(1)"
    );
    let prefix = ["capsh", "--drop=cap_net_raw,cap_mknod", "--", "-c", "exec \"$0\" \"$@\""];
    let (report, status) = doctor(&prefix);
    let check = of(&report, "capabilities");
    assert_eq!((check.answer, status), (Answer::Limited, 0));
    assert!(check.says.contains("CAP_NET_RAW") && check.says.contains("CAP_MKNOD"), "{}", check.says);
    assert!(!check.says.contains("CAP_CHOWN"));
    assert_eq!(of(&report, "mknod").answer, Answer::No);
}

#[test]
fn who_may_raise_no_limit_is_told() {
    skip_unless!(
        root() && Command::new("capsh").arg("--supports=cap_bpf").output().is_ok(),
        "needs root and capsh(1)"
    );
    let prefix = ["capsh", "--drop=cap_sys_resource", "--", "-c", "exec \"$0\" \"$@\""];
    let raised = run(&prefix, &["sh", "-c", "ulimit -H -n 64 && ulimit -H -n 65"]).status.success();
    let (report, status) = doctor(&prefix);
    let check = of(&report, "capabilities");
    assert_eq!((check.answer, status), (Answer::Limited, 0));
    assert!(check.says.contains("CAP_SYS_RESOURCE"), "{check:#?}");
    let told = |cause: &String| cause.starts_with("without CAP_SYS_RESOURCE no hard rlimit is raised");
    assert_eq!(check.causes.iter().any(told), !raised, "{check:#?}");
    // None of Docker's own is missing.
    assert!(!check.causes.iter().any(|cause| cause.contains("Docker")), "{check:#?}");
}

/// Each file that is said to take a value takes it, and has it then; by whom nothing is delegated, no limit holds.
#[test]
fn a_limit_is_one_that_the_kernel_takes() {
    let host = learnctr::host::Host::look();
    for who in everybody() {
        let (report, _) = doctor(who);
        for controller in ["memory", "cpu", "pids"] {
            let check = of(&report, &format!("cgroup-{controller}"));
            if check.answer == Answer::No {
                assert!(check.costs.as_ref().is_some_and(|costs| costs.contains("not hold")), "{check:#?}");
            }
            let Some((file, value)) = check.says.split_once(" takes ") else {
                assert!(
                    check.answer != Answer::Yes || check.says.starts_with("to be enabled: +"),
                    "{check:#?}"
                );
                continue;
            };
            assert_eq!(check.answer, Answer::Yes);
            let group = host
                .cgroup
                .controller(controller)
                .unwrap()
                .parent
                .dir
                .join(format!("learnctr-limit-{}-{controller}", std::process::id()));
            let script = format!(
                "mkdir {0} && echo {value} >{0}/{file} && cat {0}/{file}; rmdir {0}",
                group.display()
            );
            let output = run(who, &["sh", "-c", &script]);
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), value, "{output:?}");
        }
    }
}

/// Nothing can be tried: that is told as what it is, and each answer comes with its cause.
#[test]
fn our_own_limits_that_are_too_low_are_told() {
    // How many it takes is another matter: with fewer than these it says nothing at all.
    let program = program();
    let reports = (5..=8).filter_map(|files| {
        let prefix = ["sh", "-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"];
        serde_json::from_slice::<Report>(&run(&prefix, &[&program.path(), "doctor", "--json"]).stdout).ok()
    });
    let is_ours = |check: &Check| check.errno.is_some_and(|errno| errno.name() == "EMFILE");
    let refused: Vec<Check> = reports.flat_map(|report| report.checks).filter(is_ours).collect();
    assert!(!refused.is_empty());
    for check in refused {
        assert!(check.causes.iter().any(|cause| cause.contains("RLIMIT_NOFILE")), "{check:#?}");
        assert_eq!(check.mend.as_deref(), Some("ulimit -n 1024"));
    }
    skip_unless!(root(), "needs root, to limit a group");
    let host = learnctr::host::Host::look();
    let Some(pids) = host.cgroup.controller("pids").filter(|found| found.parent.writable) else {
        println!("skipped: no controller pids that can be written to");
        return;
    };
    skip_unless!(
        pids.version == 1 || pids.parent.enabled.iter().any(|name| name == "pids"),
        "the controller pids is not enabled"
    );
    struct Group(PathBuf);
    impl Drop for Group {
        fn drop(&mut self) {
            _ = std::fs::remove_dir(&self.0);
        }
    }
    let group = Group(pids.parent.dir.join(format!("learnctr-low-{}", std::process::id())));
    std::fs::create_dir(&group.0).unwrap();
    let script = "echo 1 > \"$0\"/pids.max && echo $$ > \"$0\"/cgroup.procs && exec \"$@\"";
    let (report, status) = doctor(&["sh", "-c", script, group.0.to_str().unwrap()]);
    assert_eq!((report.verdict.can, status), (false, 1));
    let tried = of(&report, "namespace-mnt");
    assert_eq!(tried.errno.map(|errno| errno.name()), Some("EAGAIN".into()), "{tried:#?}");
    assert!(tried.causes.iter().any(|cause| cause.contains("pids.max")), "{tried:#?}");
}

/// A v2 group given to nobody, as systemd gives one: its directory and three files.
#[test]
fn a_delegated_group_is_found_and_used() {
    skip_unless!(root(), "needs root, to delegate a group");
    let host = learnctr::host::Host::look();
    let Some(v2) = host.cgroup.v2().filter(|v2| v2.parent.writable) else {
        println!("skipped: no cgroup v2 that can be written to");
        return;
    };
    struct Group(PathBuf);
    impl Drop for Group {
        fn drop(&mut self) {
            _ = std::fs::remove_dir(self.0.join("shell"));
            _ = std::fs::remove_dir(&self.0);
        }
    }
    let group = Group(v2.parent.dir.join(format!("learnctr-test-{}", std::process::id())));
    std::fs::create_dir_all(group.0.join("shell")).unwrap();
    for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        std::os::unix::fs::chown(group.0.join(file), Some(65_534), Some(65_534)).unwrap();
    }
    let script = format!("echo $$ > {}/shell/cgroup.procs && exec \"$@\"", group.0.display());
    let (report, _) = doctor(&[&["sh", "-c", &script, "sh"], AS_NOBODY].concat());
    let check = of(&report, "cgroup-clone-into");
    assert_eq!(check.answer, Answer::Yes, "{check:#?}");
    // Before Linux 5.11 there is no overlay for ordinary users.
    assert!(report.verdict.prevented_by.iter().all(|check| check == "overlay"), "{:?}", report.verdict);
    let made = format!("mkdir({:?}", group.0.join("learnctr-doctor-"));
    assert!(check.tried[0].starts_with(made.trim_end_matches('"')), "{check:#?}");
}

#[test]
fn nothing_is_left() {
    let left = || {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let links: Vec<String> = std::fs::read_dir("/sys/class/net")
            .map(|dir| dir.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        let host = learnctr::host::Host::look();
        // Other tests ask at the same time; what is theirs is gone when they are.
        (mounts, links.into_iter().filter(|name| name.starts_with("try")).count(), host.cgroup)
    };
    let data = tempfile::tempdir().unwrap();
    std::fs::set_permissions(data.path(), PermissionsExt::from_mode(0o777)).unwrap();
    // What a doctor that was killed left is taken away by the next one.
    let old = data.path().join(".learnctr-doctor-4194399");
    std::fs::create_dir_all(old.join("work/work")).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    std::fs::File::open(&old).unwrap().set_modified(std::time::SystemTime::now() - hour).unwrap();
    let before = left();
    for who in everybody() {
        let variable = format!("LEARNCTR_DATA={}", data.path().display());
        let output = run(&[who, &["env", &variable]].concat(), &[&program().path(), "doctor", "--json"]);
        let report: Report = serde_json::from_slice(&output.stdout).unwrap();
        let overlay = of(&report, "overlay");
        assert!(
            overlay.says.contains(data.path().to_str().unwrap()) || overlay.answer != Answer::Yes,
            "{overlay:#?}"
        );
        for check in &report.checks {
            for call in check.tried.iter().filter(|call| call.starts_with("mkdir(\"/sys/fs/cgroup")) {
                let dir = call.split('"').nth(1).unwrap();
                assert!(!Path::new(dir).exists(), "{dir}");
            }
        }
    }
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    assert_eq!(left(), before);
}

#[test]
fn the_table_fits_and_is_plain_without_a_terminal() {
    for columns in ["80", "200"] {
        let output = Command::new(env!("CARGO_BIN_EXE_learnctr"))
            .arg("doctor")
            .env("COLUMNS", columns)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\u{1b}'), "no colour in a file");
        let width = columns.parse().unwrap();
        // A command to copy is never broken.
        for line in text.lines().filter(|line| !line.trim_start().starts_with("mend ")) {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{columns}: {line}");
        }
        let last = text.lines().last().unwrap_or_default();
        assert!(text.contains("The default container can"), "{last}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure_but_a_full_disk_is() {
    let script = "\"$0\" doctor | true";
    let output = run(&["bash", "-c", script], &[&program().path()]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let output = run(&["sh", "-c", "\"$0\" doctor > /dev/full"], &[&program().path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("learnctr: No space left"), "{output:?}");
}
