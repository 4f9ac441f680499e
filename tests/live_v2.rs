//! What is other with cgroup v2 alone, as most machines have it? The process is born in its group, controllers are
//! enabled on the way down and given back, device rules are a program, and what cannot be had is said.
//!
//! Each test has a group of its own as the whole tree that it sees, as a container engine's guest has it.

mod sandbox;

use sandbox::{Place, Running, name, root, soon};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const TOP: &str = "/sys/fs/cgroup";

/// A group with the three controllers, removed with all below it.
struct Tree(PathBuf);

impl Tree {
    /// None where there is no such machine; the reason is printed.
    fn new(test: &str) -> Option<Tree> {
        let reason = match fs::read_to_string(format!("{TOP}/cgroup.subtree_control")) {
            _ if !root() => "needs root".to_owned(),
            Err(_) => "needs a machine with cgroup v2 alone".to_owned(),
            Ok(has)
                if ["cpu", "memory", "pids"].iter().all(|one| has.split(' ').any(|h| h.trim() == *one)) =>
            {
                let tree = Tree(PathBuf::from(TOP).join(format!("tree-{}", name())));
                match fs::create_dir(&tree.0) {
                    Ok(()) => return Some(tree),
                    Err(error) => format!("{}: {error}", tree.0.display()),
                }
            }
            Ok(has) => format!("{TOP}/cgroup.subtree_control has {has:?}, not cpu, memory and pids"),
        };
        println!("skipped: {test}: {reason}");
        None
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap_or_else(|error| error.to_string()).trim().to_owned()
    }

    /// The groups in it, by name.
    fn groups(&self) -> Vec<String> {
        let all = fs::read_dir(&self.0).unwrap().flatten();
        let groups = all.filter(|entry| entry.file_type().unwrap().is_dir());
        groups.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    /// A shell whose whole tree this is; `at` is the group in it that the shell is in, empty for the tree itself.
    fn shell(&self, place: &Place, at: &str, script: &str) -> Command {
        let inner = format!(
            "umount {TOP} && mount -t cgroup2 none {TOP} && mkdir -p {TOP}/{at} && echo $$ >{TOP}/{at}/cgroup.procs && {script}"
        );
        let enter = "echo $$ >\"$1/cgroup.procs\" && exec unshare --cgroup --mount sh -ec \"$2\"";
        let mut command = Command::new("sh");
        command.args(["-ec", enter, "sh"]).arg(&self.0).arg(inner);
        command.env("L", env!("CARGO_BIN_EXE_learnctr"));
        command.env("LEARNCTR_DATA", place.data()).env("LEARNCTR_STATE", place.state());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        soon(5, || {
            let _ = Command::new("find")
                .arg(&self.0)
                .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])
                .output();
            !self.0.exists()
        });
    }
}

/// The next that it prints is this.
fn answers(child: &mut Running, expected: &str) {
    let mut answer = vec![0; expected.len()];
    if child.0.stdout.as_mut().unwrap().read_exact(&mut answer).is_err() {
        let mut errors = String::new();
        child.0.stderr.as_mut().unwrap().read_to_string(&mut errors).unwrap();
        panic!("{errors}");
    }
    assert_eq!(String::from_utf8_lossy(&answer), expected);
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_is_born_in_a_group_that_holds() {
    let Some(tree) = Tree::new("it_is_born_in_a_group_that_holds") else { return };
    let place = Place::new();
    let id = name();
    let trace = place.path().join("trace");
    let script = format!("$L step --auto --name {id} --trace {} >/dev/null", trace.display());
    let output = tree.shell(&place, "session", &script).output().unwrap();
    assert!(output.status.success(), "{}{}", out(&output), errors(&output));

    let events = fs::read_to_string(&trace).unwrap();
    let mut calls = Vec::new();
    let mut frozen = Vec::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        for call in event["calls"].as_array().into_iter().flatten() {
            calls.push(format!("{} {}({})", event["stage"], call["name"], call["args"]).replace('"', ""));
        }
        if let Some(is) = event["view"].pointer("/outside/cgroups/value/unified/frozen") {
            frozen.push((event["stage"].as_str().unwrap().to_owned(), is.as_bool()));
        }
    }
    let position = |what: &str, is: &dyn Fn(&str) -> bool| {
        let found = calls.iter().position(|call| is(call));
        found.unwrap_or_else(|| panic!("{what} is not among {calls:#?}"))
    };
    let made = position("the group", &|c| c.starts_with("cgroup mkdirat") && c.contains(&id));
    let ruled = position("the program", &|c| c.starts_with("cgroup bpf(BPF_PROG_ATTACH"));
    let born = position("the clone", &|c| c.starts_with("clone clone3") && c.contains("CLONE_INTO_CGROUP"));
    let alone = position("its namespace", &|c| c.contains("unshare(CLONE_NEWCGROUP)"));
    assert!(made < ruled && ruled < born && born < alone, "{calls:#?}");
    assert!(!calls.iter().any(|call| call.contains("cgroup.procs")), "nobody is put in: {calls:#?}");
    let of = |stage: &str| frozen.iter().find(|(at, _)| at == stage).and_then(|(_, is)| *is);
    assert_eq!((of("exec"), of("freeze"), of("thaw")), (Some(false), Some(true), Some(false)), "{frozen:?}");
    assert_eq!((tree.groups(), &*tree.read("cgroup.subtree_control")), (vec!["session".to_owned()], ""));

    let inside = "cat /proc/self/cgroup; cd /sys/fs/cgroup; cat memory.max pids.max cpu.max; \
        grep -c ' /sys/fs/cgroup ro.* - cgroup2 ' /proc/self/mountinfo; \
        mkdir more 2>&1; mknod /tmp/disk b 8 0; cat /tmp/disk 2>&1; echo >/dev/null && echo null; \
        (i=0; while [ $i -lt 9 ]; do sleep 1 & i=$((i+1)); done; wait) 2>&1 | grep -o 'Cannot fork'; \
        (echo 1000 >/proc/self/oom_score_adj; head -c 99m /dev/zero | tail >/dev/null); grep -o 'oom_kill [1-9]' memory.events";
    let script =
        format!("$L run --memory 24m --pids-limit 8 --cpus 0.5 -- sh -c \"{}\"", inside.replace('$', "\\$"));
    let output = tree.shell(&place, "session", &script).output().unwrap();
    let said = out(&output);
    for line in [
        "0::/\n25165824\n8\n50000 100000\n1\n",
        "Read-only file system",
        "/tmp/disk: Operation not permitted",
        "\nnull\n",
        "Cannot fork",
        // On a slow machine the next is killed before the first has given its memory back.
        "oom_kill ",
    ] {
        assert!(said.contains(line), "{line:?} is not in {said}{}", errors(&output));
    }
}

#[test]
fn what_was_enabled_is_given_back_and_what_is_used_stays() {
    let Some(tree) = Tree::new("what_was_enabled_is_given_back_and_what_is_used_stays") else { return };
    let place = Place::new();
    // Each is in its place before the first begins: a group that hands on controllers takes no process.
    let waiting = || {
        let script = "echo there; read go; exec $L run --network none -- cat";
        let mut child = Running(tree.shell(&place, "session", script).stdin(Stdio::piped()).spawn().unwrap());
        answers(&mut child, "there\n");
        child
    };
    let (first, second, third, fourth) = (waiting(), waiting(), waiting(), waiting());
    // Its group has its limits when the command runs, which answers.
    let begin = |mut child: Running| {
        child.0.stdin.as_mut().unwrap().write_all(b"go\nrunning\n").unwrap();
        answers(&mut child, "running\n");
        child
    };
    let end = |mut child: Running| {
        drop(child.0.stdin.take());
        assert!(child.0.wait().unwrap().success());
    };
    let enabled = || tree.read("cgroup.subtree_control");

    let one = begin(first);
    assert_eq!((enabled().as_str(), tree.groups().len()), ("cpu memory pids", 2));
    end(one);
    assert_eq!((enabled().as_str(), tree.groups().len()), ("", 1), "nobody has asked for them but it");

    // Another container came to rely on them; the one that had them enabled goes first.
    let one = begin(second);
    let two = begin(third);
    end(one);
    let limit = || {
        tree.groups()
            .iter()
            .map(|group| tree.read(&format!("{group}/memory.max")))
            .any(|max| max == "536870912")
    };
    assert!(limit(), "{:?}, {}", tree.groups(), enabled());
    end(two);
    fs::write(tree.0.join("cgroup.subtree_control"), "-cpu -memory -pids").unwrap();

    // Somebody else's group has a limit of its own by now.
    let one = begin(fourth);
    fs::create_dir(tree.0.join("other")).unwrap();
    fs::write(tree.0.join("other/pids.max"), "7").unwrap();
    let mut sleeper = Running(Command::new("sleep").arg("60").spawn().unwrap());
    fs::write(tree.0.join("other/cgroup.procs"), sleeper.0.id().to_string()).unwrap();
    end(one);
    assert_eq!((enabled().as_str(), tree.read("other/pids.max").as_str()), ("pids", "7"));
    sleeper.0.kill().unwrap();
    sleeper.0.wait().unwrap();
}

#[test]
fn where_no_controller_can_be_had_it_is_said() {
    let Some(tree) = Tree::new("where_no_controller_can_be_had_it_is_said") else { return };
    let place = Place::new();
    // Processes in the only group: so it is in a privileged container of Docker's (no internal processes).
    let script =
        "$L run --network none -- sh -c 'cat /proc/self/cgroup; ls /sys/fs/cgroup' && $L plan --network none";
    let output = tree.shell(&place, "", script).output().unwrap();
    let (said, errors) = (out(&output), errors(&output));
    assert!(output.status.success(), "{said}{errors}");
    assert!(
        said.starts_with("0::/\n") && said.contains("cgroup.freeze\n") && !said.contains("memory.max\n"),
        "{said}"
    );
    assert!((said + &errors).contains("memory is not limited"), "{errors}");
    assert_eq!(tree.read("cgroup.subtree_control"), "");
}

#[test]
fn the_group_above_with_all_controllers_is_chosen() {
    let Some(tree) = Tree::new("the_group_above_with_all_controllers_is_chosen") else { return };
    let place = Place::new();
    // What systemd hands on to a user's slices: all to the uppermost, to one below what was asked for there.
    let script = "echo +cpu +memory +pids >/sys/fs/cgroup/cgroup.subtree_control
        echo +memory >/sys/fs/cgroup/user/cgroup.subtree_control
        chown 1 /sys/fs/cgroup/cgroup.procs
        COLUMNS=200 exec setpriv --bounding-set -dac_override,-dac_read_search --inh-caps=-all $L plan";
    let output = tree.shell(&place, "user/slice/session", script).output().unwrap();
    let enabled = "write(\"/sys/fs/cgroup/user/cgroup.subtree_control\", \"+cpu +pids\")";
    assert!(out(&output).contains(enabled), "{}{}", out(&output), errors(&output));
}

#[test]
fn a_tree_beyond_our_own_border_is_left_alone() {
    let Some(tree) = Tree::new("a_tree_beyond_our_own_border_is_left_alone") else { return };
    if !fs::read_to_string("/proc/self/mountinfo").unwrap().contains("nsdelegate") {
        return println!("skipped: control groups are mounted here without nsdelegate");
    }
    let place = Place::new();
    // The mount is still the machine's: as with Docker's -v /sys/fs/cgroup:/sys/fs/cgroup without --cgroupns=host.
    let script = "echo $$ >\"$1/cgroup.procs\"; exec unshare --cgroup \"$L\" $2";
    let output = |args: &str| {
        let mut command = place.command("sh");
        command.args(["-ec", script, "sh"]).arg(&tree.0).arg(args).output().unwrap()
    };
    let ran = output("run --network none -- true");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("memory is not limited"), "{said}");
    let doctor = String::from_utf8_lossy(&output("doctor --json").stdout).into_owned();
    assert!(doctor.contains("no process crosses that border"), "{doctor}");
    assert_eq!(tree.groups(), Vec::<String>::new());
}

/// The one hierarchy has one set of options: who mounts it in the machine's own cgroup namespace sets them for all.
#[test]
fn how_the_machine_has_mounted_its_groups_stays() {
    let Some(_tree) = Tree::new("how_the_machine_has_mounted_its_groups_stays") else { return };
    let options = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let groups = mounts.lines().find_map(|line| line.split_once(" - cgroup2 "));
        groups.unwrap().1.to_owned()
    };
    let before = options();
    if !before.contains("nsdelegate") {
        return println!("skipped: control groups are mounted here without nsdelegate");
    }
    let place = Place::new();
    for way in
        [&[][..], &["--skip", "cgroup"], &["--cgroupns", "host"], &["--skip", "cgroup", "--pid", "host"]]
    {
        let args = [&["run", "--network", "none"], way, &["--", "true"]].concat();
        place.run(&args);
        assert_eq!(options(), before, "{way:?}");
    }
}
