//! How does one come into a container as it is now? As it was built: a child of ours joins the namespaces that the
//! container has by now, takes its root and its group, gives up what it has given up, and executes a
//! command. The same steps by the same child side, so nothing is kept from the newcomer but what is kept
//! from the container (compare `docker exec`).
//!
//! Next: `crate::terminal::inside`, which gives it a terminal.

use super::wire::{Answers, Batch, Outcome};
use crate::kernel::call::Call;
use crate::kernel::channel::{Channel, Received};
use crate::kernel::fs::{self, Opened};
use crate::kernel::spawn::{self, Stdio3};
use crate::kernel::{Errno, libc_flags as o, process};
use crate::plan::Plan;
use crate::stage::Side;
use crate::step::{At, Command, Step};
use std::fmt;
use std::path::{Path, PathBuf};

/// Whom to visit.
pub struct Visit<'a> {
    pub plan: &'a Plan,
    /// The stages played so far.
    pub played: usize,
    pub pid: i32,
}

/// What kept the visitor out.
#[derive(Debug)]
pub struct Refused {
    pub step: String,
    pub call: Option<Call>,
    pub errno: Errno,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.call {
            Some(call) => write!(f, "{call}"),
            None => write!(f, "{} = -1 {}", self.step, self.errno),
        }
    }
}

impl Refused {
    fn new(step: impl fmt::Display, errno: Errno) -> Refused {
        Refused { step: step.to_string(), call: None, errno }
    }

    /// Whether it came all the way and only the program was not there.
    pub fn is_missing_program(&self) -> bool {
        self.step.starts_with("execve") && matches!(self.errno, Errno::ENOENT | Errno::ENOTDIR)
    }
}

/// The order of joining: the user namespace first, as the others belong to it; the mount namespace last, as
/// nothing of the host's is found after it.
const KINDS: [(&str, i32); 8] = [
    ("user", o::CLONE_NEWUSER),
    ("uts", o::CLONE_NEWUTS),
    ("ipc", o::CLONE_NEWIPC),
    ("net", o::CLONE_NEWNET),
    ("cgroup", o::CLONE_NEWCGROUP),
    ("time", o::CLONE_NEWTIME),
    ("pid", o::CLONE_NEWPID),
    ("mnt", o::CLONE_NEWNS),
];

impl Visit<'_> {
    /// Execute a command inside; its process is a child of this one, to be waited for. It has a session of
    /// its own; with `terminal`, its standard input becomes that session's controlling terminal.
    pub fn enter(&self, command: Command, stdio: &Stdio3, terminal: bool) -> Result<i32, Refused> {
        // Opened before anything is joined, by who we are now; the child side inherits them.
        let mut held: Vec<Opened> = Vec::new();
        let mut steps = vec![Step::SetDumpable { dumpable: false }];
        let root = format!("/proc/{}/root", self.pid);
        steps.push(Step::OpenRoot { path: hold(&mut held, &root, o::O_PATH | o::O_DIRECTORY)? });
        for (kind, flag) in KINDS {
            let path = format!("/proc/{}/ns/{kind}", self.pid);
            let own = std::fs::read_link(format!("/proc/self/ns/{kind}"));
            match (std::fs::read_link(&path), own) {
                // A kind that this kernel does not have, or one that is shared.
                (_, Err(_)) => continue,
                (Ok(theirs), Ok(own)) if theirs == own => continue,
                _ => {}
            }
            let path = hold(&mut held, &path, o::O_RDONLY)?;
            steps.push(Step::Setns { path, flag: flag as u64 });
            if kind == "user" {
                steps.extend([Step::SetResGid { gid: 0 }, Step::SetResUid { uid: 0 }]);
            }
        }
        // Only a child of who joined a pid namespace is in it.
        steps.push(Step::Clone { flags: o::CLONE_PARENT as u64, cgroup: None });
        steps.push(Step::Chroot);
        // Always: in our session /dev/tty would be the host's terminal, which what runs inside could type into.
        steps.push(Step::Setsid);
        if terminal {
            steps.push(Step::ControllingTerminal);
        }
        steps.extend(self.moves(Side::Child).filter(|step| is_given_up(step)).cloned());
        steps.extend([Step::ResetSignals, Step::CloseOnExec { from: 3 }, Step::Exec(command)]);
        let own = |errno| Refused::new("socketpair(AF_UNIX, SOCK_SEQPACKET)", errno);
        let (ours, theirs) = Channel::pair().map_err(own)?;
        let middle = spawn::spawn(&theirs, stdio).map_err(|errno| Refused::new(Step::Spawn, errno))?;
        drop((theirs, held));
        let entered = self.join_groups(middle).and_then(|()| ask(&ours, steps));
        if entered.is_err() {
            let _ = process::kill(middle, o::SIGKILL);
        }
        let _ = process::wait(middle, true);
        entered
    }

    fn moves(&self, side: Side) -> impl Iterator<Item = &Step> {
        let played = self.plan.stages.iter().take(self.played);
        played.flat_map(|planned| &planned.moves).filter(move |one| one.side == side).map(|one| &one.step)
    }

    /// Into every group that the container was put into.
    fn join_groups(&self, pid: i32) -> Result<(), Refused> {
        let born = self.moves(Side::Child).filter_map(|step| match step {
            Step::Clone { cgroup: Some(group), .. } => Some(group.join("cgroup.procs")),
            _ => None,
        });
        let put = self.moves(Side::Host).filter_map(|step| match step {
            Step::Write { path: At::Host(path), text } if text == "{pid}" => Some(path.clone()),
            _ => None,
        });
        for path in born.chain(put) {
            let step = Step::Write { path: At::Host(path.clone()), text: pid.to_string() };
            let joined = fs::open(&path, o::O_WRONLY).and_then(|file| fs::write_all(&file, &pid.to_string()));
            joined.map_err(|errno| Refused::new(step, errno))?;
        }
        Ok(())
    }
}

/// What the container's process has given up or was limited to, in the order in which it was. The keyring too:
/// the visitor would bring the keys of the host's user.
fn is_given_up(step: &Step) -> bool {
    use Step::*;
    matches!(
        step,
        DropBounding { .. }
            | KeepCaps { .. }
            | SetGroups { .. }
            | SetResGid { .. }
            | SetResUid { .. }
            | CapSet { .. }
            | Ambient { .. }
            | NoNewPrivs
            | Seccomp { .. }
            | Prlimit { .. }
            | Umask { .. }
            | JoinSessionKeyring { .. }
            | ParentDeathSignal { .. }
    )
}

/// Open for the child side, which finds it under the same number.
fn hold(held: &mut Vec<Opened>, path: &str, flags: i32) -> Result<PathBuf, Refused> {
    let refused = |errno| Refused::new(format!("openat(AT_FDCWD, \"{path}\")"), errno);
    let opened = fs::open(Path::new(path), flags).map_err(refused)?;
    spawn::keep_on_exec(&opened).map_err(refused)?;
    let path = PathBuf::from(opened.magic());
    held.push(opened);
    Ok(path)
}

/// Have the steps made; the number of the process that made the last.
fn ask(channel: &Channel, steps: Vec<Step>) -> Result<i32, Refused> {
    let batch = Batch { listen: true, first: 0, steps };
    channel.send(&batch, &[]).map_err(|errno| Refused::new("sendmsg", errno))?;
    let mut pid = None;
    // The end comes when the last one is executed, or when a process has died.
    while let Ok(Received::Message(message, _)) = channel.receive::<Answers>() {
        for (number, answer) in (message.first..).zip(message.answers) {
            match answer.outcome {
                Outcome::Forked { pid: new } => pid = Some(new),
                Outcome::Refused(errno) => {
                    let step = batch.steps.get(number).map_or_else(String::new, Step::to_string);
                    if let Some(pid) = pid {
                        let _ = process::wait(pid, true);
                    }
                    return Err(Refused { step, call: answer.calls.last().cloned(), errno });
                }
                Outcome::Done | Outcome::Noted(_) => {}
            }
        }
    }
    pid.ok_or_else(|| Refused::new("clone3", Errno::ESRCH))
}
