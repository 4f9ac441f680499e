//! What is one step? One kernel call with its arguments, as data: it can be printed without being made,
//! sent to the process that is to make it, written to a journal, and undone.
//!
//! A step names what the plan cannot know yet in braces: `{pid}` is the process that becomes the
//! container, put in when the step is made. Next: `stage`, which groups steps into lessons.

mod print;

pub use print::{option, signal_name, text};

use crate::kernel::bpf::{self, Insn};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Where a path starts. Everything inside the container's root file system is resolved by openat2(2) with
/// RESOLVE_IN_ROOT, so that no symlink in an image leads out of it (CVE-2021-30465).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// A path of the host, or of whatever the process that makes the step has as root.
    Host(PathBuf),
    /// A path inside the container's root file system.
    Root(PathBuf),
    /// A path below a procfs that fstatfs(2) has confirmed to be one (CVE-2025-52881).
    Proc(PathBuf),
}

impl At {
    pub fn path(&self) -> &Path {
        match self {
            At::Host(path) | At::Root(path) | At::Proc(path) => path,
        }
    }
}

/// What a mount's target has to be before it can be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Directory,
    File,
    /// Whatever the source of the bind mount is.
    AsSource,
}

/// A range of ids: `inside outside count` of user_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

/// The five sets of capabilities(7) as bit masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapSets {
    pub bounding: u64,
    pub permitted: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

/// One rtnetlink(7) request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    AddVeth { name: String, peer: String },
    Delete { name: String },
    MoveToPid { name: String },
    Rename { name: String, to: String },
    Address { name: String, address: Ipv4Addr, prefix: u8 },
    Up { name: String },
    DefaultRoute { via: Ipv4Addr },
}

/// What ends up as process 1's program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub args: Vec<String>,
    pub env: Vec<String>,
}

/// One kernel call with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    // Files, on either side.
    Mkdir {
        path: PathBuf,
        mode: u32,
        exist_ok: bool,
    },
    /// Give a file of a control group what its parent has (v1's cpuset starts empty).
    Inherit {
        path: PathBuf,
    },
    Rmdir {
        path: PathBuf,
    },
    RemoveTree {
        path: PathBuf,
    },
    Write {
        path: At,
        text: String,
    },
    /// The same for a file that this kernel may have been built without.
    WriteIfThere {
        path: PathBuf,
        text: String,
    },
    /// Create a file of the host's, or fill one that is empty (the container's hostname, hosts, resolv.conf).
    Create {
        path: PathBuf,
        text: String,
        owner: Option<(u32, u32)>,
    },
    Chown {
        path: PathBuf,
        uid: u32,
        gid: u32,
    },

    // The host's alone.
    /// Make the default image's layers where they are missing.
    Layers {
        store: PathBuf,
        owner: Option<(u32, u32)>,
    },
    /// Become the parent of what the container leaves running (PR_SET_CHILD_SUBREAPER).
    Adopt,
    /// Start the process that becomes the container: learnctr again, with one end of a socket.
    Spawn,
    MapIds {
        file: String,
        ranges: Vec<Range>,
        helper: Option<PathBuf>,
    },
    /// The device rules as an eBPF program on a cgroup v2 directory.
    DeviceProgram {
        cgroup: PathBuf,
        rules: String,
    },
    Kill {
        signal: i32,
    },
    /// Take controllers away from the groups below, unless somebody else's are there by now.
    DisableControllers {
        path: PathBuf,
        controllers: Vec<String>,
    },
    /// Remove a cgroup with what is left in it: SIGKILL to its processes, groups below it first (cgroups(7)).
    RemoveGroup {
        path: PathBuf,
    },
    Wait {
        seconds: u32,
    },
    /// Wait until a cgroup file holds this text: freezing and emptying take the kernel a moment.
    Await {
        path: PathBuf,
        text: String,
    },

    // Namespaces.
    Unshare {
        flags: u64,
    },
    /// Open a namespace that exists (OCI: namespaces[].path), for the `Setns` that follows: by who we are now.
    OpenNamespace {
        path: PathBuf,
    },
    Setns {
        path: PathBuf,
        flag: u64,
    },
    Clone {
        flags: u64,
        cgroup: Option<PathBuf>,
    },
    /// Write the offsets of a time namespace before anyone is in it (time_namespaces(7)).
    Link(Link),

    // File system.
    OpenRoot {
        path: PathBuf,
    },
    MountPoint {
        path: At,
        kind: Kind,
        source: Option<PathBuf>,
    },
    Mount {
        source: Option<String>,
        target: At,
        fstype: Option<String>,
        flags: u64,
        data: Option<String>,
    },
    /// Other flags for a bind mount that is there. Those that it has are kept: a remount that does not repeat them takes
    /// them away, nosuid and nodev too.
    Remount {
        target: At,
        set: u64,
        clear: u64,
    },
    /// mount_setattr(2) on a mount and all below it: the recursive read-only of OCI's `rro`.
    MountAttr {
        target: At,
        set: u64,
        clear: u64,
        recursive: bool,
    },
    Symlink {
        target: String,
        path: At,
    },
    Mknod {
        path: At,
        kind: char,
        major: u32,
        minor: u32,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Mask {
        path: At,
    },
    ReadOnly {
        path: At,
    },
    OpenProc,
    PivotRoot,
    Chroot,
    Chdir {
        path: PathBuf,
    },
    Umount {
        target: PathBuf,
        flags: u64,
    },

    // What the process is.
    SetHostname {
        name: String,
    },
    SetDomainname {
        name: String,
    },
    Prlimit {
        resource: String,
        soft: u64,
        hard: u64,
    },
    SetDumpable {
        dumpable: bool,
    },
    ParentDeathSignal {
        signal: i32,
    },
    JoinSessionKeyring {
        name: String,
    },
    DropBounding {
        keep: u64,
    },
    KeepCaps {
        keep: bool,
    },
    SetGroups {
        gids: Vec<u32>,
    },
    SetResGid {
        gid: u32,
    },
    SetResUid {
        uid: u32,
    },
    CapSet {
        sets: CapSets,
    },
    Ambient {
        raise: u64,
    },
    NoNewPrivs,
    Seccomp {
        flags: u64,
        program: Program,
    },

    // The last ones.
    Setsid,
    /// The container's own terminal: a pty of its devpts, its other end handed to the host.
    Terminal {
        uid: u32,
    },
    /// Make it the session's controlling terminal, and standard input, output and error.
    ControllingTerminal,
    Umask {
        mask: u32,
    },
    ResetSignals,
    CloseOnExec {
        from: u32,
    },
    WorkingDirectory {
        path: PathBuf,
        create: Option<(u32, u32)>,
    },
    /// Stay as process 1, reap orphans, pass on signals; the command becomes its child.
    Init,
    Exec(Command),
}

/// A seccomp filter's instructions; written as hexadecimal, sixteen digits each (bpf(4)).
#[derive(Clone, PartialEq, Eq)]
pub struct Program(pub Vec<Insn>);

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Program({} instructions)", self.0.len())
    }
}

impl Serialize for Program {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = Vec::with_capacity(self.0.len() * 16);
        for insn in &self.0 {
            let whole = bpf::to_word(insn);
            let digits: [u8; 16] = std::array::from_fn(|at| DIGITS[(whole >> (60 - 4 * at) & 15) as usize]);
            text.extend_from_slice(&digits);
        }
        serializer.serialize_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Program, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (words, rest) = text.as_bytes().as_chunks::<16>();
        let value = |digit: &u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let word = |digits: &[u8; 16]| {
            digits.iter().try_fold(0, |word, digit| Some(word << 4 | u64::from(value(digit)?)))
        };
        let insns = words.iter().map(|digits| word(digits).map(bpf::from_word)).collect::<Option<_>>();
        match insns {
            Some(insns) if rest.is_empty() => Ok(Program(insns)),
            _ => Err(D::Error::custom("a filter is a whole number of instructions, sixteen digits each")),
        }
    }
}

impl Step {
    /// The same step with `{pid}` put in.
    pub fn with_pid(&self, pid: i32) -> Step {
        let put = |text: &str| text.replace("{pid}", &pid.to_string());
        let path = |path: &Path| PathBuf::from(put(&path.to_string_lossy()));
        match self {
            Step::Write { path: At::Host(at), text } => {
                Step::Write { path: At::Host(path(at)), text: put(text) }
            }
            Step::MapIds { file, ranges, helper } => {
                Step::MapIds { file: put(file), ranges: ranges.clone(), helper: helper.clone() }
            }
            other => other.clone(),
        }
    }

    /// What takes a host step back. `None` for what changes nothing that outlives the container's process;
    /// a move can say better.
    pub fn undo(&self) -> Option<Step> {
        match self {
            Step::Mkdir { path, .. } => Some(Step::Rmdir { path: path.clone() }),
            Step::Create { path, .. } => Some(Step::RemoveTree { path: path.clone() }),
            Step::Link(Link::AddVeth { name, .. }) => Some(Step::Link(Link::Delete { name: name.clone() })),
            _ => None,
        }
    }
}
