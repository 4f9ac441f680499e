//! What does the kernel say of a process, at one moment? Every probe, from two vantages: `outside` is what the
//! host reads about it, `inside` what the process itself would see. The one cannot stand for the other:
//! `/proc/PID/root/proc/sys/kernel/hostname` gives the reader's host name, and the link `/proc/PID/root`
//! is `/` before and after pivot_root(2).
//!
//! Next: `crate::diff`, what changed between two of these.

use crate::kernel::{Errno, dir, dir::Dir, join, parts::Part};
use crate::probes::host_network::{self, HostNetwork};
use crate::probes::namespaces::{self, Namespace};
use crate::probes::{
    Reading, capabilities, cgroups, entries, ids, layers, limits, mounts, network, processes, root,
};
use crate::probes::{signals, small, status, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// All that is known of one process at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelView {
    /// As the reader has it.
    pub pid: i32,
    pub outside: Outside,
    /// None when only the outside was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Inside>,
}

type Named<T> = BTreeMap<String, T>;

/// Read by the host about the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outside {
    pub name: Reading<String>,
    pub state: Reading<String>,
    pub executable: Reading<String>,
    pub command_line: Reading<Vec<String>>,
    pub working_directory: Reading<String>,
    pub session: Reading<status::Session>,
    /// Its number at each level of pid namespaces, the reader's first, its own last.
    pub pids: Reading<Vec<i32>>,
    pub processes: Reading<processes::Tree>,
    pub namespaces: Named<Reading<Namespace>>,
    pub time_offsets: Reading<Named<String>>,
    /// The reader's own.
    pub hostname: Reading<String>,
    pub ids: Reading<ids::Ids>,
    pub uid_map: Reading<Vec<ids::Range>>,
    pub gid_map: Reading<Vec<ids::Range>>,
    /// `allow` or `deny`.
    pub setgroups: Reading<String>,
    pub root: Reading<root::Root>,
    /// Of the overlay that is its root, or is to be: `upper`, `lower 1`, `lower 2` …, and what is in each.
    pub layers: Reading<Named<layers::Layer>>,
    pub mounts: Reading<Named<mounts::Mount>>,
    pub cgroups: Reading<Named<cgroups::Cgroup>>,
    pub capabilities: Reading<Named<capabilities::Capabilities>>,
    pub no_new_privs: Reading<bool>,
    pub seccomp: Reading<small::Seccomp>,
    pub lsm_label: Reading<String>,
    pub limits: Reading<Named<limits::Limit>>,
    pub oom_score_adj: Reading<i32>,
    pub umask: Reading<String>,
    pub signals: Reading<signals::Signals>,
    pub environment: Reading<Named<String>>,
    pub open_files: Reading<small::OpenFiles>,
    pub host_network: HostNetwork,
}

/// Read in the process's own namespaces and root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inside {
    pub hostname: Reading<String>,
    pub ids: Reading<ids::Ids>,
    /// The path in each hierarchy, as its cgroup namespace has it.
    pub cgroups: Reading<Named<String>>,
    pub processes: Reading<processes::Seen>,
    pub root: Reading<entries::Entries>,
    pub devices: Reading<entries::Entries>,
    pub interfaces: Reading<Named<network::Interface>>,
    pub routes: Reading<Named<network::Route>>,
    /// Small files that are made for a container: by path, what is in them.
    pub files: Named<Reading<String>>,
}

/// Why there is no view at all: everything else that fails is in the view.
#[derive(Debug)]
pub struct Error {
    pub pid: i32,
    pub errno: Errno,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "openat(AT_FDCWD, \"/proc/{}\", O_DIRECTORY) = -1 {}", self.pid, self.errno)?;
        match self.errno {
            Errno::ENOENT => write!(
                f,
                "\n  There is no such process: it has ended, or it is in another pid namespace than you, or /proc is \
                 not mounted, or with hidepid=2.\n  `ps -e` lists the processes that you can see."
            ),
            _ => write!(f, "\n  Is procfs mounted at /proc? `findmnt /proc` says so."),
        }
    }
}

impl std::error::Error for Error {}

/// The view from both vantages. What cannot be read is in it as the errno that it gave.
pub fn take(pid: i32) -> Result<KernelView, Error> {
    look(pid, true)
}

/// The view without a helper inside.
pub fn take_outside(pid: i32) -> Result<KernelView, Error> {
    look(pid, false)
}

fn look(pid: i32, inside: bool) -> Result<KernelView, Error> {
    let open = |path: &str| Dir::open(path).map_err(|errno| Error { pid, errno });
    let process = open(&format!("/proc/{pid}"))?;
    let reader = open("/proc/thread-self")?;
    let own = namespaces::Ids::read(&reader);
    let theirs = namespaces::Ids::read(&process);
    // The helper works while the outside is read.
    let same = |kind: &str| Ok(own.id(kind)? == theirs.id(kind)?);
    let helper = inside.then(|| join::start(&process, &same));
    let host = Dir::open("/proc/1").map(|first| namespaces::Ids::read(&first));
    let host = host.map_or_else(|_| namespaces::Ids::read(&reader), |host| host.or(&own));
    let helper_pid = helper.as_ref().and_then(|helper| helper.as_ref().ok()?.pid());
    let outside = read_outside(&process, &reader, helper_pid, theirs.readings(&host), same("net"));
    let inside = helper.map(|helper| read_inside(helper.map(join::Helper::collect)));
    Ok(KernelView { pid, outside, inside })
}

fn read_outside(
    process: &Dir,
    reader: &Dir,
    helper: Option<i32>,
    namespaces: Named<Reading<Namespace>>,
    same_network: Result<bool, Errno>,
) -> Outside {
    let read = |name| process.read(name);
    let read_text = |name| read(name).map(|bytes| text(&bytes));
    let link = |name| process.link(name).map(|bytes| text(&bytes));
    let host_mounts = reader.read("mountinfo").map(|bytes| mounts::parse(&text(&bytes))).unwrap_or_default();
    let their_mounts = read_text("mountinfo").map(|text| mounts::parse(&text));
    let root = match (link("root"), &their_mounts) {
        (Ok(link), Ok(mounts)) => Ok(root::find(link, mounts, &host_mounts)),
        (Ok(link), Err(_)) => Ok(root::find(link, &BTreeMap::new(), &host_mounts)),
        (Err(errno), _) => Err(errno),
    };
    let status = read_text("status");
    // Each probe of `status` is refused as a whole when the file is.
    let status = status.as_ref().map(|text| status::Status::parse(text)).map_err(|errno| *errno);
    let status = status.as_ref().map_err(|errno| *errno);
    let number = |name| status.and_then(|status| status.number::<i32>(name));
    Outside {
        name: Reading::new(
            "/proc/PID/status Name",
            status.and_then(|status| status.line("Name").map(status::unescape_name)),
        ),
        state: Reading::new(
            "/proc/PID/status State",
            status.and_then(|status| status.line("State").map(str::to_owned)),
        ),
        executable: Reading::new("/proc/PID/exe", link("exe")),
        command_line: Reading::new(
            "/proc/PID/cmdline",
            read("cmdline").map(|bytes| small::command_line(&bytes)),
        ),
        working_directory: Reading::new("/proc/PID/cwd", link("cwd")),
        session: Reading::new(
            "/proc/PID/stat",
            read_text("stat").and_then(|text| status::parse_stat(&text)).map(|(_, session)| session),
        ),
        pids: Reading::new("/proc/PID/status NSpid", status.and_then(|status| status.numbers("NSpid"))),
        processes: Reading::new(
            "/proc/PID/task/TID/children",
            number("PPid").and_then(|parent| processes::tree(process, parent, helper)),
        ),
        namespaces,
        time_offsets: Reading::new(
            "/proc/PID/timens_offsets",
            read_text("timens_offsets").map(|text| small::time_offsets(&text)),
        ),
        hostname: Reading::new("uname(2) of the reader", Ok(dir::hostname())),
        ids: Reading::new("/proc/PID/status Uid Gid Groups", status.and_then(ids::parse)),
        uid_map: Reading::new(
            "/proc/PID/uid_map",
            read_text("uid_map").and_then(|text| ids::parse_map(&text)),
        ),
        gid_map: Reading::new(
            "/proc/PID/gid_map",
            read_text("gid_map").and_then(|text| ids::parse_map(&text)),
        ),
        setgroups: Reading::new("/proc/PID/setgroups", read("setgroups").map(|bytes| small::label(&bytes))),
        root: Reading::new("/proc/PID/root and mountinfo", root),
        layers: Reading::new(
            "/proc/PID/mountinfo",
            their_mounts.as_ref().map(|mounts| layers::read(mounts, &host_mounts)).map_err(|errno| *errno),
        ),
        mounts: Reading::new("/proc/PID/mountinfo", their_mounts),
        cgroups: Reading::new(
            "/proc/PID/cgroup and the group's files",
            read_text("cgroup").map(|text| cgroups::read(&text, &host_mounts)),
        ),
        capabilities: Reading::new("/proc/PID/status Cap*", status.and_then(capabilities::parse)),
        no_new_privs: Reading::new("/proc/PID/status NoNewPrivs", number("NoNewPrivs").map(|one| one == 1)),
        seccomp: Reading::new(
            "/proc/PID/status Seccomp",
            status.and_then(|status| {
                Ok(small::seccomp(status.number("Seccomp")?, status.number("Seccomp_filters").ok()))
            }),
        ),
        lsm_label: Reading::new(
            "/proc/PID/attr/current",
            read("attr/current").map(|bytes| small::label(&bytes)),
        ),
        limits: Reading::new("/proc/PID/limits", read_text("limits").map(|text| limits::parse(&text))),
        oom_score_adj: Reading::new(
            "/proc/PID/oom_score_adj",
            read_text("oom_score_adj").and_then(|text| text.trim().parse().map_err(|_| Errno::ENODATA)),
        ),
        umask: Reading::new(
            "/proc/PID/status Umask",
            status.and_then(|status| status.line("Umask").map(str::to_owned)),
        ),
        signals: Reading::new("/proc/PID/status Sig*", status.and_then(signals::parse)),
        environment: Reading::new(
            "/proc/PID/environ",
            read("environ").map(|bytes| small::environment(&bytes)),
        ),
        open_files: Reading::new("/proc/PID/fd", open_files(process)),
        host_network: host_network::read(process, same_network),
    }
}

/// More than these are not shown.
const MOST_FILES: usize = 128;

fn open_files(process: &Dir) -> Result<small::OpenFiles, Errno> {
    let (names, more) = process.names("fd", MOST_FILES)?;
    let fds = process.dir("fd")?;
    let file = |name: &Vec<u8>| {
        let name = text(name);
        // A descriptor may be closed between the listing and this.
        let target = fds.link(&name).ok()?;
        Some((name, text(&target)))
    };
    Ok(small::OpenFiles { files: names.iter().filter_map(file).collect(), more })
}

fn read_inside(answers: Result<join::Answers, Errno>) -> Inside {
    let part = |part| match &answers {
        Ok(answers) => answers.get(part),
        Err(errno) => Err((Some("clone(CLONE_PIDFD)"), *errno)),
    };
    let whole = |bytes: &[u8]| Ok(text(bytes));
    let links = part(Part::Links);
    let addresses = part(Part::Addresses).unwrap_or(&[]);
    let interfaces = links.map(|links| network::interfaces(links, addresses));
    let no_interfaces = BTreeMap::new();
    let known = interfaces.as_ref().unwrap_or(&no_interfaces);
    let routes =
        reading("rtnetlink RTM_GETROUTE", part(Part::Routes), |bytes| Ok(network::routes(bytes, known)));
    let file = |path: &'static str, from| (path.to_owned(), reading(path, part(from), whole));
    Inside {
        hostname: reading("uname(2)", part(Part::Hostname), whole),
        ids: reading("/proc/PID/status Uid Gid Groups, opened inside", part(Part::Status), |bytes| {
            ids::parse(&status::Status::parse(&text(bytes)))
        }),
        cgroups: reading("/proc/PID/cgroup, opened inside", part(Part::Cgroup), |bytes| {
            Ok(cgroups::paths(&text(bytes)))
        }),
        processes: reading("getdents(/proc)", part(Part::Processes), processes::parse_seen),
        root: reading("getdents(/)", part(Part::RootEntries), |bytes| Ok(entries::parse(bytes))),
        devices: reading("getdents(/dev)", part(Part::Devices), |bytes| Ok(entries::parse(bytes))),
        routes,
        interfaces: reading("rtnetlink RTM_GETLINK RTM_GETADDR", interfaces, Ok),
        files: BTreeMap::from([
            file("/etc/hostname", Part::EtcHostname),
            file("/etc/hosts", Part::EtcHosts),
            file("/etc/resolv.conf", Part::EtcResolv),
        ]),
    }
}

/// The source is what was read, or the call before it that was refused.
fn reading<B, T>(
    source: &'static str,
    part: Result<B, (Option<&'static str>, Errno)>,
    parse: impl FnOnce(B) -> Result<T, Errno>,
) -> Reading<T> {
    match part {
        Ok(bytes) => Reading::new(source, parse(bytes)),
        Err((tried, errno)) => Reading::new(tried.unwrap_or(source), Err(errno)),
    }
}
