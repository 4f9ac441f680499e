//! Does `learnctr step` do what its keys say, at a real terminal, and leave nothing behind however it ends? Each
//! test has a pty, a screen of its own (vt100), and its own directories; the kernel is the real one.
//!
//! Next: `witnesses`, which ask others whether the view is right.

use learnctr::kernel::pty;
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// An emulated machine is some ten times as slow.
fn patience() -> Duration {
    Duration::from_secs(if std::env::var_os("VM").is_some() { 120 } else { 20 })
}

/// Where one test's containers are, and the name of its one.
struct Place {
    dirs: tempfile::TempDir,
    name: String,
}

impl Place {
    fn new(name: &str) -> Place {
        Place { dirs: tempfile::tempdir().unwrap(), name: format!("lt{}{name}", std::process::id()) }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.dirs.path().join(name)
    }

    /// Where build/test.sh says so, one image is shared by all tests.
    fn data(&self) -> PathBuf {
        std::env::var_os("LEARNCTR_TEST_DATA").map_or_else(|| self.dir("data"), PathBuf::from)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LEARNCTR_DATA", self.data()).env("LEARNCTR_STATE", self.dir("state"));
        command.env("PAGER", "cat").env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
        command
    }

    /// Without a terminal.
    fn step(&self, options: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_learnctr"));
        command.args(["step", "--name", &self.name]).args(options).stdin(Stdio::null()).output().unwrap()
    }

    /// Directories, groups, mounts and interfaces of the container that are still there.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for dir in [self.dir("state"), self.data().join("containers")] {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path().display().to_string());
            left.extend(paths.filter(|path| path.contains(&self.name)));
        }
        groups(Path::new("/sys/fs/cgroup"), &self.name, &mut left);
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(&self.name)).map(str::to_owned));
        let veth = learnctr::net::veth_names(&self.name, |_| false).unwrap().0;
        if Path::new("/sys/class/net").join(&veth).exists() {
            left.push(veth);
        }
        left
    }

    fn nothing_left(&self) {
        assert_eq!(self.left(), Vec::<String>::new());
    }
}

fn groups(dir: &Path, name: &str, left: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(name) {
            left.push(entry.path().display().to_string());
        }
        groups(&entry.path(), name, left);
    }
}

/// A person at a terminal.
struct Person {
    master: Option<File>,
    terminal: OwnedFd,
    child: Child,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// Everything that was ever shown, without styles.
    said: String,
}

impl Person {
    fn at(place: &Place, columns: u16, options: &[&str]) -> Person {
        let (master, terminal) = pty::pair().unwrap();
        let size = Winsize { ws_row: 60, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        // setsid(1) gives it a session whose controlling terminal this is, as a login has.
        let mut command = place.command("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_learnctr"), "step", "--name", &place.name]);
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let child = command.args(options).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let master = File::from(master);
        let mut reader = master.try_clone().unwrap();
        let (send, bytes) = channel();
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut room) {
                if send.send(room[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(60, columns, 0);
        Person { master: Some(master), terminal, child, bytes, screen, said: String::new() }
    }

    fn key(&mut self, keys: &str) {
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Read until the screen shows this.
    fn sees(&mut self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    fn until(&mut self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + patience();
        loop {
            let shown = self.screen.screen().contents();
            if is_there(&shown) {
                return shown;
            }
            match self.bytes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => {
                    self.screen.process(&bytes);
                    self.said.push_str(
                        &anstream::adapter::strip_str(&String::from_utf8_lossy(&bytes)).to_string(),
                    );
                }
                Err(_) => panic!("{what:?} never came; the screen:\n{shown}"),
            }
        }
    }

    /// The prompt that names the next stage, as the last lines of the screen.
    fn paused_before(&mut self, next: &str) -> String {
        let wanted = format!(" next: {next}");
        self.until(&wanted, |screen| {
            let lines: Vec<&str> = screen.trim_end().lines().collect();
            let last = &lines[lines.len().saturating_sub(4)..];
            last.iter().any(|line| line.starts_with(&wanted))
                && last.last().is_some_and(|line| line.contains("?:help"))
        })
    }

    /// From the first stage to the one before the clone: with version 2 alone the group is made first.
    fn up_to_clone(&mut self) {
        if v2_alone() {
            self.paused_before("cgroup");
            self.key("n");
        }
        self.paused_before("clone");
    }

    fn status(&mut self) -> i32 {
        let until = Instant::now() + patience();
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end; the screen:\n{}", self.screen.screen().contents());
    }

    fn has_its_terminal_back(&self) {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{modes:?}");
    }
}

impl Drop for Person {
    /// A test that failed leaves nothing behind either.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let pid = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn v2_alone() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Root, and the test's name for what is skipped.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: {test}: needs root");
    }
    root
}

#[test]
fn each_key_does_what_it_says() {
    if !is_root("each_key_does_what_it_says") {
        return;
    }
    let after_clone = if v2_alone() { "veth" } else { "cgroup" };
    let place = Place::new("keys");
    let mut person = Person::at(&place, 80, &[]);
    let shown = person.paused_before(if v2_alone() { "cgroup" } else { "clone" });
    assert!(
        shown.contains("Where do a container's files come from?") && shown.contains("was called"),
        "{shown}"
    );
    person.up_to_clone();
    person.key("n");
    person.paused_before(after_clone);
    person.key("d");
    person.sees("open files\n");
    person.paused_before(after_clone);
    person.key("?");
    person.sees("take everything down (also Ctrl-C)");
    // As a pager has it: q leaves the text first.
    person.key("q");
    person.until("the stage again", |screen| {
        !screen.contains("q leaves this text") && screen.contains("?:help")
    });
    person.paused_before(after_clone);
    person.key("h");
    person.sees("man pages: clone(2)");
    person.key("a");
    person.sees("exit_signal=");
    person.key("v");
    person.sees("Root directory");
    person.paused_before(after_clone);
    person.key("o");
    person.sees("$ ls -l /proc/self/ns");
    person.paused_before(after_clone);
    person.key("e");
    person.sees("Its root is still the host's tree");
    person.sees("(inside: clone) #");
    // Its own process 1 has another number than its shell, and Ctrl-C ends what runs in it, not us.
    person.key("echo pid-$(readlink /proc/self/ns/pid | cut -c1-3); sleep 99\r");
    person.sees("pid-pid");
    // Until sleep has the terminal, Ctrl-C is the shell's, which ignores it.
    std::thread::sleep(std::time::Duration::from_millis(700));
    person.key("\x03");
    person.key("echo still-$((40+2))\r");
    person.sees("still-42");
    person.key("exit\r");
    person.paused_before(after_clone);
    person.key("b");
    person.paused_before("clone");
    person.key("n");
    person.paused_before(after_clone);
    person.key("q");
    person.sees("taken down");
    assert_eq!(person.status(), 0);
    person.has_its_terminal_back();
    place.nothing_left();
}

#[test]
fn a_shell_inside_has_no_more_than_the_container() {
    if !is_root("a_shell_inside_has_no_more_than_the_container") {
        return;
    }
    let place = Place::new("shell");
    let mut person = Person::at(&place, 120, &["--from", "exec"]);
    person.paused_before("freeze");
    person.sees("container │ web: master process");
    person.key("e");
    person.sees("(inside: exec) #");
    person.key("clear; grep -E 'CapEff|Seccomp:' /proc/self/status; cat /proc/1/comm; uname -n; ls /proc/self/fd | wc -l\r");
    let shown = person.sees("a80425fb");
    let shown = if shown.contains("Seccomp:\t2") { shown } else { person.sees("web: master") };
    assert!(!shown.contains("not found") || shown.contains("clear"), "{shown}");
    person.key("cat /proc/self/cgroup | grep -c learnctr; test -e /host && echo leak; exit\r");
    person.paused_before("freeze");
    assert!(!person.said.contains("\nleak"), "{}", person.said);
    person.key("n");
    person.paused_before("thaw");
    person.key("e");
    person.sees("The group is frozen");
    person.key("c");
    person.sees("taken down");
    assert_eq!(person.status(), 0);
    person.has_its_terminal_back();
    place.nothing_left();
}

#[test]
fn a_user_namespace_can_be_entered_before_there_is_more() {
    if !is_root("a_user_namespace_can_be_entered_before_there_is_more") {
        return;
    }
    let place = Place::new("userns");
    let mut person = Person::at(&place, 120, &["--userns", "auto", "--from", "userns"]);
    for (stage, next) in [("userns", "clone"), ("clone", "cgroup")] {
        person.paused_before(next);
        person.key("e");
        person.sees(&format!("(inside: {stage}) #"));
        person.key(&format!("echo {stage}-$(cat /proc/self/uid_map | wc -l)-$(id -u); exit\r"));
        person.sees(&format!("{stage}-1-0"));
        person.paused_before(next);
        person.key("n");
    }
    person.key("q");
    assert_eq!(person.status(), 0);
    person.has_its_terminal_back();
    place.nothing_left();
}

#[test]
fn a_wide_terminal_has_two_columns_and_none_is_overrun() {
    if !is_root("a_wide_terminal_has_two_columns_and_none_is_overrun") {
        return;
    }
    let place = Place::new("wide");
    let mut person = Person::at(&place, 200, &["--until", "clone"]);
    person.up_to_clone();
    person.key(" ");
    let shown = person.sees("next: everything is taken down");
    let both = |line: &str| line.contains("was called") && line.contains("what the kernel says now");
    assert!(shown.lines().any(both), "{shown}");
    person.key("\r");
    assert_eq!(person.status(), 0);
    place.nothing_left();
    for columns in ["20", "40", "60", "80", "200"] {
        let mut command = place.command(env!("CARGO_BIN_EXE_learnctr"));
        let command =
            command.args(["step", "--name", &place.name, "--auto", "--time"]).env("COLUMNS", columns);
        let text = String::from_utf8(command.stdin(Stdio::null()).output().unwrap().stdout).unwrap();
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= columns.parse().unwrap(), "{columns}: {widest}");
        assert!(!text.contains('\x1b'), "a pipe has no styles");
    }
}

#[test]
fn however_it_is_ended_nothing_is_left() {
    if !is_root("however_it_is_ended_nothing_is_left") {
        return;
    }
    let place = Place::new("ends");
    let mut person = Person::at(&place, 80, &["--from", "mounts"]);
    person.paused_before("pivot-root");
    assert_ne!(place.left(), Vec::<String>::new());
    person.key("\x03");
    assert_eq!(person.status(), 130);
    person.has_its_terminal_back();
    place.nothing_left();

    // The window is closed.
    let mut person = Person::at(&place, 80, &["--from", "exec"]);
    person.paused_before("freeze");
    // setsid(1) does not fork here, so this is learnctr.
    let pid = rustix::process::Pid::from_child(&person.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    assert_eq!(person.status(), 129);
    person.has_its_terminal_back();
    place.nothing_left();

    // A command that ignores SIGTERM is not waited for by who has pressed Ctrl-C.
    let stubborn = "trap '' TERM; while :; do sleep 1; done";
    let mut person = Person::at(&place, 80, &["--from", "thaw", "--", "sh", "-c", stubborn]);
    person.paused_before("stop");
    person.key("n");
    person.sees("docker stop waits as long");
    let pressed = Instant::now();
    person.key("\x03");
    assert_eq!(person.status(), 130);
    assert!(pressed.elapsed() < Duration::from_secs(5), "{:?}", pressed.elapsed());
    place.nothing_left();

    // Killed at once, it is the next one who cleans up, and says so.
    let mut person = Person::at(&place, 80, &["--from", "exec"]);
    person.paused_before("freeze");
    person.child.kill().unwrap();
    person.child.wait().unwrap();
    assert_ne!(place.left(), Vec::<String>::new());
    let output = place.step(&["--until", "image"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("was left by a session that was killed"), "{said}");
    place.nothing_left();

    // Nobody reads any more.
    let mut command = place.command(env!("CARGO_BIN_EXE_learnctr"));
    let command = command.args(["step", "--name", &place.name, "--auto"]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!(complaint, "");
    place.nothing_left();
}

#[test]
fn stages_can_be_left_out_turned_and_cut() {
    if !is_root("stages_can_be_left_out_turned_and_cut") {
        return;
    }
    let place = Place::new("cut");
    let ways: [&[&str]; 5] = [
        &["--auto", "--until", "clone"],
        &["--auto", "--skip", "seccomp", "--", "true"],
        &["--auto", "--chroot", "--until", "exec", "--time"],
        &["--auto", "--one-by-one", "--until", "exec"],
        &["--from", "exec", "--network", "none", "--", "sh", "-c", "exit 3"],
    ];
    for way in ways {
        let output = place.step(way);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{way:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("taken down"), "{text}");
        let is = |word: &str| text.contains(word);
        assert_eq!(is(" clone-pid: "), way.contains(&"--one-by-one"), "{way:?}");
        assert_eq!(is("where the time went"), way.contains(&"--time"), "{way:?}");
        assert_eq!(is("the command has ended with status 3"), way.contains(&"exit 3"), "{way:?}");
        assert!(!is(" freeze: "), "{way:?}: nothing is there to be frozen");
        place.nothing_left();
    }
    let output = place.step(&["--until", "userns"]);
    assert_eq!(output.status.code(), Some(2));
    let stages = if v2_alone() { "image, cgroup, clone" } else { "image, clone, cgroup" };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("is not in this plan; its stages are: {stages}")), "{said}");
}

#[test]
fn every_line_of_a_trace_is_valid_and_a_failed_one_is_whole() {
    if !is_root("every_line_of_a_trace_is_valid_and_a_failed_one_is_whole") {
        return;
    }
    let place = Place::new("trace");
    let schema = place.command(env!("CARGO_BIN_EXE_learnctr")).arg("schema").output().unwrap().stdout;
    let schema = serde_json::from_slice(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let file = place.dir("trace.jsonl");
    let trace = file.to_str().unwrap();
    for (command, status, last) in [("true", 0, "exited"), ("/no/such", 1, "failed")] {
        let output = place.step(&["--json", "--trace", trace, "--", command]);
        assert_eq!(output.status.code(), Some(status));
        let written = std::fs::read(&file).unwrap();
        assert!(written == output.stdout, "file and standard output differ");
        let text = String::from_utf8(written).unwrap();
        let mut events = Vec::new();
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let faults: Vec<String> = validator.iter_errors(&value).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{faults:?} in {}", &line[..line.len().min(300)]);
            events.push(value["event"].as_str().unwrap().to_owned());
        }
        assert_eq!((events.first().unwrap().as_str(), events.last().unwrap().as_str()), ("started", "ended"));
        assert!(events.iter().any(|event| event == last), "{events:?}");
        let records = learnctr::trace::read(text.as_bytes()).unwrap();
        assert_eq!(records.len(), events.len());
        assert!(records.windows(2).all(|two| two[0].at <= two[1].at));
        place.nothing_left();
    }
    let output = place.step(&["--auto", "--trace", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("No space left on device"), "{said}");
    place.nothing_left();
    let wrong = serde_json::json!({"at": 1, "event": "paused"});
    assert!(!validator.is_valid(&wrong), "a schema that takes anything tells nothing");
    let schema =
        place.command(env!("CARGO_BIN_EXE_learnctr")).args(["schema", "--view"]).output().unwrap().stdout;
    let view = place
        .command(env!("CARGO_BIN_EXE_learnctr"))
        .args(["view", "--json", "self"])
        .output()
        .unwrap()
        .stdout;
    let validator = jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap();
    assert!(validator.is_valid(&serde_json::from_slice(&view).unwrap()));
}
