//! Which processes are looked at in the tests of a view? This one, a bubblewrap container, a user namespace.
//!
//! Next: `tests/view` and `tests/witnesses`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use learnctr::view::{self, KernelView};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// One test at a time: they count this process's descriptors and children.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A process in another world, ended with this value.
pub struct Subject {
    outer: Child,
    pub pid: i32,
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-9", &self.pid.to_string()]).status();
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

/// Start a command that in the end is `sleep 60`, and wait until it is.
pub fn subject(test: &str, command: &[&str]) -> Option<Subject> {
    let outer = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut outer) = outer else {
        println!("skipped: {test}: {} is not installed", command[0]);
        return None;
    };
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if let Some(pid) = sleeper(outer.id() as i32) {
            return Some(Subject { outer, pid });
        }
        if let Ok(Some(status)) = outer.try_wait() {
            println!("skipped: {test}: {command:?} cannot run here: {status}");
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = outer.kill();
    panic!("{command:?} never came to sleep");
}

fn sleeper(pid: i32) -> Option<i32> {
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    if command == "sleep\x0060\0" {
        return Some(pid);
    }
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().find_map(|child| sleeper(child.parse().ok()?))
}

const BOX: [&str; 22] = [
    "bwrap",
    "--unshare-all",
    "--hostname",
    "boxed",
    "--die-with-parent",
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/bin",
    "/bin",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--dir",
];

pub fn bubblewrap(test: &str, last: &[&str]) -> Option<Subject> {
    subject(test, &[&BOX[..], &["/etc"], last].concat())
}

pub fn unshared(test: &str) -> Option<Subject> {
    subject(test, &["unshare", "-Urnmuipf", "--kill-child", "--mount-proc", "sleep", "60"])
}

/// The processes that each witness looks at: this one, a bubblewrap container, a user namespace.
pub fn everybody(test: &str) -> Vec<(i32, Option<Subject>)> {
    let mut all = vec![(std::process::id() as i32, None)];
    for subject in [bubblewrap(test, &["sleep", "60"]), unshared(test)].into_iter().flatten() {
        all.push((subject.pid, Some(subject)));
    }
    all
}

/// What a witness says; none, and said so, when it is not there or may not look.
pub fn witness(test: &str, command: &[&str]) -> Option<String> {
    let Ok(Output { status, stdout, stderr }) = Command::new(command[0]).args(&command[1..]).output() else {
        println!("skipped: {test}: {} is not installed", command[0]);
        return None;
    };
    if !status.success() {
        println!("skipped: {test}: {command:?}: {}", String::from_utf8_lossy(&stderr).trim());
        return None;
    }
    Some(String::from_utf8_lossy(&stdout).into_owned())
}

pub fn taken(pid: i32) -> KernelView {
    view::take(pid).unwrap()
}
