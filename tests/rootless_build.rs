//! What can an ordinary user build, with no set-up? The same container: with a range of ids and without one, read-only,
//! as another user inside, and removed to the last file, whoever inside it belongs to.

mod sandbox;

use sandbox::{Place, name, overlaid, root, soon};
use serde_json::Value;
use std::process::{Command, Stdio};

fn prepared() -> Option<Place> {
    if root() {
        println!("skipped: this is about ordinary users");
        return None;
    }
    sandbox::prepared()
}

#[test]
fn every_stage_is_walked_and_says_what_cannot_be_had() {
    let Some(place) = prepared() else { return };
    let id = name();
    let output = place.run(&[
        "step",
        "--json",
        "--auto",
        "--name",
        &id,
        "--",
        "sh",
        "-c",
        "trap exit TERM; sleep 100 & wait",
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let events: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
    let entered: Vec<&str> = of("entered").map(|event| event["stage"]["stage"].as_str().unwrap()).collect();
    for stage in [
        "image",
        "userns",
        "clone",
        "overlay",
        "mounts",
        "pivot-root",
        "caps",
        "seccomp",
        "exec",
        "stop",
        "remove",
    ] {
        assert!(entered.contains(&stage), "{stage} is not in {entered:?}");
    }
    assert!(of("stepped").all(|event| event["outcome"]["refused"].is_null()));
    // Where no group was delegated, the stage says so.
    let limited = of("stepped").any(|event| event["step"].as_str().unwrap().contains("memory"));
    let notes = place.says(&["plan"]);
    assert!(limited || notes.contains("cgroup"), "{notes}");
    assert!(soon(5, || place.left(&id).is_empty()), "{:?}", place.left(&id));
}

#[test]
fn files_of_other_ids_are_made_and_removed() {
    let Some(place) = prepared() else { return };
    let id = name();
    let script = "id -u; mkdir -m 700 /srv/deep; touch /srv/deep/file; chown -R 1000:1000 /srv/deep && echo given; ls -n /srv";
    let output = place.run(&["run", "--name", &id, "--", "sh", "-c", script]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("0\n"), "{said}");
    if !said.contains("given") {
        println!("skipped: no range of ids for this user");
    }
    assert_eq!(place.left(&id), Vec::<String>::new());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("not undone"), "{errors}");
}

#[test]
fn as_another_user_inside() {
    let Some(place) = prepared() else { return };
    let said = place.says(&[
        "run",
        "-u",
        "33:33",
        "--",
        "sh",
        "-c",
        "id -u; id -g; touch /x 2>&1; grep NoNewPrivs /proc/self/status",
    ]);
    assert!(said.starts_with("33\n33\n") && said.contains("Permission denied"), "{said}");
}

/// With no range there is one id: root inside is the user outside, and setgroups(2) is given up.
#[test]
fn with_a_single_id() {
    if !root() {
        return println!("skipped: only root can be a user without a range");
    }
    if !overlaid() {
        return;
    }
    const USER: u32 = 65533;
    let place = Place::alone();
    std::os::unix::fs::chown(place.path(), Some(USER), Some(USER)).unwrap();
    // This checkout may be in somebody's home.
    let program = place.path().join("learnctr");
    std::fs::copy(env!("CARGO_BIN_EXE_learnctr"), &program).unwrap();
    let id = name();
    let as_user = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65533", "--regid=65533", "--clear-groups"]).arg(&program).args(args);
        command
            .env("LEARNCTR_DATA", place.data())
            .env("LEARNCTR_STATE", place.state())
            .env("HOME", place.path());
        command.current_dir(place.path()).stdin(Stdio::null()).output().unwrap()
    };
    let script = "cat /proc/self/uid_map /proc/self/setgroups; id -u; touch /srv/file; chown 5:5 /srv/file 2>/dev/null || echo refused";
    let output = as_user(&["run", "--name", &id, "--", "sh", "-c", script]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() && errors.contains("the stage userns was refused") {
        return println!("skipped: {}", errors.replace('\n', " "));
    }
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["0", "65533", "1", "deny", "0", "refused"], "{errors}");
    // What cannot be had is said.
    let refused = as_user(&["plan", "-u", "33"]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && errors.contains("33 is not mapped"), "{errors}");
    let plan = String::from_utf8_lossy(&as_user(&["plan"]).stdout).into_owned();
    assert!(plan.contains("/etc/subuid"), "{plan}");
    assert_eq!(place.left(&id), Vec::<String>::new());
}
