//! What can be asked of a container on the command line? The names are Docker's; `step`, `run`, `plan` and
//! `spec` all take these, and each text below is also the man page's.
//!
//! Next: `default`, which makes a description of them.

use super::values::*;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Everything that says which container is meant.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Container")]
pub struct Options {
    /// Call the container NAME
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Option<String>,

    /// Take DIR as the root file system, under an overlay: nothing of DIR is changed
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,

    /// Build what DIR/config.json describes, an OCI bundle
    #[arg(long, value_name = "DIR", conflicts_with_all = ["Limits", "Process", "Privileges", "Namespaces", "Files"])]
    pub bundle: Option<PathBuf>,

    /// Give it no network, the host's, or a veth pair of its own
    #[arg(long, value_name = "KIND")]
    pub network: Option<Network>,

    /// Run a small init as PID 1, which passes on signals and reaps orphans
    #[arg(long)]
    pub init: bool,

    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub process: Process,
    #[command(flatten)]
    pub privileges: Privileges,
    #[command(flatten)]
    pub namespaces: Namespaces,
    #[command(flatten)]
    pub files: Files,

    /// The command to run inside, after `--`
    #[arg(last = true, value_name = "CMD", help_heading = "Arguments")]
    pub cmd: Vec<String>,
}

/// Resource limits: each is a file of a control group, but for `--ulimit`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Memory at most, such as 512m; 0 for no limit
    #[arg(short, long, value_name = "SIZE", default_value = "512m")]
    pub memory: Bytes,

    /// Memory and swap together at most; -1 for any swap [default: twice the memory]
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory_swap: Option<Swap>,

    /// Processors at most, such as 1.5; 0 for no limit
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub cpus: Cpus,

    /// Its share of the processor where others want it too; 1024 is usual
    #[arg(long, value_name = "SHARES", value_parser = clap::value_parser!(u64).range(2..=262_144))]
    pub cpu_shares: Option<u64>,

    /// The processors that it may run on, such as 0-3,5
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,

    /// Processes and threads at most; 0 or -1 for no limit
    #[arg(long, value_name = "NUMBER", default_value = "100", allow_hyphen_values = true,
          value_parser = clap::value_parser!(i64).range(-1..=4_194_304))]
    pub pids_limit: i64,

    /// Set a limit of setrlimit(2), such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<Ulimit>,

    /// How soon it is killed when memory runs out: -1000 (never) to 1000 (first)
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true,
          value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    pub oom_score_adj: Option<i32>,

    /// Put its control group under PATH
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
}

/// The process that runs inside.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Process")]
pub struct Process {
    /// Its name for itself [default: web]
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    pub hostname: Option<String>,

    /// Run as USER, a number, or a name from the container's own /etc/passwd
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<UserSpec>,

    /// One more group for it to be in
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<Id>,

    /// Set a variable of its environment; with no = it is copied from yours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// Read variables from FILE, one NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,

    /// Start in DIR, a path inside the container [default: /]
    #[arg(short, long, value_name = "DIR", value_parser = workdir)]
    pub workdir: Option<PathBuf>,

    /// Give it a terminal of its own
    #[arg(short, long)]
    pub tty: bool,

    /// Keep its standard input open, as is always done: for those used to -it
    #[arg(short, long, hide_short_help = true)]
    pub interactive: bool,
}

/// What it may do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Privileges")]
pub struct Privileges {
    /// Give one capability more than Docker's 14: NET_ADMIN, or ALL
    #[arg(long, value_name = "CAP")]
    pub cap_add: Vec<String>,

    /// Take one capability away: NET_RAW, or ALL
    #[arg(long, value_name = "CAP")]
    pub cap_drop: Vec<String>,

    /// no-new-privileges, seccomp=unconfined|FILE, apparmor=PROFILE, systempaths=unconfined, label=LABEL
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub security_opt: Vec<SecurityOpt>,

    /// Give it one of the host's devices
    #[arg(long, value_name = "HOST[:INSIDE][:rwm]")]
    pub device: Vec<Device>,

    /// Not there: says what to ask for in its place
    #[arg(long, hide = true, num_args = 0, default_missing_value = "true", value_parser = privileged)]
    pub privileged: Option<bool>,
}

/// Which worlds are its own.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Namespaces")]
pub struct Namespaces {
    /// A user namespace: the host's, one of its own, or one in which you stay yourself
    #[arg(long, value_name = "MODE")]
    pub userns: Option<Userns>,

    /// Its view of control groups [default: private on cgroup v2, else host]
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<Own>,

    /// Its processes: only its own, or the host's too
    #[arg(long, value_name = "MODE", default_value = "private")]
    pub pid: Own,

    /// Its System V IPC, POSIX message queues and /dev/shm
    #[arg(long, value_name = "MODE", default_value = "private")]
    pub ipc: Own,

    /// Its host name
    #[arg(long, value_name = "MODE", default_value = "private")]
    pub uts: Own,

    /// Clocks of its own, SECONDS ahead of the host's (boot time and monotonic)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "0",
          allow_hyphen_values = true)]
    pub time_namespace: Option<i64>,

    /// Set a kernel parameter of its namespaces, such as net.core.somaxconn=1024
    #[arg(long, value_name = "KEY=VALUE")]
    pub sysctl: Vec<Pair>,
}

/// What it finds in its file system.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Files")]
pub struct Files {
    /// Make its root file system read-only
    #[arg(long)]
    pub read_only: bool,

    /// Mount an empty file system in memory at PATH, such as /run:size=64m
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    pub tmpfs: Vec<Tmpfs>,

    /// Mount a directory of the host, or a named volume, such as ./site:/srv:ro
    #[arg(short, long, value_name = "[SOURCE:]PATH[:OPTIONS]")]
    pub volume: Vec<Volume>,

    /// The size of /dev/shm
    #[arg(long, value_name = "SIZE", default_value = "64m")]
    pub shm_size: Bytes,
}

/// How the container is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// A network namespace with only a loopback interface
    None,
    /// The host's own interfaces
    Host,
    /// A network namespace with eth0, the inner end of a veth pair
    Veth,
}

/// Whether a namespace is the container's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Own {
    /// One of its own
    Private,
    /// The host's
    Host,
}

/// Which user namespace, and who is who in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Userns {
    /// The host's
    Host,
    /// One of its own: root inside is an ordinary user outside
    Private,
    /// One of its own, in which your number is the same inside
    KeepId,
    /// As private
    Auto,
}
