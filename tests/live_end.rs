//! What is left when the command line's session is ended from outside, or cannot go on? Nothing: signals at any
//! moment, a reader or a terminal that is gone, a step that fails, a disk that is full.
//!
//! Next: `live_right`, what a container is while it lives.

mod sandbox;

use learnctr::kernel::pty;
use rustix::process::Signal;
use sandbox::{LEARNCTR, Place, Running, children_of, kill, name, prepared, root, soon};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

#[track_caller]
fn nothing_left(place: &Place, name: &str, said: &str) {
    assert!(soon(10, || place.left(name).is_empty()), "{said}: {:?}", place.left(name));
}

/// The command line's own ends: signals at any moment, a reader that is gone, and a step that fails.
#[test]
fn ended_from_outside_or_by_a_failed_step_nothing_is_left() {
    let Some(place) = prepared() else { return };
    for round in 0..30u64 {
        let id = name();
        let signal = [Signal::TERM, Signal::INT, Signal::HUP][round as usize % 3];
        let kind = ["run", "step"][round as usize / 3 % 2];
        let mut command = place.learnctr(&[
            kind,
            "--name",
            &id,
            "--",
            "sh",
            "-c",
            "trap exit TERM INT HUP; sleep 4000 & wait",
        ]);
        let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let child = &mut running.0;
        std::thread::sleep(Duration::from_millis(round * 7));
        // Between its first instruction and its handler process 1 sees no signal: then it takes three of them.
        let ended = (0..3).any(|_| {
            kill(child.id() as i32, signal);
            soon(3, || child.try_wait().unwrap().is_some())
        });
        assert!(ended, "{kind} {signal:?} after {} ms", round * 7);
        // Before it takes care of signals it ends at once, and has made nothing, or the next command sweeps.
        learnctr::engine::journal::sweep(&place.state());
        nothing_left(&place, &id, &format!("{kind} {signal:?} after {} ms", round * 7));
    }
    for lines in [1, 40, 200] {
        let id = name();
        let mut command = place.learnctr(&["step", "--json", "--auto", "--name", &id, "--", "true"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..lines {
            let _ = reader.read_line(&mut String::new());
        }
        drop(reader);
        assert!(soon(30, || child.try_wait().unwrap().is_some()), "a closed reader after {lines} lines");
        nothing_left(&place, &id, "a closed reader");
    }
    for fails in
        [&["-w", "/etc/passwd/x"][..], &["-v", "/nothing/there:/x/y"], &["--sysctl", "net.nothing=1"]]
    {
        let id = name();
        let output = place.run(&[&["run", "--name", &id], fails, &["--", "true"]].concat());
        assert!(!output.status.success(), "{fails:?}");
        nothing_left(&place, &id, "a failed step");
    }
}

/// The window is closed in the midst of a stage: while it is drawn, while it is played, while a key is waited for.
#[test]
fn a_terminal_that_is_gone_leaves_nothing() {
    let Some(place) = prepared() else { return };
    for (shown, wait) in [(1, 0), (1500, 1), (4000, 0), (6000, 7), (9000, 2), (14000, 0), (20000, 15)] {
        let id = name();
        let (master, terminal) = pty::pair().unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        // setsid(1) gives it a session whose controlling terminal this is, as a login has.
        let mut command = place.command("setsid");
        command.args(["--ctty", "--wait", LEARNCTR, "step", "--name", &id]).env("TERM", "xterm");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let mut running = Running(child);
        drop((command, terminal));
        let mut master = File::from(master);
        let (mut seen, mut room) = (0, [0; 512]);
        while seen < shown {
            let count = master.read(&mut room).unwrap_or(0);
            assert!(count > 0, "it ended after {seen} bytes");
            seen += count;
            // On to the next stage, and the next.
            master.write_all(b"n").unwrap();
        }
        std::thread::sleep(Duration::from_millis(wait));
        drop(master);
        let mut status = None;
        soon(30, || {
            status = running.0.try_wait().unwrap();
            status.is_some()
        });
        let said = format!("the terminal gone after {shown} bytes and {wait} ms: {status:?}");
        assert!(status.is_some(), "{said}");
        nothing_left(&place, &id, &said);
    }
}

/// The process that this learnctr has made a command of.
fn command_of(learnctr: u32, command: &str) -> i32 {
    let is = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(command.as_bytes())
    };
    let mut found = None;
    soon(60, || {
        found = children_of(learnctr).into_iter().find(is);
        found.is_some()
    });
    found.unwrap_or_else(|| panic!("no {command} below {learnctr}"))
}

/// As soon as the container's process is gone it stands still, is asked to end, and goes on. Whether there was
/// something to be taken back at that moment.
fn asked_amid(place: &Place, name: &str, learnctr: u32, process: i32, ask: impl FnOnce()) -> bool {
    let file = |pid: i32, file: &str| PathBuf::from(format!("/proc/{pid}/{file}"));
    while file(process, "stat").exists() {
        std::thread::yield_now();
    }
    let learnctr = learnctr as i32;
    kill(learnctr, Signal::STOP);
    let stands = soon(30, || {
        let stat = std::fs::read_to_string(file(learnctr, "stat")).unwrap_or_default();
        stat.contains(") T") || stat.contains(") Z")
    });
    assert!(stands, "it does not stop");
    let left = place.left(name).iter().any(|what| !what.starts_with("process "));
    ask();
    kill(learnctr, Signal::CONT);
    left
}

fn ends(running: &mut Running) -> std::process::ExitStatus {
    let mut status = None;
    soon(30, || {
        status = running.0.try_wait().unwrap();
        status.is_some()
    });
    status.expect("it goes on and on")
}

#[test]
fn asked_to_end_while_it_takes_everything_back_it_goes_on() {
    let Some(place) = prepared() else { return };
    let mut amid = [0; 2];
    for round in 0..4 {
        let (id, which) = (name(), round % 2);
        let mut command = place.learnctr(match which {
            0 => &["step", "--json", "--auto", "--until", "exec"],
            _ => &["run"],
        });
        command.args(["--name", &id, "--", "cat", "/dev/zero"][..if which == 0 { 5 } else { 4 }].iter());
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut running = Running(child);
        let learnctr = running.0.id();
        let process = if which == 0 {
            let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map_while(Result::ok);
            let mut left = |stage: &str| {
                let event = format!("\"event\":\"left\",\"stage\":\"{stage}\"");
                lines.find(|line| line.contains(&event)).unwrap()
            };
            // Much to be taken back, which takes its time.
            left("image");
            let upper = place.data().join("containers").join(&id).join("upper");
            (0..500).for_each(|number| drop(File::create(upper.join(format!("file-{number}"))).unwrap()));
            // Its number is known long before its end: who reads of that may come too late.
            let left = left("hostname");
            std::thread::spawn(move || lines.count());
            serde_json::from_str::<serde_json::Value>(&left).unwrap()["pid"].as_i64().unwrap() as i32
        } else {
            let process = command_of(learnctr, "cat");
            drop(running.0.stdin.take());
            process
        };
        let ask = || kill(learnctr as i32, Signal::TERM);
        let something = asked_amid(&place, &id, learnctr, process, ask);
        amid[which] += usize::from(something);
        let status = ends(&mut running);
        let said = format!("round {round}: {status:?}");
        nothing_left(&place, &id, &said);
        // A shell calls both 143: it may come when nothing holds it back any more. What is asked after all is done is not heard.
        let ended = status.code() == Some(143) || status.signal() == Some(15);
        assert!(which == 1 || ended || !something, "{said}");
    }
    println!("amid: step {} times, run {} times", amid[0], amid[1]);
    assert!(!amid.contains(&0), "{amid:?}: never was there something to take back");
}

/// Who has pressed Ctrl-C and sees nothing happen presses it again.
#[test]
fn a_second_ctrl_c_does_not_stop_the_taking_back() {
    let Some(place) = prepared() else { return };
    let mut amid = 0;
    for round in 0..3 {
        let id = name();
        let (master, terminal) = pty::pair().unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let mut command = place.command("setsid");
        command.args(["--ctty", "--wait", LEARNCTR, "step", "--from", "exec", "--name", &id]);
        command.args(["--", "sleep", "4000"]).env("TERM", "xterm");
        let mut running = Running(command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap());
        let mut master = File::from(master);
        let mut shown = master.try_clone().unwrap();
        std::thread::spawn(move || while shown.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
        // setsid(1) does not fork here, so this is learnctr.
        let learnctr = running.0.id();
        let process = command_of(learnctr, "sleep");
        master.write_all(b"\x03").unwrap();
        let again = || master.write_all(b"\x03\x03").unwrap();
        amid += usize::from(asked_amid(&place, &id, learnctr, process, again));
        let status = ends(&mut running);
        let said = format!("round {round}: {status:?}");
        nothing_left(&place, &id, &said);
        // What is asked when nothing holds it back any more ends it as a signal does.
        assert!(status.code() == Some(130) || status.signal() == Some(2), "{said}");
        let modes = rustix::termios::tcgetattr(&terminal).unwrap().local_modes;
        assert!(modes.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO));
    }
    assert!(amid > 0, "never was there something to take back");
}

/// In a mount namespace of its own: a file system that is full in one way or another, and a run on it.
#[test]
fn a_full_disk_is_said_and_nothing_is_left() {
    if !root() {
        return println!("skipped: only root can mount a disk to fill");
    }
    let Some(place) = prepared() else { return };
    let mut refused = 0;
    let ways = [
        // Not even the journal's first line; no more than some of its lines; no inode for it.
        ("LEARNCTR_STATE", "", "room 0"),
        ("LEARNCTR_STATE", "", "lines"),
        ("LEARNCTR_STATE", "", "inodes 0"),
        ("LEARNCTR_STATE", "", "inodes 1"),
        // No room for the image; none for what the container has of its own.
        ("LEARNCTR_DATA", "", "room 20"),
        ("LEARNCTR_DATA", "$L run -- true", "room 0"),
        ("LEARNCTR_DATA", "$L run -- true", "inodes 0"),
        ("LEARNCTR_DATA", "$L run -- true", "inodes 1"),
        ("LEARNCTR_DATA", "$L run -- true", "inodes 3"),
    ];
    let script = r#"
        room() { echo >$T/filler; mount -o remount,size=$(($(stat -f -c '(%b - %f) * %S' $T) + $1 * 4096)) $T; }
        inodes() { mount -o remount,nr_inodes=$(($(stat -f -c '%c - %d' $T) + $1)) $T; }
        lines() { trap '' XFSZ; ulimit -f 1; }
        T=$(mktemp -d) && mount -t tmpfs -o size=200m,mode=755 full $T && eval "export $1=$T/place; $2" &&
            $3 && { $L run --name "$4" --network veth -- true; status=$?; }
        find $T/place/containers/* $T/place/$4 2>/dev/null
        umount -l $T; rmdir $T; exit $status"#;
    for (which, before, way) in ways {
        let id = name();
        let mut command = place.command("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            which,
            before,
            way,
            &id,
        ]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = format!("{which} {way}: {said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{told}");
        if !output.status.success() {
            refused += 1;
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!((said.contains("ENOSPC") || said.contains("EFBIG")) && said.contains("next: "), "{told}");
            assert!(!said.contains("panicked"), "{told}");
        }
        println!("{told}");
        nothing_left(&place, &id, &told);
    }
    assert!(refused >= 6, "{refused} of {} were refused", ways.len());
}

/// The reader of a container's terminal is gone, or reads no more: neither holds anything up.
#[test]
fn who_reads_the_terminal_may_go_or_stop() {
    let Some(place) = prepared() else { return };
    for goes in [true, false] {
        let id = name();
        let script = "trap 'exit 5' TERM; while :; do echo yyyyyyyyyyyyyyyy; done";
        let mut command =
            place.learnctr(&["run", "-t", "--network", "none", "--name", &id, "--", "sh", "-c", script]);
        let mut running = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut reader = BufReader::new(running.0.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "yyyyyyyyyyyyyyyy");
        let reader = Some(reader).filter(|_| !goes);
        let pid = running.0.id() as i32;
        let ended = soon(20, || {
            if !goes {
                kill(pid, Signal::TERM);
            }
            running.0.try_wait().unwrap().is_some()
        });
        assert!(ended, "goes: {goes}");
        drop(reader);
        nothing_left(&place, &id, "a terminal that nobody reads");
    }
}
