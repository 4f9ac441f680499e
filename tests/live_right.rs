//! Is the container what it is said to be? Asked from inside and from outside, of the kernel itself: what is
//! inherited and what is not, limits that really hold, devices that really are refused, orphans, and the end of
//! everything when the builder dies.

mod sandbox;

use rustix::process::Signal;
use sandbox::{LEARNCTR, Place, Running, kill, name, overlaid, prepared, root, soon};
use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};

/// `KEY value` lines.
fn fields(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.split_once([':', ' ', '\t'])?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

fn inside(place: &Place, options: &[&str], script: &str) -> String {
    place.says(&[&["run", "--network", "none"], options, &["--", "sh", "-c", script]].concat())
}

/// The first process of a container, as this host numbers it, once it is this program.
fn command_of(conductor: &Child, program: &str) -> Option<i32> {
    let id = conductor.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    let child: i32 = children.split_whitespace().next()?.parse().ok()?;
    let command = fs::read_to_string(format!("/proc/{child}/cmdline")).ok()?;
    (command.split('\0').next() == Some(program)).then_some(child)
}

fn started(place: &Place, args: &[&str], program: &str) -> (Running, i32) {
    let mut command = place.learnctr(&[&["run"], args].concat());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let running = Running(child);
    let mut pid = 0;
    assert!(soon(20, || command_of(&running.0, program).inspect(|child| pid = *child).is_some()), "{args:?}");
    (running, pid)
}

#[test]
fn nothing_of_the_builder_is_inherited() {
    let Some(place) = prepared() else { return };
    // A builder with signals ignored and blocked, and a umask.
    let builder = r#"umask 077; exec env --ignore-signal=INT,PIPE,USR1 --block-signal=TERM,USR2 "$@""#;
    // By the shell itself, which holds signals back while it starts another program.
    let look = "while read line; do echo $line; done < /proc/self/status; env";
    for init in [&[][..], &["--init"]] {
        let args = [&["run", "--network", "none"], init, &["--", "sh", "-c", look]].concat();
        let mut command = place.command("sh");
        command.args(["-c", builder, "sh", LEARNCTR]).args(&args).env("SECRET", "value");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
        let fields = fields(&said);
        for name in ["SigBlk", "SigIgn"] {
            assert_eq!(fields[name], "0000000000000000", "{name} {init:?}");
        }
        assert_eq!(fields["Umask"], "0022");
        assert!(!said.contains("SECRET"), "{said}");
    }
    let (_running, pid) = started(&place, &["--network", "none", "--", "sleep", "1000"], "sleep");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(fields[3], pid.to_string(), "it leads a session of its own");
    assert_eq!(fields[4], "0", "it has no terminal of ours");
}

/// A key that only who has our session's keyring can see: inside it is not there, whatever may be read and called.
#[test]
fn keys_of_the_builder_are_not_inherited() {
    let Some(place) = prepared() else { return };
    // keyctl(1) is seldom installed; what it would say is in /proc/keys, read with the reader's own keyrings.
    let listed = || fs::read_to_string("/proc/keys").unwrap_or_default();
    let secret = format!("secret-{}", name());
    if let Err(errno) = secret_key(&secret) {
        return println!("skipped: no key can be made here: {errno}");
    }
    assert!(listed().contains(&secret), "{}", listed());
    let all = ["--security-opt", "systempaths=unconfined", "--security-opt", "seccomp=unconfined"];
    for kind in [&[][..], &["--init"], &["--userns", "private"]] {
        if kind.contains(&"--userns") && !(root() && overlaid()) {
            continue;
        }
        let said = inside(&place, &[kind, &all[..]].concat(), "cat /proc/keys");
        assert!(said.contains("keyring"), "{kind:?}: no keys are seen at all: {said}");
        assert!(!said.contains(&secret), "{kind:?}: {said}");
    }
}

/// A new session keyring for this thread and what it starts, with a key that only its possessor may see.
#[allow(unsafe_code)]
fn secret_key(name: &str) -> Result<(), std::io::Error> {
    let name = std::ffi::CString::new(name).unwrap();
    let (session, possessor_all) = (libc::KEY_SPEC_SESSION_KEYRING, 0x3f00_0000);
    let checked = |returned: i64| {
        if returned < 0 { Err(std::io::Error::last_os_error()) } else { Ok(returned) }
    };
    // SAFETY: without a name the keyring is unnamed; the strings outlive the calls; the payload has one byte.
    unsafe {
        checked(libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<u8>()))?;
        let kind = c"user".as_ptr();
        let key = libc::syscall(libc::SYS_add_key, kind, name.as_ptr(), c"x".as_ptr(), 1usize, session);
        let key = checked(key)?;
        checked(libc::syscall(libc::SYS_keyctl, libc::KEYCTL_SETPERM, key, possessor_all)).map(|_| ())
    }
}

#[test]
fn loopback_is_up_and_the_small_things_are_as_asked() {
    let Some(place) = prepared() else { return };
    let said = inside(&place, &[], "ip -br addr show lo; uname -n; cat /proc/self/oom_score_adj; ulimit -n");
    assert!(said.contains("127.0.0.1/8"), "{said}");
    assert!(said.contains("\nweb\n"), "{said}");
    let options =
        ["--ulimit", "nofile=64:128", "--oom-score-adj", "300", "--sysctl", "net.ipv4.ip_default_ttl=33"];
    let options = [&options[..], &["--hostname", "small", "-w", "/srv/new", "-e", "A=b"]].concat();
    let ask = "ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_default_ttl; uname -n; pwd; echo $A; \
               cat /etc/hostname";
    let said = inside(&place, &options, ask);
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        ["64", "128", "300", "33", "small", "/srv/new", "b", "small"]
    );
    let ours = fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap();
    assert_ne!(ours.trim(), "33", "the host's is as it was");
    let said =
        inside(&place, &["--read-only", "--tmpfs", "/run"], "touch /a; touch /run/b && echo made; true");
    assert_eq!(said, "made\n");
    let said =
        inside(&place, &["-u", "12:34"], "id -u; id -g; grep CapEff /proc/self/status; touch /a; true");
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["12", "34", "CapEff:", "0000000000000000"]);
    for (script, status) in [("exit 7", 7), ("kill -9 $$", 137), ("exit 0", 0)] {
        let output = place.run(&["run", "--network", "none", "--init", "--", "sh", "-c", script]);
        assert_eq!(output.status.code(), Some(status), "{script}");
    }
    for (program, status) in [("nothere", 127), ("/etc/passwd", 126), ("/etc", 126)] {
        let privs = ["--security-opt", "no-new-privileges"];
        for options in [&[][..], &["--init"], &privs, &["--init", privs[0], privs[1]]] {
            let output = place.run(&[&["run", "--network", "none"], options, &["--", program]].concat());
            assert_eq!(output.status.code(), Some(status), "{options:?} {program}");
        }
    }
}

/// The command may have ended before process 1 asks to be told of it: on one processor now and then.
#[test]
fn init_misses_no_end() {
    let Some(place) = prepared() else { return };
    // Emulated, each takes a second of that one processor.
    let times = if std::env::var_os("VM").is_some() { 4 } else { 40 };
    let one = |_| {
        let mut command = place.command("taskset");
        command.args(["-c", "0", LEARNCTR, "run", "--network", "none", "--init", "--", "true"]);
        for _ in 0..times {
            let mut child = command.spawn().unwrap();
            assert!(
                soon(60, || child.try_wait().unwrap().is_some()),
                "hangs: {:?}",
                (child.kill(), child.wait())
            );
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }
    };
    std::thread::scope(|scope| (0..8).map(|number| scope.spawn(move || one(number))).for_each(drop));
}

#[test]
fn cgroup_namespaces_and_what_is_seen_of_groups() {
    let Some(place) = prepared() else { return };
    let host = inside(&place, &["--cgroupns", "host"], "cat /proc/self/cgroup");
    let private = inside(&place, &["--cgroupns", "private"], "cat /proc/self/cgroup");
    if !host.contains("learnctr") {
        return println!("skipped: no group of its own here: {host}");
    }
    for line in private
        .lines()
        .filter(|line| host.lines().any(|other| other.starts_with(&line[..2]) && other.contains("learnctr")))
    {
        assert!(line.ends_with(":/"), "{private}\n{host}");
    }
    let said = inside(
        &place,
        &[],
        "for f in $(find /sys/fs/cgroup -name cgroup.procs); do echo 1 > $f; done 2>&1; true",
    );
    assert!(!said.is_empty() && said.lines().all(|line| line.contains("Read-only")), "{said}");
}

#[test]
fn orphans_are_reaped_by_init() {
    let Some(place) = prepared() else { return };
    // An orphan that ends: without anybody who waits it stays a zombie.
    let script =
        "(sleep 0.1 & exec true) ; (sh -c 'sleep 0.1 & sleep 0.1 &' ); sleep 0.6; ps -eo stat= | grep -c Z";
    let args = ["run", "--network", "none", "--init", "--", "sh", "-c", script];
    let output = place.run(&args);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
    let said = inside(&place, &["--init"], "cat /proc/1/comm; echo $$");
    assert!(said.starts_with("learnctr\n") && !said.ends_with("\n1\n"), "{said}");
    // Signals go through it.
    let (mut running, _) =
        started(&place, &["--network", "none", "--init", "--", "sleep", "1000"], "learnctr: child");
    let mut comm = String::new();
    soon(5, || {
        comm = sandbox::processes()
            .into_iter()
            .map(|(_, command)| command)
            .filter(|c| c == "sleep 1000 ")
            .collect();
        !comm.is_empty()
    });
    kill(running.0.id() as i32, Signal::TERM);
    assert!(soon(10, || running.0.try_wait().unwrap().is_some()), "SIGTERM did not get through");
    assert_eq!(running.0.wait().unwrap().code(), Some(143));
}

#[test]
fn a_container_does_not_outlive_its_builder() {
    let Some(place) = prepared() else { return };
    for kind in [
        &[][..],
        &["--init"],
        &["-u", "12:34"],
        &["--security-opt", "no-new-privileges"],
        &["--userns", "private"],
    ] {
        if kind.contains(&"--userns") && !(root() && overlaid()) {
            continue;
        }
        let id = name();
        let program = if kind.contains(&"--init") { "learnctr: child" } else { "sleep" };
        let args = [&["--network", "none", "--name", &id], kind, &["--", "sleep", "1000"]].concat();
        let (running, pid) = started(&place, &args, program);
        kill(running.0.id() as i32, Signal::KILL);
        let gone = || {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        assert!(soon(1, gone), "{kind:?}: it lives on");
        // The next command clears up.
        place.says(&["run", "--network", "none", "--", "true"]);
        assert!(soon(5, || place.left(&id).is_empty()), "{kind:?}: {:?}", place.left(&id));
    }
}

#[test]
fn limits_hold() {
    let Some(place) = prepared() else { return };
    // In a cgroup namespace of its own its group would be called `/`.
    let options = ["--cgroupns", "host", "-m", "32m", "--pids-limit", "20", "--cpus", "0.5"];
    if !inside(&place, &options, "cat /proc/self/cgroup").contains("learnctr") {
        return println!("skipped: no group of its own here");
    }
    // The shell itself grows, and is killed by the kernel: 137, or its parent says so.
    let eat = "x=0123456789abcdef; while :; do x=$x$x; done";
    let options = ["run", "--network", "none", "-m", "32m", "--memory-swap", "32m", "--", "sh", "-c", eat];
    let output = place.run(&options);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(137), "{errors}");
    assert_eq!(errors.matches("OOM killer ended").count(), 1, "{errors}");
    let fork = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; wait";
    let output = place.run(&["run", "--network", "none", "--pids-limit", "8", "--", "sh", "-c", fork]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("fork") || said.contains("Resource temporarily"), "{said}");
    // A tenth of a processor: whoever wants more is stopped for the rest of each period, and the group counts it.
    let work = "group=$(find /sys/fs/cgroup -name cpu.stat | head -1); t=0
        until grep -q 'nr_throttled [1-9]' $group || [ $t -gt 500 ]; do t=$((t+1)); done; cat $group";
    let said = inside(&place, &["--cpus", "0.1"], work);
    let throttled: u64 = fields(&said).get("nr_throttled").and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(throttled > 0, "{said}");
}

#[test]
fn devices_are_refused_by_rule() {
    if !root() {
        return println!("skipped: an ordinary user cannot make device nodes at all");
    }
    let Some(place) = prepared() else { return };
    // The node may be made (Docker allows it), and is not to be opened: that takes no capability, so only the rule stands.
    let script = "mknod /tmp/disk b 254 0 && echo made; mknod /tmp/mem c 1 1; mknod /tmp/null c 1 3; \
                  (cat /tmp/disk >/dev/null) 2>&1; (cat /tmp/mem > /dev/null) 2>&1; echo ok > /tmp/null && echo null";
    let said = inside(&place, &["--cap-add", "MKNOD", "--cap-add", "SYS_RAWIO"], script);
    assert!(said.contains("made") && said.ends_with("null\n"), "{said}");
    assert_eq!(said.matches("Operation not permitted").count(), 2, "{said}");
}

#[test]
fn a_process_1_that_hears_no_signal_is_explained() {
    let Some(place) = prepared() else { return };
    let mut command = place.learnctr(&["run", "--network", "none", "--", "sleep", "1000"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    assert!(soon(20, || command_of(&running.0, "sleep").is_some()));
    let pid = running.0.id() as i32;
    for _ in 0..3 {
        // Two that come at once are one; and before it stands by, a request to end is its own.
        std::thread::sleep(std::time::Duration::from_millis(300));
        kill(pid, Signal::INT);
    }
    assert!(soon(10, || running.0.try_wait().unwrap().is_some()));
    assert_eq!(running.0.wait().unwrap().code(), Some(137));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut running.0.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(said.matches("no handler for SIGINT").count(), 1, "{said}");
    assert!(said.contains("--init") && said.contains("SIGKILL"), "{said}");
}
