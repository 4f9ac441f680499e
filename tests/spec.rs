//! Is the description Docker's where it should be, and is everything that cannot be built from refused with
//! its place? No privilege is needed: machines and users are made up.
//!
//! Next: tests/bundle.rs, where runc is asked.

use clap::Parser;
use learnctr::host::{Cgroups, Helper, Hierarchy, Host, IdRange, Privilege, cgroup};
use learnctr::spec::{Container, Error, Network, Note, Options, bundle, to_json};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

/// What a real Docker Engine asked of runc.
const DOCKER: &[u8] = include_bytes!("docker/config.json");

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(line: &[&str]) -> Options {
    Line::try_parse_from(["learnctr"].iter().chain(line)).unwrap_or_else(|error| panic!("{error}")).options
}

/// Root, or the user 1000 with a range, on a machine with this version of control groups.
fn host(root: bool, mode: cgroup::Mode) -> Host {
    let controllers = ["memory", "cpu", "cpuset", "pids", "devices", "blkio", "io", "hugetlb", "rdma"];
    let parent = cgroup::Parent { writable: root, can_enable: root, ..Default::default() };
    let controllers = controllers.map(String::from).to_vec();
    let version = if mode == cgroup::Mode::V2 { 2 } else { 1 };
    let hierarchy = Hierarchy { version, controllers, parent, ..Default::default() };
    let range = IdRange { start: 100_000, count: 65_536 };
    let helper = Helper { path: "/usr/bin/newuidmap".into(), privilege: Privilege::Setuid };
    let mut host = Host {
        release: (6, 1),
        uid: if root { 0 } else { 1000 },
        gid: if root { 0 } else { 1000 },
        cgroup: Cgroups { mode, hierarchies: vec![hierarchy] },
        subuid: vec![range],
        subgid: vec![range],
        newuidmap: Some(helper.clone()).into(),
        newgidmap: Some(helper).into(),
        ..Default::default()
    };
    let all = if root { u64::MAX } else { 0 };
    (host.caps.effective, host.caps.permitted, host.caps.bounding) = (all, all, all);
    host.dirs.data = "/var/lib/learnctr".into();
    host
}

fn described(line: &[&str], host: &Host) -> Result<Container, Error> {
    Container::from_options(&options(line), host, "0123456789ab")
}

fn stages(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.stage).collect()
}

/// The whole description but for the filter, which is another test's.
fn snapshot(name: &str, container: &Container) {
    let mut json = container.to_json();
    if let Some(filter) = json.pointer_mut("/linux/seccomp") {
        *filter = json!("Docker's, see tests/seccomp.rs");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_suffix(name);
    settings.bind(|| insta::assert_json_snapshot!("spec", json));
}

#[test]
fn the_default_container_is_as_it_was() {
    let root = described(&[], &host(true, cgroup::Mode::Hybrid)).unwrap();
    assert_eq!((root.network, root.notes.len()), (Network::Veth, 0));
    snapshot("root-hybrid", &root);
    snapshot("root-v2", &described(&[], &host(true, cgroup::Mode::V2)).unwrap());
    let user = described(&[], &host(false, cgroup::Mode::V2)).unwrap();
    assert_eq!(stages(&user.notes), ["veth", "limits", "cgroup", "cgroup", "cgroup", "cgroup"]);
    snapshot("user-v2", &user);
}

#[test]
fn every_option_shows_in_the_description() {
    let line = [
        "--name=shop",
        "--hostname=till",
        "-m=1g",
        "--memory-swap=-1",
        "--cpus=1.5",
        "--cpu-shares=512",
        "--cpuset-cpus=0-1",
        "--pids-limit=-1",
        "--cap-drop=ALL",
        "--cap-add=net_admin",
        "-u=1000:50",
        "--init",
        "--userns=private",
        "--read-only",
        "--tmpfs=/run:size=1m",
        "-v=/:/host:ro,rslave",
        "-v=data:/data",
        "-e=COLOR=blue",
        "-w=/srv",
        "--network=host",
        "--security-opt=no-new-privileges",
        "--security-opt=seccomp=unconfined",
        "--security-opt=systempaths=unconfined",
        "--security-opt=apparmor=shop",
        "--ulimit=nofile=64:128",
        "--sysctl=kernel.msgmax=9",
        "--device=/dev/null:r",
        "--group-add=7",
        "--group-add=audio",
        "--oom-score-adj=5",
        "--shm-size=1m",
        "--cgroupns=private",
        "--cgroup-parent=/shops",
        "--time-namespace=60",
        "-it",
        "--",
        "sh",
        "-c",
        "true",
    ];
    let all = described(&line, &host(true, cgroup::Mode::V2)).unwrap();
    assert!(all.init && all.network == Network::Host && all.groups.len() == 1);
    snapshot("every-option", &all);
}

/// Every place at which two documents differ.
fn differences(path: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|key| !x.contains_key(*key))) {
                let none = Value::Null;
                differences(
                    &format!("{path}/{key}"),
                    x.get(key).unwrap_or(&none),
                    y.get(key).unwrap_or(&none),
                    found,
                );
            }
        }
        _ if a != b => found.push(path.to_owned()),
        _ => {}
    }
}

#[test]
fn the_default_is_dockers_and_each_difference_has_its_reason() {
    let (docker, notes) = bundle::parse(DOCKER, "config.json").unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let ours = described(&["--", "sleep", "1000"], &host(true, cgroup::Mode::Hybrid)).unwrap();
    let mut found = Vec::new();
    differences("", &to_json(&docker), &to_json(&ours.described()), &mut found);
    found.sort();
    assert_eq!(
        found,
        [
            "/linux/cgroupsPath",                       // ours are under /learnctr
            "/linux/maskedPaths",                       // a newer Moby: interrupts and powercap too
            "/linux/resources/blockIO",                 // weight 0: not set
            "/linux/resources/cpu/shares",              // 0: not set
            "/linux/resources/memory/disableOOMKiller", // false: not set
            "/linux/seccomp/defaultErrnoRet",           // a newer Moby's profile …
            "/linux/seccomp/syscalls",                  // … for this kernel
            "/ociVersion",                              // time namespaces and rro are in 1.1
            "/process/oomScoreAdj",                     // 0: as it is
            "/root/path",                               // an overlay, in place of Docker's
        ]
    );
}

#[test]
fn what_is_printed_gives_the_same_container() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(true, cgroup::Mode::V2);
    let first = described(
        &["--init", "-u=nginx:1", "--group-add=video", "-v=data:/d", "-v=/anon", "--", "sh"],
        &host,
    );
    let first = first.unwrap();
    std::fs::write(dir.path().join("config.json"), first.to_json().to_string()).unwrap();
    let asked = options(&["--bundle", &dir.path().display().to_string()]);
    let second = Container::from_bundle(dir.path(), &asked, &host, &first.id).unwrap();
    assert_eq!(first.to_json(), second.to_json());
    let mut same = second;
    // What was read has Docker's profile written out.
    (same.spec, same.docker_filter) = (first.spec.clone(), first.docker_filter);
    assert_eq!(first, same);
}

#[test]
fn contradictions_are_refused_on_the_command_line() {
    for line in [
        &["--bundle=.", "-m=1g"][..],
        &["--bundle=.", "--read-only"],
        &["--privileged"],
        &["-m=x"],
        &["--cpus=-1"],
        &["--network=bridge"],
        &["--oom-score-adj=1001"],
        &["--hostname=a b"],
        &["-w=srv"],
    ] {
        let error = Line::try_parse_from(["learnctr"].iter().chain(line)).err().unwrap();
        assert_eq!(error.exit_code(), 2, "{line:?}");
    }
    let root = host(true, cgroup::Mode::V2);
    for (line, at) in [
        (&["--memory-swap=1m"][..], "--memory-swap"),
        (&["-m=1m"], "--memory"),
        (&["--cap-add=FLY"], "--cap-add"),
        (&["--hostname=a", "--uts=host"], "--hostname"),
        (&["--userns=keep-id"], "--userns"),
        (&["-v=/no/such/place:/x"], "--volume"),
        (&["--device=/etc/passwd"], "--device"),
        (&["--rootfs=/etc/passwd"], "--rootfs"),
        (&["--env-file=/no/such/file"], "--env-file /no/such/file, line 1"),
        (&["--userns=private", "-u=70000"], "--user"),
        (&["--security-opt=seccomp=/no/such/file"], "--security-opt seccomp"),
        (&["--sysctl=kernel.panic=1"], r#"options: linux.sysctl["kernel.panic"]"#),
        (
            &["--network=host", "--sysctl=net.core.somaxconn=1"],
            r#"options: linux.sysctl["net.core.somaxconn"]"#,
        ),
    ] {
        assert_eq!(described(line, &root).unwrap_err().at, at, "{line:?}");
    }
    assert_eq!(described(&["--userns=host"], &host(false, cgroup::Mode::V2)).unwrap_err().at, "--userns");
}

#[path = "spec/faults.rs"]
mod faults;

#[test]
fn what_a_bundle_leaves_open_is_filled_in_and_what_cannot_be_had_is_said() {
    let mut host = host(true, cgroup::Mode::Hybrid);
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("rootfs")).unwrap();
    let asked = options(&["--bundle", &dir.path().display().to_string()]);
    let read = |change: &dyn Fn(&mut serde_json::Value), host: &Host| {
        let mut config = described(&[], host).unwrap().to_json();
        config.as_object_mut().unwrap().remove("annotations");
        config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
        config["root"]["path"] = json!("rootfs");
        change(&mut config);
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        Container::from_bundle(dir.path(), &asked, host, "0123456789ab").unwrap()
    };
    // What no writer fills is not waited for.
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("config.json"), rustix::fs::Mode::RWXU).unwrap();
    let pipe = Container::from_bundle(dir.path(), &asked, &host, "0123456789ab").unwrap_err();
    assert!(pipe.to_string().contains("a pipe"), "{pipe}");
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    // Limits without a group would be none.
    let named = |container: &Container| container.spec.linux().as_ref().unwrap().cgroups_path().clone();
    assert!(named(&read(&|_| {}, &host)).unwrap().ends_with("learnctr-0123456789ab"));
    let free = read(
        &|config| {
            config["linux"]["resources"] = json!({});
            config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "cgroup");
        },
        &host,
    );
    assert_eq!(named(&free), None);
    // A relative source is the bundle's.
    let bound = json!({"destination": "v", "type": "bind", "source": "rootfs", "options": ["acl"]});
    let with = read(&|config| config["mounts"].as_array_mut().unwrap().push(bound.clone()), &host);
    let mount = with.spec.mounts().as_ref().unwrap().last().unwrap().clone();
    assert_eq!(mount.source().as_deref(), Some(dir.path().canonicalize().unwrap().join("rootfs").as_path()));
    assert_eq!(mount.destination(), std::path::Path::new("/v"));
    assert_eq!(stages(&with.notes), ["mounts", "mounts"]);
    // Neither what this version of control groups has no file for, nor a controller that is not here.
    let limits = json!({"unified": {"memory.high": "1"}, "network": {"classID": 1}});
    let lost = read(&|config| config["linux"]["resources"] = limits.clone(), &host);
    assert_eq!(stages(&lost.notes), ["cgroup", "cgroup"], "{:?}", lost.notes);
    // Nor a capability that learnctr itself does not have.
    host.caps.permitted &= !(1 << 27);
    assert_eq!(stages(&read(&|_| {}, &host).notes), ["caps"]);
    assert_eq!(stages(&described(&[], &host).unwrap().notes), ["caps"]);
}
