//! What is told beside the stages themselves? What the kernel's OOM killer did, that a stepped command has nothing to
//! read, and that process 1 is learnctr's where `--init` asks for it.
//!
//! Next: `live_strace`, whether the calls that are told of were made.

mod sandbox;

use learnctr::host::{Host, Mode};
use sandbox::{Running, name, prepared};
use serde_json::Value;
use std::process::{Output, Stdio};

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[test]
fn what_the_oom_killer_ended_is_told_with_the_limit_to_set() {
    let Some(place) = prepared() else { return };
    let eats = "x=x; while :; do x=$x$x; done";
    let told = "its memory limit was reached, and the kernel's OOM killer ended a process of it (oom_kill in memory.";
    let limited = place.run(&["run", "--memory", "8m", "--", "true"]);
    let noted = words(&limited.stderr);
    let here = Host::look().cgroup;
    if here.mode == Mode::None
        || here.controller("memory").is_none()
        || noted.contains("memory is not limited")
    {
        return println!("skipped: no limit of memory can be set here: {noted}");
    }
    assert!(!noted.contains("OOM"), "{noted}");
    for options in [&["step", "--auto"][..], &["step", "--json"], &["run"]] {
        let output = place.run(&[options, &["--memory", "8m", "--", "sh", "-c", eats]].concat());
        let said = words(&output.stderr);
        assert!(
            said.contains(told) && said.ends_with("--memory SIZE sets another limit"),
            "{options:?}: {said}"
        );
        match options {
            ["step", "--json"] => assert_eq!(of(&events(&output), "exited")[0]["status"], 137),
            ["step", ..] => assert!(words(&output.stdout).contains("was ended by SIGKILL"), "{said}"),
            _ => assert_eq!(output.status.code(), Some(137)),
        }
        // A kill that is somebody else's is not the limit's.
        let output = place
            .run(&[options, &["--memory", "8m", "--", "sh", "-c", "sh -c 'kill -9 $$'; exit 9"]].concat());
        assert!(!words(&output.stderr).contains("OOM"), "{options:?}: {}", words(&output.stderr));
    }
}

#[test]
fn a_stepped_command_has_nothing_to_read_and_is_told_so() {
    let Some(place) = prepared() else { return };
    let told = "the command has nothing to read here (its standard input is /dev/null), so that a shell ends at once";
    let asks = ["--", "sh", "-c", "readlink /proc/self/fd/0; read line; echo read-$?-$line"];
    let text = |options: &[&str]| {
        let output = place.run(&[&["step", "--auto"], options].concat());
        assert!(output.status.success(), "{}", words(&output.stderr));
        (words(&output.stdout), words(&output.stderr))
    };
    let (shown, printed) = text(&asks);
    assert_eq!(shown.matches(&format!("note: {told}")).count(), 1, "{shown}");
    assert!(printed.contains("/dev/null read-1-"), "{printed}");
    let (shown, _) = text(&["--until", "exec"]);
    assert!(!shown.contains("nothing to read"), "the default command reads nothing");
    let output = place.run(&[&["step", "--json"][..], &asks].concat());
    let events = events(&output);
    let stages = events[0]["plan"]["stages"].as_array().unwrap();
    let noted: Vec<&Value> = stages.iter().filter(|stage| words_of(&stage["notes"]).contains(told)).collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0]["stage"], "exec");
    // What step says `run` does, it does.
    for (input, read) in [(Some("one\n"), "read-0-one"), (None, "read-1-")] {
        let mut command = place.learnctr(&["run"]);
        command.args(asks).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running(command.spawn().unwrap());
        let mut pipe = running.0.stdin.take().unwrap();
        std::io::Write::write_all(&mut pipe, input.unwrap_or_default().as_bytes()).unwrap();
        drop(pipe);
        let mut said = String::new();
        std::io::Read::read_to_string(running.0.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert!(said.starts_with("pipe:") && said.contains(read), "{said}");
    }
    // Closed, and not even /dev/null.
    let id = name();
    let mut command = place.command("sh");
    command.args(["-c", "exec \"$L\" \"$@\" <&-", "sh", "step", "--auto", "--name", &id]).args(asks);
    let output = command.output().unwrap();
    assert!(output.status.success() && words(&output.stdout).contains(told), "{}", words(&output.stderr));
    assert!(words(&output.stderr).contains("/dev/null read-1-"), "{}", words(&output.stderr));
}

fn words_of(value: &Value) -> String {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_clone_that_makes_the_command_a_child_of_process_1_is_told_of() {
    let Some(place) = prepared() else { return };
    let step = |init: &[&str]| {
        // As process 1 it hears no SIGTERM, which comes soon; as a child of process 1 it may.
        let script = "echo pid-$$; exit 3";
        let output = place.run(&[&["step", "--auto", "--json"], init, &["--", "sh", "-c", script]].concat());
        assert!(output.status.success(), "{}", words(&output.stderr));
        (events(&output), words(&output.stderr))
    };
    let (told, _) = step(&["--init"]);
    let stepped = of(&told, "stepped");
    let init = stepped.iter().position(|event| event["step"].as_str().unwrap().contains("stay as process 1"));
    let init = stepped[init.expect("the step is told of")];
    assert_eq!((&init["side"], &init["outcome"]), (&"child".into(), &"done".into()), "{init}");
    let calls = init["calls"].as_array().unwrap();
    let last = calls.last().expect("its call is told of");
    assert!(["clone3", "clone"].contains(&last["name"].as_str().unwrap()), "{init}");
    assert!(last["returned"]["ok"].is_number(), "{init}");
    // The events were those of one session, to its end.
    assert_eq!(of(&told, "ended").len(), 1);
    let (told, printed) = step(&[]);
    assert!(printed.contains("pid-1"), "{printed}");
    assert_eq!(of(&told, "exited")[0]["status"], 3);
    assert!(!of(&told, "stepped").iter().any(|event| event["step"].as_str().unwrap().contains("process 1")));
}
