//! Is the view right where no other program can be asked? Inside, for the ordinary user, for the dying, and of
//! what the helper leaves behind.
//!
//! Next: `parsers`, the same under bytes that no kernel writes.

mod subject;

use learnctr::diff;
use learnctr::kernel::Errno;
use learnctr::view::{self, KernelView};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use subject::{alone, bubblewrap, subject, taken, unshared, witness};

#[test]
fn inside_is_another_world_than_outside() {
    let _alone = alone();
    let Some(subject) = bubblewrap("inside", &["sleep", "60"]) else { return };
    let view = taken(subject.pid);
    let inside = view.inside.as_ref().unwrap();
    assert_eq!(inside.hostname.get(), Ok(&"boxed".to_owned()));
    assert_ne!(view.outside.hostname.get(), Ok(&"boxed".to_owned()));
    assert_eq!(inside.processes.value().unwrap().named.values().collect::<Vec<_>>(), ["bwrap", "sleep"]);
    let root = &inside.root.value().unwrap().entries;
    let names: BTreeSet<String> = std::fs::read_dir(format!("/proc/{}/root/", subject.pid))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(root.keys().cloned().collect::<BTreeSet<_>>(), names);
    assert_eq!(root["bin"].link.as_deref(), Some("usr/bin"));
    let devices = &inside.devices.value().unwrap().entries;
    // Bound over an empty file: the directory's own entry would say `file`.
    assert_eq!(devices["null"].kind, "character device");
    assert_eq!(devices["null"].device.as_deref(), Some("1:3"));
    assert_eq!(inside.interfaces.value().unwrap().keys().collect::<Vec<_>>(), ["lo"]);
    assert!(inside.cgroups.value().unwrap().values().all(|path| path == "/"));
    assert_eq!(view.outside.pids.value().unwrap().last(), Some(&2));
}

#[test]
fn a_user_namespace_is_seen_with_its_own_ids() {
    let _alone = alone();
    let command = ["unshare", "-U", "--map-user=1234", "--map-group=1234", "sleep", "60"];
    let Some(subject) = subject::subject("user namespace", &command) else { return };
    let view = taken(subject.pid);
    let map = view.outside.uid_map.value().unwrap();
    let inside = view.inside.as_ref().unwrap();
    assert_eq!((map[0].inside, map[0].count), (1234, 1));
    assert_eq!(inside.ids.value().unwrap().uid.real, 1234);
    assert_eq!(view.outside.ids.value().unwrap().uid.real, map[0].outside);
    assert_eq!(view.outside.setgroups.get(), Ok(&"deny".to_owned()));
}

#[test]
fn a_fifo_in_place_of_a_file_does_not_hold_it_up() {
    let _alone = alone();
    let Some(subject) = bubblewrap(
        "fifo",
        &["sh", "-c", "mkfifo /etc/hostname; ln -s /proc/1/environ /etc/hosts; exec sleep 60"],
    ) else {
        return;
    };
    let begun = Instant::now();
    let view = taken(subject.pid);
    assert!(begun.elapsed() < Duration::from_secs(1));
    let files = &view.inside.as_ref().unwrap().files;
    assert_eq!(files["/etc/hostname"].get(), Err(Errno(22)));
    assert_eq!(files["/etc/resolv.conf"].get(), Err(Errno::ENOENT));
}

#[test]
fn after_chroot_the_root_is_the_processs_own() {
    let _alone = alone();
    if !std::process::Command::new("chroot").args(["/", "true"]).status().is_ok_and(|status| status.success())
    {
        println!("skipped: chroot: chroot(2) needs CAP_SYS_CHROOT");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["usr", "proc", "only-here"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    // In a mount namespace of its own /usr can be bound there, and goes with the process.
    let script = "mount --bind /usr $0/usr && ln -s usr/bin $0/bin && ln -s usr/lib $0/lib && ln -s usr/lib64 $0/lib64 && exec chroot $0 sleep 60";
    let path = dir.path().to_str().unwrap();
    let Some(subject) = subject("chroot", &["unshare", "-m", "sh", "-c", script, path]) else { return };
    let view = taken(subject.pid);
    let root = view.inside.as_ref().unwrap().root.value().unwrap();
    assert!(root.entries.contains_key("only-here"), "{root:?}");
    assert!(!root.entries.contains_key("etc"));
}

#[test]
fn a_zombie_a_kernel_thread_and_nobody() {
    let _alone = alone();
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id() as i32;
    while !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
    let view = taken(pid);
    assert_eq!(view.outside.state.get(), Ok(&"Z (zombie)".to_owned()));
    assert!(view.outside.executable.get().is_err());
    assert!(view.inside.unwrap().root.get().is_err());
    child.wait().unwrap();
    assert_eq!(view::take(pid).unwrap_err().errno, Errno::ENOENT);
    match view::take(2) {
        Ok(view) if view.outside.pids.value() == Some(&vec![2]) && view.outside.executable.get().is_err() => {
            assert_eq!(view.outside.command_line.get(), Ok(&Vec::new()));
        }
        _ => println!("skipped: kernel thread: process 2 is none here"),
    }
}

#[test]
fn what_an_ordinary_user_may_not_read_is_refused_and_the_rest_is_there() {
    let _alone = alone();
    let is_root =
        std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let program = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::copy(env!("CARGO_BIN_EXE_learnctr"), &program).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let command =
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "view", "--json", "1"];
    let Some(said) = witness("refused", if is_root { &command } else { &command[4..] }) else { return };
    let view: KernelView = serde_json::from_str(&said).unwrap();
    assert_eq!(view.outside.environment.get(), Err(Errno::EACCES));
    assert_eq!(view.outside.namespaces["net"].get(), Err(Errno::EACCES));
    assert!(view.outside.capabilities.get().is_ok());
    let inside = view.inside.unwrap();
    assert_eq!(inside.root.get(), Err(Errno::EACCES));
    assert_eq!(inside.interfaces.get(), Err(Errno::EACCES));
}

#[test]
fn nothing_is_left_of_the_helper() {
    let _alone = alone();
    let own = std::process::id() as i32;
    let fds = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mappings = || std::fs::read_to_string("/proc/self/maps").unwrap().matches("/dev/zero").count();
    let _ = taken(own);
    let before = (fds(), mappings());
    for _ in 0..50 {
        let view = taken(own);
        assert!(view.outside.processes.value().unwrap().children.is_empty());
    }
    assert_eq!((fds(), mappings()), before);
    let children = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    assert_eq!(children.collect::<String>(), "");
}

#[test]
fn the_helper_cannot_be_traced_before_it_joins_and_executes_nothing() {
    let _alone = alone();
    let Some(subject) = unshared("strace") else { return };
    let program = env!("CARGO_BIN_EXE_learnctr");
    let pid = subject.pid.to_string();
    let Ok(output) = Command::new("strace")
        .args([
            "-f",
            "-q",
            "-e",
            "trace=prctl,setns,chroot,execve,connect,mount",
            "-o",
            "/dev/stderr",
            program,
            "view",
            &pid,
        ])
        .stdout(Stdio::null())
        .output()
    else {
        return println!("skipped: strace: it is not installed");
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim()).collect();
    let calls: Vec<&str> =
        lines.iter().filter_map(|line| line.split_once('(')).map(|(name, _)| name).collect();
    if !calls.contains(&"setns") {
        return println!("skipped: strace: it may not trace here: {text}");
    }
    assert_eq!(calls.iter().filter(|name| **name == "execve").count(), 1, "{text}");
    let first = |needle: &str| lines.iter().position(|line| line.contains(needle));
    assert!(first("PR_SET_DUMPABLE, SUID_DUMP_DISABLE") < first("setns("), "{text}");
    let user = first("CLONE_NEWUSER").unwrap();
    assert!(lines[user + 1].contains("PR_SET_DUMPABLE, SUID_DUMP_DISABLE"), "{text}");
    assert!(first("chroot(").unwrap() > user, "{text}");
}

#[test]
fn a_hostile_name_does_not_reach_the_terminal() {
    let _alone = alone();
    let script = "printf '\\033[2Jx' > /proc/self/comm; exec 7</dev/null; read line";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .env("EVIL", "\x1b]0;title\x07")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    while !std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap().contains("2J") {
        std::thread::yield_now();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_learnctr"))
        .args(["view", &child.id().to_string()])
        .output()
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\\u{1b}[2Jx") && text.contains("\\u{1b}]0;title\\u{7}"), "{text}");
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'));
}

#[test]
fn a_diff_says_by_its_status_whether_there_is_one() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("view.json");
    let own = taken(std::process::id() as i32);
    std::fs::write(&file, serde_json::to_string(&own).unwrap()).unwrap();
    let file = file.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_learnctr"));
        let output = command.arg("diff").args(arguments).stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(&[file, file]), (0, String::new()));
    let (status, text) = run(&[file, "self"]);
    assert_eq!(status, 1);
    assert!(text.contains("executable"), "{text}");
    assert_eq!(run(&["/nowhere", file]).0, 2);
    assert_eq!(run(&["-", file]).0, 2);
    let (_, json) = run(&["--json", "--all", file, "self"]);
    let found: diff::Diff = serde_json::from_str(&json).unwrap();
    assert!(found.changes.iter().any(|change| change.probe == "pid"));
}

#[test]
fn a_diff_of_real_views_applied_gives_the_other() {
    let _alone = alone();
    let Some(subject) = unshared("apply") else { return };
    let (a, b) = (taken(std::process::id() as i32), taken(subject.pid));
    let found = diff::diff(&a, &b);
    assert!(!found.is_empty());
    assert_eq!(diff::apply(&a, &found).unwrap(), b);
    let outside = view::take_outside(subject.pid).unwrap();
    assert_eq!(diff::apply(&b, &diff::diff(&b, &outside)).unwrap(), outside);
    assert_eq!(diff::apply(&outside, &diff::diff(&outside, &b)).unwrap(), b);
    let replayed: KernelView = serde_json::from_str(&serde_json::to_string(&b).unwrap()).unwrap();
    assert_eq!(replayed, b);
}

/// `cargo test --release --test view -- --ignored --nocapture`: how long one view takes.
#[test]
#[ignore = "a measurement"]
fn one_view_takes_less_than_a_millisecond() {
    let _alone = alone();
    let own = std::process::id() as i32;
    let Some(subject) = bubblewrap("time", &["sleep", "60"]) else { return };
    for (name, pid) in [("self", own), ("bubblewrap", subject.pid)] {
        let measure = |what: &str, take: &dyn Fn()| {
            let mut times: Vec<Duration> = (0..500)
                .map(|_| {
                    let begun = Instant::now();
                    take();
                    begun.elapsed()
                })
                .collect();
            times.sort();
            println!("{name} {what}: median {:?}, 9 of 10 below {:?}", times[250], times[450]);
            times[250]
        };
        measure("outside", &|| drop(view::take_outside(pid)));
        let both = measure("both", &|| drop(view::take(pid)));
        let view = taken(pid);
        measure("to JSON", &|| drop(serde_json::to_string(&view)));
        measure("diff", &|| drop(diff::diff(&view, &view)));
        assert!(both < Duration::from_millis(1));
    }
}
