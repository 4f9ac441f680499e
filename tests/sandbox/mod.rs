//! Where do tests of real containers happen, and what may be left of them? A place of their own for images and
//! state, a name for each container, and a search of the machine for everything that carries it.
//!
//! Next: `live_kill`, which asks most of it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The program under test.
pub const LEARNCTR: &str = env!("CARGO_BIN_EXE_learnctr");

/// Directories for images and state that end with this value.
pub struct Place {
    dir: tempfile::TempDir,
    data: PathBuf,
}

/// A test that failed leaves nothing behind either.
impl Drop for Place {
    fn drop(&mut self) {
        learnctr::engine::journal::sweep(&self.state());
    }
}

pub fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether layers are stacked in a user namespace too; where not, the test says so.
pub fn overlaid() -> bool {
    let can = learnctr::host::Host::look().at_least(5, 11);
    if !can {
        println!("skipped: overlay in a user namespace needs Linux 5.11");
    }
    can
}

/// A container's name that no other test of any checkout uses at this moment.
pub fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // An interface has room for the first ten letters of it.
    format!("t{:04}x{}", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}

impl Place {
    /// Where build/test.sh says so, the images are those of all tests: to make one takes longer than most tests.
    pub fn new() -> Place {
        let mut place = Place::alone();
        if let Some(shared) = std::env::var_os("LEARNCTR_TEST_DATA") {
            place.data = shared.into();
        }
        place
    }

    /// With an image of its own.
    pub fn alone() -> Place {
        let dir = tempfile::Builder::new().prefix("learnctr-test").tempdir().unwrap();
        // Root inside, who is somebody else outside, passes through it.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        fs::set_permissions(dir.path(), mode).unwrap();
        Place { data: dir.path().join("data"), dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// `learnctr` with these arguments, in this place.
    pub fn learnctr(&self, args: &[&str]) -> Command {
        let mut command = self.command(LEARNCTR);
        command.args(args);
        command
    }

    /// Another program, which knows learnctr as `$L`, in this place.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("L", LEARNCTR).env("LEARNCTR_DATA", self.data()).env("LEARNCTR_STATE", self.state());
        command.env_remove("COLUMNS").stdin(Stdio::null());
        command
    }

    /// Run it to its end, which must come within a minute, and within four where a machine is emulated.
    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = self.learnctr(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let (done, waits) = std::sync::mpsc::channel::<()>();
        let patience = Duration::from_secs(patience(60));
        let watch = std::thread::spawn(move || {
            if waits.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                kill(pid as i32, rustix::process::Signal::KILL);
                return true;
            }
            false
        });
        let output = child.wait_with_output().unwrap();
        let _ = done.send(());
        assert!(!watch.join().unwrap(), "{args:?} hangs");
        output
    }

    /// What `learnctr run` prints, which must succeed.
    pub fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {:?} {errors}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether a container can be built here at all; what stands in the way is the reason to skip.
    pub fn refuses(&self) -> Option<String> {
        let output = self.run(&["run", "--", "true"]);
        let said = String::from_utf8_lossy(&output.stderr);
        // Notes come before it.
        let reason = said.rfind("learnctr: ").and_then(|at| said.get(at..)).unwrap_or(&said);
        (!output.status.success()).then(|| reason.trim().replace('\n', " "))
    }

    /// Everything on this machine that carries a container's name.
    pub fn left(&self, name: &str) -> Vec<String> {
        let mut left = Vec::new();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(name)).map(|line| format!("mount: {line}")));
        for dir in [self.state(), self.data().join("containers")] {
            find(&dir, name, 1, &mut left);
        }
        for group in hierarchies() {
            find(&group, name, 3, &mut left);
        }
        find(Path::new("/sys/class/net"), &name[..name.len().min(10)], 1, &mut left);
        for (pid, command) in processes() {
            if command.contains(name) {
                left.push(format!("process {pid}: {command}"));
            }
        }
        left
    }
}

/// A place where containers can be built; where none can, the test says that it is skipped, and why.
pub fn prepared() -> Option<Place> {
    let place = Place::new();
    let reason = place.refuses();
    if let Some(reason) = &reason {
        println!("skipped: no container here: {reason}");
    }
    reason.is_none().then_some(place)
}

fn find(dir: &Path, name: &str, deep: usize, left: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(name) {
            left.push(entry.path().display().to_string());
        } else if deep > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&entry.path(), name, deep - 1, left);
        }
    }
}

/// Where each hierarchy of control groups is mounted.
pub fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let group = |line: &&str| line.contains(" - cgroup");
    mounts.lines().filter(group).filter_map(|line| Some(line.split(' ').nth(4)?.into())).collect()
}

/// Each process with its command line.
pub fn processes() -> Vec<(i32, String)> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&command).replace('\0', " ")))
    })
    .collect()
}

/// The living children of this process, which is told of orphans as well (`PR_SET_CHILD_SUBREAPER`).
pub fn children() -> Vec<i32> {
    children_of(std::process::id())
}

pub fn children_of(parent: u32) -> Vec<i32> {
    let wanted = parent.to_string();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut rest = stat.rsplit(") ").next()?.split(' ');
        let (state, parent) = (rest.next()?, rest.next()?);
        (parent == wanted && !["Z", "X"].contains(&state)).then_some(pid)
    })
    .collect()
}

pub fn kill(pid: i32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// An emulated machine is several times as slow.
fn patience(seconds: u64) -> u64 {
    if std::env::var_os("VM").is_some() { seconds * 4 } else { seconds }
}

/// Ask until the answer is yes; no later than this.
pub fn soon(seconds: u64, mut ask: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(patience(seconds));
    loop {
        if ask() {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A started program that does not outlive the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
