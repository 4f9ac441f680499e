//! What does the process that becomes the container do? It waits for steps, makes each, answers, and in the
//! end executes the command. It decides nothing: what is not in the plan does not happen.
//!
//! Next: `host`, the other side's steps.

use super::root;
use super::wire::{Answer, Answers, Batch, Outcome};
use crate::kernel::call::{heard, heard_of, listen};
use crate::kernel::channel::{Channel, Received};
use crate::kernel::fs::{self, Opened};
use crate::kernel::process::{self, Cloned};
use crate::kernel::{Errno, caps, libc_flags as o, pty, seccomp};
use crate::step::{At, Command, Link, Step};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

/// What the child holds between steps.
pub(crate) struct Child {
    channel: Channel,
    root: Option<Opened>,
    proc: Option<Opened>,
    /// Opened and not joined yet.
    namespaces: Vec<Opened>,
    terminal: Option<Opened>,
    master: Option<OwnedFd>,
    /// A step was refused: what was sent before the session knew of it is not made any more.
    refused: bool,
}

/// What one step leads to besides its outcome.
enum After {
    Next(Outcome),
    /// This process was in the middle only: its child goes on.
    Leave(Outcome),
    /// This process is the new one: the maker answers for the step.
    Continue,
}

/// The child side's whole life; `args` holds the channel's number.
pub fn main(args: &[String]) -> ! {
    let channel = args.get(1).and_then(|n| n.parse().ok()).and_then(|fd| Channel::inherited(fd).ok());
    // By now /proc/self/fd/N is what was executed, and N a poor name.
    process::set_name(c"learnctr");
    // Whatever stage is left out, no file that whoever called us had open gets to the command. Ours close themselves.
    let _ = process::close_on_exec(3);
    let Some(channel) = channel else {
        eprintln!("learnctr: this name is for learnctr's own use: it needs the channel of a session");
        process::exit_now(2);
    };
    // If the host's process dies, whatever the reason, nothing half-built may go on.
    let _ = process::parent_death_signal(o::SIGKILL);
    let mut child = Child::of(channel);
    loop {
        match child.channel.receive::<Batch>() {
            Ok(Received::Message(batch, _)) if !child.refused => child.play(batch),
            Ok(Received::Message(..)) => {}
            Ok(Received::End) | Err(_) => process::exit_now(0),
        }
    }
}

impl Child {
    pub(crate) fn of(channel: Channel) -> Child {
        Child {
            channel,
            root: None,
            proc: None,
            namespaces: Vec::new(),
            terminal: None,
            master: None,
            refused: false,
        }
    }

    /// One step for a process that confines itself and becomes no container: the page's.
    pub(crate) fn make_alone(&mut self, step: &Step) -> Result<(), Errno> {
        self.make(step).map(|_| ())
    }

    pub(crate) fn into_channel(self) -> Channel {
        self.channel
    }

    fn play(&mut self, batch: Batch) {
        if batch.listen {
            listen();
        }
        let mut first = batch.first;
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.steps.len());
        let mut before: Option<&Step> = None;
        for (number, step) in (batch.first..).zip(&batch.steps) {
            // After these nothing more can be said, or only what the filter allows: which may be nothing.
            let filtered = matches!(before, Some(Step::Seccomp { .. }));
            if *step != Step::Init {
                before = Some(step);
            }
            let says = matches!(step, Step::Exec(_) | Step::Seccomp { .. } | Step::Init) && !filtered;
            if says && !answers.is_empty() {
                self.answer(first, std::mem::take(&mut answers));
                first = number;
            }
            let started = Instant::now();
            let after = self.make(step).unwrap_or_else(|errno| After::Next(Outcome::Refused(errno)));
            let micros = started.elapsed().as_micros() as u64;
            let (outcome, leave) = match after {
                After::Next(outcome) => (outcome, false),
                After::Leave(outcome) => (outcome, true),
                After::Continue => {
                    answers.clear();
                    first = number + 1;
                    continue;
                }
            };
            self.refused = matches!(outcome, Outcome::Refused(_));
            answers.push(Answer { outcome, calls: heard_of(self.refused), micros });
            if leave {
                self.answer(first, answers);
                process::exit_now(0);
            }
            if self.refused {
                break;
            }
        }
        if !answers.is_empty() {
            self.answer(first, answers);
        }
    }

    fn answer(&mut self, first: usize, answers: Vec<Answer>) {
        let master = self.master.take();
        let fds: Vec<i32> = master.iter().map(|fd| fd.as_raw_fd()).collect();
        // A filter that refuses sendmsg leaves the host to look for itself whether the command runs.
        let _ = self.channel.send(&Answers { first, answers }, &fds);
    }

    fn root(&self) -> Result<&Opened, Errno> {
        self.root.as_ref().ok_or(Errno::ENOENT)
    }

    fn make(&mut self, step: &Step) -> Result<After, Errno> {
        let noted = |note: Option<String>| After::Next(note.map_or(Outcome::Done, Outcome::Noted));
        match step {
            Step::Unshare { flags } => process::unshare(*flags)?,
            Step::OpenNamespace { path } => self.namespaces.push(fs::open(path, o::O_RDONLY)?),
            Step::Setns { path, flag } => {
                let label = path.to_string_lossy();
                let held = self.namespaces.iter().position(|opened| opened.label == label);
                let opened = match held {
                    Some(at) => self.namespaces.remove(at),
                    None => fs::open(path, o::O_RDONLY)?,
                };
                process::setns(&opened, *flag)?
            }
            Step::Clone { flags, cgroup } => return self.clone(*flags, cgroup.as_deref()),
            Step::Link(link) => self.link(link)?,
            Step::OpenRoot { path } => self.root = Some(fs::open(path, o::O_PATH | o::O_DIRECTORY)?),
            Step::OpenProc => {
                let proc = fs::open_in(self.root()?, Path::new("proc"), o::O_PATH, 0)?;
                fs::must_be_procfs(&proc)?;
                self.proc = Some(fs::clone_mount(&proc)?);
            }
            Step::MountPoint { path, kind, source } => {
                let note = root::mount_point(self.root()?, path.path(), *kind, source.as_deref())?;
                return Ok(noted(note));
            }
            Step::Mount { source, target, fstype, flags, data } => {
                self.mount(source.as_deref(), target, fstype.as_deref(), *flags, data.as_deref())?
            }
            Step::Remount { target, set, clear } => {
                let opened = self.open(target, o::O_PATH)?;
                let flags = fs::kept_flags(&opened, *set, *clear)?;
                match target {
                    // After pivot_root(2) the container need not have a /proc by which a descriptor has a name.
                    At::Host(path) => fs::mount(None, &path.to_string_lossy(), "", None, flags, None)?,
                    At::Root(_) | At::Proc(_) => fs::mount_on(None, &opened, None, flags, None)?,
                }
            }
            Step::MountAttr { target, set, clear, recursive } => {
                fs::mount_setattr(&self.open(target, o::O_PATH)?, *set, *clear, *recursive)?
            }
            Step::Mask { path } => return Ok(noted(root::mask(self.root()?, path.path())?)),
            Step::ReadOnly { path } => return Ok(noted(root::read_only(self.root()?, path.path())?)),
            Step::Symlink { target, path } => {
                let (above, name) = root::parent(self.root()?, path.path())?;
                match fs::symlink(target, &above, &name) {
                    Err(Errno::EEXIST) => return Ok(noted(Some("there already".to_owned()))),
                    other => other?,
                }
            }
            Step::Mknod { path, kind, major, minor, mode, uid, gid } => {
                let (above, name) = root::parent(self.root()?, path.path())?;
                match fs::mknod(&above, &name, *kind, (*major, *minor), *mode) {
                    // Of an image that has a /dev; what only has the name would be used as if it were the device.
                    Err(Errno::EEXIST) if fs::is_node(&above, &name, *kind, (*major, *minor))? => {
                        return Ok(noted(Some("there already".to_owned())));
                    }
                    other => other?,
                }
                let owner = (*uid != 0 || *gid != 0).then_some((*uid, *gid));
                fs::dress(&above, &name, *mode, owner)?;
            }
            Step::PivotRoot => {
                fs::fchdir(self.root()?)?;
                fs::pivot_root_here()?;
            }
            Step::Chroot => {
                fs::fchdir(self.root()?)?;
                fs::chroot_here()?;
            }
            Step::Chdir { path } => fs::chdir(path)?,
            Step::Umount { target, flags } => fs::umount(target, *flags)?,
            Step::Write { path, text } => {
                let opened = self.open(path, o::O_WRONLY)?;
                if matches!(path, At::Proc(_)) {
                    fs::must_be_procfs(&opened)?;
                }
                fs::write_all(&opened, text)?;
            }
            Step::SetHostname { name } => process::set_hostname(name)?,
            Step::SetDomainname { name } => process::set_domainname(name)?,
            Step::Prlimit { resource, soft, hard } => process::prlimit(resource, *soft, *hard)?,
            Step::SetDumpable { dumpable } => process::set_dumpable(*dumpable)?,
            Step::ParentDeathSignal { signal } => {
                process::parent_death_signal(*signal)?;
                // It is not told of a death before.
                if self.channel.is_ended() {
                    process::exit_now(0);
                }
            }
            Step::JoinSessionKeyring { name } => match process::join_session_keyring(name) {
                // Inside another container the keyring calls are often refused or not built in: then there
                // is no keyring that the command could inherit and use.
                Err(errno @ (Errno::ENOSYS | Errno::EPERM)) => {
                    return Ok(noted(Some(format!(
                        "{errno}: keyctl is not to be had here, so no keyring leaks either"
                    ))));
                }
                other => {
                    other?;
                }
            },
            Step::DropBounding { keep } => caps::bound(*keep)?,
            Step::KeepCaps { keep } => process::keep_caps(*keep)?,
            Step::SetGroups { gids } => process::set_groups(gids)?,
            Step::SetResGid { gid } => process::set_gid(*gid)?,
            Step::SetResUid { uid } => process::set_uid(*uid)?,
            Step::CapSet { sets } => caps::set(sets)?,
            Step::Ambient { raise } => {
                for cap in (0..64).filter(|cap| raise >> cap & 1 == 1) {
                    process::ambient_raise(cap)?;
                }
            }
            Step::NoNewPrivs => process::no_new_privs()?,
            Step::Seccomp { flags, program } => seccomp::load(&program.0, *flags as u32)?,
            Step::Setsid => {
                process::setsid()?;
            }
            Step::Terminal { uid } => self.open_terminal(*uid)?,
            Step::ControllingTerminal => {
                match self.terminal.take() {
                    Some(terminal) => pty::take(&terminal)?,
                    // Who only visits was given one.
                    None => pty::take_input()?,
                }
            }
            // As root of a user namespace, for an ordinary user whose container's files have other ids.
            Step::RemoveTree { path } => std::fs::remove_dir_all(path)?,
            Step::Umask { mask } => {
                process::umask(*mask)?;
            }
            Step::ResetSignals => process::reset_signals()?,
            Step::CloseOnExec { from } => process::close_on_exec(*from)?,
            Step::WorkingDirectory { path, create } => self.enter(path, *create)?,
            Step::Init => return self.init(),
            Step::Exec(command) => return Err(exec(command)),
            // The host's steps: a plan that sends one here is wrong.
            Step::Mkdir { .. }
            | Step::Inherit { .. }
            | Step::Rmdir { .. }
            | Step::Create { .. }
            | Step::WriteIfThere { .. }
            | Step::Chown { .. }
            | Step::Layers { .. }
            | Step::Adopt
            | Step::Spawn
            | Step::MapIds { .. }
            | Step::DeviceProgram { .. }
            | Step::Kill { .. }
            | Step::RemoveGroup { .. }
            | Step::DisableControllers { .. }
            | Step::Wait { .. }
            | Step::Await { .. } => return Err(Errno::ENOSYS),
        }
        Ok(After::Next(Outcome::Done))
    }

    /// The one fork: process 1 of the new pid namespace. CLONE_PARENT makes it the host process's child, so
    /// that this one in the middle can go.
    fn clone(&mut self, flags: u64, cgroup: Option<&Path>) -> Result<After, Errno> {
        let group = cgroup.map(|path| fs::open(path, o::O_PATH | o::O_DIRECTORY)).transpose()?;
        match process::clone(flags, group.as_ref())? {
            Cloned::Parent(pid) => Ok(After::Leave(Outcome::Forked { pid })),
            Cloned::Child => {
                // It does not survive a fork.
                let _ = process::parent_death_signal(o::SIGKILL);
                heard();
                self.namespaces.clear();
                Ok(After::Continue)
            }
        }
    }

    fn open(&self, at: &At, flags: i32) -> Result<Opened, Errno> {
        match at {
            At::Host(path) => fs::open(path, flags),
            At::Root(path) => fs::open_in(self.root()?, path, flags, 0),
            At::Proc(path) => fs::open_below_proc(self.proc.as_ref().ok_or(Errno::ENOENT)?, path, flags),
        }
    }

    fn mount(
        &self,
        source: Option<&str>,
        target: &At,
        fstype: Option<&str>,
        flags: u64,
        data: Option<&str>,
    ) -> Result<(), Errno> {
        if let At::Host(path) = target {
            return fs::mount(source, &path.to_string_lossy(), "", fstype, flags, data);
        }
        fs::mount_on(source, &self.open(target, o::O_PATH)?, fstype, flags, data)
    }

    fn open_terminal(&mut self, uid: u32) -> Result<(), Errno> {
        let root = self.root()?;
        let (master, terminal) = pty::open(root, uid)?;
        root::mount_point(root, Path::new("dev/console"), crate::step::Kind::File, None)?;
        // The mount must land on what is there, not on what it points to (CVE-2025-52565).
        let console = fs::open_in(root, Path::new("dev/console"), o::O_PATH | o::O_NOFOLLOW, 0)?;
        if fs::fstat(&console)?.is_symlink() {
            return Err(Errno::EIO);
        }
        fs::mount_on(Some(&terminal.magic()), &console, None, o::MS_BIND, None)?;
        self.master = Some(master);
        self.terminal = Some(terminal);
        Ok(())
    }

    /// The command's working directory, checked to be inside (CVE-2024-21626).
    fn enter(&self, path: &Path, create: Option<(u32, u32)>) -> Result<(), Errno> {
        if create.is_some() {
            root::directory(self.root()?, path)?;
        }
        fs::chdir(path)?;
        if fs::working_directory()?.starts_with('/') { Ok(()) } else { Err(Errno::ENOENT) }
    }

    fn link(&self, link: &Link) -> Result<(), Errno> {
        super::host::link(link, None)
    }

    /// Process 1 stays learnctr, which reaps orphans; the command is its child.
    fn init(&mut self) -> Result<After, Errno> {
        match process::clone(0, None)? {
            // Its maker never says anything any more.
            Cloned::Child => Ok(After::Next(Outcome::Done)),
            Cloned::Parent(pid) => process::be_init(pid),
        }
    }
}

/// execve(2), by PATH as execvp(3) has it: looked up here, inside. ENOENT and ENOTDIR go on to the next
/// directory; EACCES is remembered, as the command may be found further on.
fn exec(command: &Command) -> Errno {
    let Some(name) = command.args.first() else { return Errno::ENOENT };
    if name.contains('/') {
        return process::exec(name, &command.args, &command.env);
    }
    let path = command.env.iter().find_map(|v| v.strip_prefix("PATH=")).unwrap_or("/bin:/usr/bin");
    let mut refused = Errno::ENOENT;
    for directory in path.split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        match process::exec(&format!("{directory}/{name}"), &command.args, &command.env) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => refused = Errno::EACCES,
            other => return other,
        }
    }
    refused
}
