//! Does strace(1) see just the calls that the trace claims, in order? A session is recorded while strace watches both its
//! sides; of the calls that make a container, what strace saw of each side is what the trace says of it.

mod sandbox;

use sandbox::{name, overlaid, root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

/// The calls that make a container, on either side: each that is seen must be claimed, and the other way round.
/// Not among them is what is learnctr's own: memory and threads, the channel (sendmsg, recvmsg), waiting (poll, wait4),
/// what only reads (openat and read of /proc for a view, fstat, fstatfs), its journal, and its output.
const CHILD: &[&str] = &[
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "mkdirat",
    "mknodat",
    "symlinkat",
    "fchmodat",
    "fchownat",
    "openat2",
    "open_tree",
    "mount_setattr",
    "sethostname",
    "setdomainname",
    "setresuid",
    "setresgid",
    "setgroups",
    "capset",
    "seccomp",
    "keyctl",
    "umask",
    "setsid",
    "close_range",
    "prlimit64",
    "bpf",
    "kill",
    "chdir",
    "fchdir",
    "clone3",
    "getcwd",
    "sendto",
    "write",
    "prctl",
];
/// The host's netlink also asks, for free names and for a view, so its requests are compared in `net`.
const HOST: &[&str] = &["mkdirat", "write", "kill", "bpf", "lchown", "rmdir", "mount", "umount2"];

/// One call: its name, and enough of its arguments to tell it from others of the name.
type Seen = (String, String);

/// Of the arguments, what both write in the same way; `None` for a call that makes nothing.
fn telling(name: &str, args: &str) -> Option<String> {
    let mut told = Vec::new();
    let capitals = |prefix: &str| {
        let words = args.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with(prefix)).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    match name {
        // What only asks; and what the child does for its own safety before the first step, and after the clone.
        "prlimit64" if args.contains("NULL, {") => return None,
        "prctl"
            if ["PR_CAPBSET_READ", "PR_SET_NAME", "PR_SET_VMA", "PR_GET", "PR_SET_PDEATHSIG"]
                .iter()
                .any(|own| args.starts_with(own)) =>
        {
            return None;
        }
        "prctl" => return Some(capitals("PR_")),
        // strace decodes a request only in its own network namespace.
        // And the answer of getcwd is not known when the call is written down.
        "sendto" | "getcwd" => return Some(String::new()),
        "write" => {
            let file = args.split_once('<')?.1.split_once('>')?.0.trim_start_matches('/');
            let kernels = file.starts_with("proc/") || file.starts_with("sys/");
            return kernels.then(|| format!("{file} {}", args.split('"').nth(1).unwrap_or_default()));
        }
        _ => {}
    }
    let mut rest = args;
    while let Some((_, from)) = rest.split_once('"') {
        let Some((text, after)) = from.split_once('"') else { break };
        // A descriptor's number is a matter of what else was open.
        told.push(if text.starts_with("/proc/self/fd/") { "<descriptor>".into() } else { text.to_owned() });
        rest = after;
    }
    if name == "mount" {
        told.truncate(2);
    }
    Some(told.join(" "))
}

/// The lines of one process in `strace -f -o`: PID NAME(ARGS) = RESULT.
fn seen(log: &str, making: &[&str]) -> BTreeMap<i32, Vec<Seen>> {
    let mut all: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
    let mut unfinished: BTreeMap<i32, String> = BTreeMap::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.trim().split_once(' ') else { continue };
        let (Ok(pid), mut rest) = (pid.parse::<i32>(), rest.trim().to_owned()) else { continue };
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, begin.to_owned());
            continue;
        }
        if rest.starts_with("<...") {
            let end = rest.split_once("resumed>").map_or("", |(_, end)| end);
            rest = unfinished.remove(&pid).unwrap_or_default() + end;
        }
        if let Some((name, args)) = rest.split_once('(')
            && making.contains(&name)
            && let Some(told) = telling(name, args)
        {
            all.entry(pid).or_default().push((name.to_owned(), told));
        }
    }
    all
}

fn compared(options: &[&str]) {
    let Some(place) = sandbox::prepared() else { return };
    // The image of a user namespace is another one, and made before.
    place.says(&[&["run"], options, &["--", "true"]].concat());
    let id = name();
    let log = place.path().join("strace");
    let calls = format!("trace={},{}", CHILD.join(","), HOST.join(","));
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-y", "-qq", "-s", "300", "-e", &calls, "-e", "signal=none", "-o"]).arg(&log);
    command.arg(env!("CARGO_BIN_EXE_learnctr")).args(["step", "--json", "--name", &id]).args(options);
    command
        .args(["--", "sleep", "0"])
        .env("LEARNCTR_DATA", place.data())
        .env("LEARNCTR_STATE", place.state());
    let Ok(output) = command.stdin(Stdio::null()).output() else {
        return println!("skipped: strace is not installed");
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() && errors.contains("ptrace") {
        return println!("skipped: {errors}");
    }
    if !root() && errors.contains("newuidmap") {
        return println!(
            "skipped: a program that is traced gets no privileges from its setuid bit, as newuidmap needs"
        );
    }
    assert!(output.status.success(), "{errors}");
    let events: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut claimed: BTreeMap<&str, Vec<Seen>> = BTreeMap::new();
    let mut forked = Vec::new();
    for event in events.iter().filter(|event| event["event"] == "stepped") {
        forked.extend(event["outcome"]["forked"]["pid"].as_i64());
        let side = event["side"].as_str().unwrap();
        for call in event["calls"].as_array().unwrap() {
            let (name, args) = (call["name"].as_str().unwrap(), call["args"].as_str().unwrap());
            let making = if side == "child" { CHILD } else { HOST };
            if let Some(told) = telling(name, args).filter(|_| making.contains(&name)) {
                claimed.entry(side).or_default().push((name.to_owned(), told));
            }
        }
    }
    let log = fs::read_to_string(&log).unwrap();
    // The child's side is one process after the other: the one that is started, and the one that it makes.
    let all = seen(&log, CHILD);
    let mut child: Vec<Seen> =
        forked.iter().flat_map(|pid| all.get(&(*pid as i32)).cloned().unwrap_or_default()).collect();
    // What it does before the first step, whatever the plan says: no file of the caller's is to get through.
    assert_eq!(child.remove(0).0, "close_range");
    if options.contains(&"--init") {
        // What process 1 then does for its command: no file gets through to who is inside, and each signal to the command.
        let clone = child.iter().rposition(|(name, _)| name == "clone3").unwrap();
        let after = child.split_off(clone + 1);
        assert!(
            after[0].0 == "close_range" && after[1..].iter().all(|(name, _)| name == "kill"),
            "{after:?}"
        );
    }
    same("child", &child, &claimed["child"]);
    // The host's side has a thread beside, so its order is each thread's own.
    let conductor = log.split_whitespace().next().unwrap().parse::<i32>().unwrap();
    let groups =
        |calls: &Vec<Seen>| calls.iter().all(|(name, told)| name == "write" && told.contains("cgroup.procs"));
    let mut host: Vec<Seen> = Vec::new();
    for (pid, calls) in seen(&log, HOST) {
        if pid == conductor || (!forked.contains(&i64::from(pid)) && groups(&calls)) {
            host.extend(calls);
        }
    }
    let mut said = claimed["host"].clone();
    host.sort();
    said.sort();
    same("host", &host, &said);
}

/// Both in order; the first difference with what is around it.
fn same(side: &str, seen: &[Seen], claimed: &[Seen]) {
    let differs = (0..seen.len().max(claimed.len())).find(|at| seen.get(*at) != claimed.get(*at));
    if let Some(at) = differs {
        let around = |all: &[Seen]| {
            let lines = all.iter().enumerate().skip(at.saturating_sub(3)).take(9);
            lines.map(|(n, (name, args))| format!("  {n} {name} {args}\n")).collect::<String>()
        };
        panic!(
            "{side}: strace saw {}, the trace claims {}; they part at {at}\nseen:\n{}claimed:\n{}",
            seen.len(),
            claimed.len(),
            around(seen),
            around(claimed)
        );
    }
    println!("{side}: {} calls, the same", seen.len());
}

#[test]
fn strace_sees_what_the_trace_claims() {
    if root() {
        compared(&["--network", "veth"]);
    } else {
        compared(&["--network", "none"]);
    }
}

#[test]
fn also_where_process_1_is_learnctr_s() {
    compared(&["--network", "none", "--init"]);
}

#[test]
fn also_in_a_user_namespace_and_one_by_one() {
    if !root() {
        return println!("skipped: an ordinary user has no other container");
    }
    if overlaid() {
        compared(&["--userns", "private", "--network", "none"]);
    }
    compared(&[
        "--one-by-one",
        "--chroot",
        "--network",
        "none",
        "--read-only",
        "-u",
        "1:2",
        "--ulimit",
        "nofile=64",
    ]);
}
