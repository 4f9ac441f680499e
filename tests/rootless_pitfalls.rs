//! Is the cause found for an ordinary user? What such a user is refused, with what is said about it.
//!
//! Next: `house`.

use std::process::Command;

const LEARNCTR: &str = env!("CARGO_BIN_EXE_learnctr");

/// A script with learnctr as $L, in a place of its own, which is removed.
fn refused(name: &str, script: &str, status: i32, said: &[&str]) {
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    if uid == 0 {
        return println!("skipped: is for an ordinary user");
    }
    let place = std::env::temp_dir().join(format!("learnctr-rootless-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("L", LEARNCTR).env("P", &place);
    command.env("LEARNCTR_DATA", place.join("data")).env("LEARNCTR_STATE", place.join("state"));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let left: Vec<_> =
        std::fs::read_dir(place.join("data/containers")).into_iter().flatten().flatten().collect();
    let _ = std::fs::remove_dir_all(&place);
    if status == 1 && text.contains("kernel.unprivileged_userns_clone") {
        return println!("skipped: no user namespaces for ordinary users here");
    }
    if text.contains("overlay in a user namespace needs Linux 5.11") {
        return println!("skipped: overlay in a user namespace needs Linux 5.11");
    }
    assert_eq!(output.status.code(), Some(status), "{script}\n{text}");
    for said in said {
        assert!(text.contains(said), "{script}\nshould say {said:?}:\n{text}");
    }
    assert!(!text.contains("what the call names") && !text.contains("panicked"), "{text}");
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn without_userns() {
    let said =
        ["EPERM", "only in a user namespace of its own, which was left out", "do not skip the stage userns"];
    refused("userns", "$L run --skip userns -- true", 1, &said);
}

#[test]
fn a_command_that_is_not_there() {
    refused(
        "exec",
        "$L run -- nosuch",
        127,
        &["ENOENT", "there is no nosuch in any directory of PATH inside"],
    );
}

#[test]
fn a_limit_above_ones_own() {
    let said =
        ["prlimit64(", "EPERM", "the hard limit of RLIMIT_NOFILE is 200 here", "--ulimit with at most 200"];
    refused("ulimit", "ulimit -n 200; $L run --ulimit nofile=300 -- true", 1, &said);
}

#[test]
fn no_user_namespace_allowed() {
    let script = "unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec $L run --userns private -- true'";
    refused("max", script, 1, &["unshare(CLONE_NEWUSER)", "ENOSPC", "user.max_user_namespaces is 0"]);
}

#[test]
fn a_covered_proc() {
    // As an outer container has it: something is mounted over a part of /proc.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    if mounts.matches(" - proc ").count() != 1 {
        return println!("skipped: the kernel looks at every proc that is mounted, and here is another one");
    }
    let script = "unshare -Urm sh -c 'mount -t tmpfs t /proc/irq; exec $L run --network none --userns private -- true'";
    refused(
        "proc",
        script,
        1,
        &[
            "mount(\"proc\"",
            "EPERM",
            "a new proc would show what is covered here (/proc/irq",
            "systempaths=unconfined",
        ],
    );
}

/// Who is root of one id alone, as in `unshare -r`, has no other groups: not inside either.
#[test]
fn root_of_a_single_id() {
    let said = ["devpts without \"gid=5\"", "additionalGids [0,5] are not set: setgroups(2) is denied"];
    for userns in ["", "--userns private"] {
        let run = format!("exec $L run --network none {userns} --group-add 5 -- id");
        refused("single", &format!("unshare -Urm sh -c '{run}'"), 0, &said);
    }
}

#[test]
fn a_network_namespace_of_an_outer_user_namespace() {
    let script = "unshare -Ur sh -c 'exec $L run --network veth -- true'";
    refused(
        "net",
        script,
        1,
        &["sendto(", "EPERM", "CAP_NET_ADMIN is needed in the user namespace that owns", "--network none"],
    );
}

/// What was not asked for is left out, as for every ordinary user.
#[test]
fn root_of_a_user_namespace_has_a_container_without_a_network() {
    refused("nonet", "unshare -Urm sh -c 'exec $L run -- true'", 0, &["veth: the network is none"]);
}

#[test]
fn without_proc_or_stack() {
    for command in ["doctor", "plan", "run -- true"] {
        let script = format!("unshare -Urm sh -c 'mount -t tmpfs t /proc && exec $L {command}'");
        refused("proc", &script, 1, &["there is no procfs on /proc", "next: mount -t proc proc /proc"]);
        let script = format!("ulimit -s 64; exec $L {command}");
        refused("stack", &script, 1, &["the stack may not grow", "`ulimit -s 8192`"]);
    }
}

#[test]
fn layers_with_mounts_below() {
    let said = ["EINVAL", "other file systems are mounted below a layer", "findmnt -R"];
    refused("below", "$L run --rootfs / -- true", 1, &said);
}

#[test]
fn a_place_that_is_somebody_elses() {
    refused("data", "LEARNCTR_DATA=/root/x $L run -- true", 1, &["/root/x", "LEARNCTR_DATA"]);
    refused(
        "state",
        "LEARNCTR_STATE=/proc/x $L run -- true",
        1,
        &["open(\"/proc/x/", "the journal of what has to be undone", "LEARNCTR_STATE=DIR"],
    );
}
