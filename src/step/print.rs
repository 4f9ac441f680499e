//! How is a step printed? In strace's grammar (strace(1)), with what cannot be known before it is made in words.
//!
//! Next: `crate::stage`.

use super::{At, Link, Step};
use crate::kernel::call::lazy;
use crate::kernel::flags::{self, names};
use std::fmt::{self, Write};

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            At::Host(path) => write!(f, "\"{}\"", text(&path.to_string_lossy())),
            At::Root(path) => write!(f, "<root>\"{}\"", text(&path.to_string_lossy())),
            At::Proc(path) => write!(f, "<proc>\"{}\"", text(&path.to_string_lossy())),
        }
    }
}

/// A string as strace prints it: quotes and what cannot be printed are escaped, long ones are cut.
pub fn text(raw: &str) -> impl fmt::Display {
    const MOST: usize = 200;
    lazy(move |f| {
        raw.chars().take(MOST).flat_map(char::escape_default).try_for_each(|part| f.write_char(part))?;
        if raw.chars().nth(MOST).is_some() { f.write_str("\"…") } else { Ok(()) }
    })
}

/// The same between quotes; `NULL` for none.
pub fn option(value: Option<&str>) -> impl fmt::Display {
    lazy(move |f| match value {
        Some(value) => write!(f, "\"{}\"", text(value)),
        None => f.write_str("NULL"),
    })
}

fn list(items: &[String]) -> String {
    items.iter().map(|i| format!("\"{}\"", text(i))).collect::<Vec<_>>().join(", ")
}

/// A signal's name (signal(7)).
pub fn signal_name(signal: i32) -> String {
    crate::kernel::process::signal_name(signal)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Step::Mkdir { path, mode, .. } => {
                write!(f, "mkdirat(AT_FDCWD, {}, {mode:#o})", At::Host(path.clone()))
            }
            Step::Inherit { path } => write!(f, "write({}, what its parent has)", At::Host(path.clone())),
            Step::Rmdir { path } => write!(f, "rmdir({})", At::Host(path.clone())),
            Step::RemoveTree { path } => write!(f, "unlinkat({}, all that is in it)", At::Host(path.clone())),
            Step::Write { path, text: value } => write!(f, "write({path}, \"{}\")", text(value)),
            Step::WriteIfThere { path, text: value } => {
                write!(f, "write({}, \"{}\")", At::Host(path.clone()), text(value))
            }
            Step::Create { path, text: value, .. } => {
                write!(f, "write({}, \"{}\")", At::Host(path.clone()), text(value))
            }
            Step::Chown { path, uid, gid } => write!(f, "chown({}, {uid}, {gid})", At::Host(path.clone())),
            Step::Layers { store, .. } => {
                write!(f, "open({}, the layers base, tools and app)", At::Host(store.clone()))
            }
            Step::Adopt => write!(f, "prctl(PR_SET_CHILD_SUBREAPER, 1)"),
            Step::Spawn => write!(f, "execve(\"/proc/self/exe\", [\"learnctr: child\"])"),
            Step::MapIds { file, ranges, helper } => {
                let map: Vec<String> =
                    ranges.iter().map(|r| format!("{} {} {}", r.inside, r.outside, r.count)).collect();
                match helper {
                    Some(helper) => write!(
                        f,
                        "execve(\"{}\", [\"{{pid}}\", \"{}\"])",
                        helper.display(),
                        map.join("\", \"")
                    ),
                    None => write!(f, "write(\"{file}\", \"{}\\n\")", map.join("\\n")),
                }
            }
            Step::DeviceProgram { cgroup, rules } => {
                let rules =
                    serde_json::from_str::<Vec<serde::de::IgnoredAny>>(rules).map_or(0, |all| all.len());
                write!(
                    f,
                    "bpf(BPF_PROG_ATTACH, {{target={}, type=BPF_CGROUP_DEVICE}}, from {rules} rules)",
                    At::Host(cgroup.clone())
                )
            }
            Step::Kill { signal } => write!(f, "kill({{pid}}, {})", signal_name(*signal)),
            Step::DisableControllers { path, controllers } => {
                write!(
                    f,
                    "write({}, \"-{}\")",
                    At::Host(path.join("cgroup.subtree_control")),
                    controllers.join(" -")
                )
            }
            Step::RemoveGroup { path } => write!(f, "rmdir({})", At::Host(path.clone())),
            Step::Wait { seconds } => write!(f, "poll([pidfd of {{pid}}], {seconds} s)"),
            Step::Await { path, text: value } => {
                write!(f, "read({}) until \"{}\"", At::Host(path.clone()), text(value))
            }
            Step::Unshare { flags } => write!(f, "unshare({})", names(flags::CLONE, *flags)),
            Step::OpenNamespace { path } => write!(f, "open({}, O_RDONLY|O_CLOEXEC)", At::Host(path.clone())),
            Step::Setns { path, flag } => {
                write!(f, "setns({}, {})", At::Host(path.clone()), names(flags::CLONE, *flag))
            }
            Step::Clone { flags, cgroup } => {
                let all = names(flags::CLONE, *flags);
                match cgroup {
                    Some(path) => write!(
                        f,
                        "clone3({{flags={all}|CLONE_INTO_CGROUP, cgroup={}}})",
                        At::Host(path.clone())
                    ),
                    None => write!(f, "clone3({{flags={all}}})"),
                }
            }
            Step::Link(link) => write!(f, "{link}"),
            Step::OpenRoot { path } => {
                write!(f, "open({}, O_PATH|O_DIRECTORY|O_CLOEXEC)", At::Host(path.clone()))
            }
            Step::MountPoint { path, .. } => {
                write!(f, "openat2({path}, {{O_PATH, RESOLVE_IN_ROOT}}) or mkdirat")
            }
            Step::Mount { source, target, fstype, flags, data } => write!(
                f,
                "mount({}, {target}, {}, {}, {})",
                option(source.as_deref()),
                option(fstype.as_deref()),
                names(flags::MOUNT, *flags),
                option(data.as_deref())
            ),
            Step::Remount { target, set, .. } => write!(
                f,
                "mount(NULL, {target}, NULL, {}, NULL)",
                names(flags::MOUNT, crate::kernel::fs::REMOUNT_BIND | set)
            ),
            Step::MountAttr { target, set, clear, recursive } => write!(
                f,
                "mount_setattr({target}, {}, {{attr_set={set:#x}, attr_clr={clear:#x}}})",
                if *recursive { "AT_RECURSIVE" } else { "0" }
            ),
            Step::Symlink { target, path } => write!(f, "symlinkat(\"{}\", {path})", text(target)),
            Step::Mknod { path, kind, major, minor, mode, .. } => {
                let kind = match kind {
                    'b' => "S_IFBLK",
                    'p' => "S_IFIFO",
                    _ => "S_IFCHR",
                };
                write!(f, "mknodat({path}, {kind}|{mode:#o}, makedev({major}, {minor}))")
            }
            Step::Mask { path } => write!(f, "mount(<root>\"/dev/null\" or an empty tmpfs, {path}, MS_BIND)"),
            Step::ReadOnly { path } => {
                write!(f, "mount({path}, {path}, MS_BIND|MS_REC), mount(MS_REMOUNT|MS_BIND|MS_RDONLY)")
            }
            Step::OpenProc => write!(f, "open_tree(<root>\"/proc\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC)"),
            Step::PivotRoot => write!(f, "pivot_root(\".\", \".\")"),
            Step::Chroot => write!(f, "chroot(\".\")"),
            Step::Chdir { path } => write!(f, "chdir({})", At::Host(path.clone())),
            Step::Umount { target, flags } => {
                write!(f, "umount2({}, {})", At::Host(target.clone()), names(flags::UMOUNT, *flags))
            }
            Step::SetHostname { name } => write!(f, "sethostname(\"{}\")", text(name)),
            Step::SetDomainname { name } => write!(f, "setdomainname(\"{}\")", text(name)),
            Step::Prlimit { resource, soft, hard } => {
                write!(f, "prlimit(0, {resource}, {{rlim_cur={}, rlim_max={}}})", limit(*soft), limit(*hard))
            }
            Step::SetDumpable { dumpable } => write!(f, "prctl(PR_SET_DUMPABLE, {})", u8::from(*dumpable)),
            Step::ParentDeathSignal { signal } => {
                write!(f, "prctl(PR_SET_PDEATHSIG, {})", signal_name(*signal))
            }
            Step::JoinSessionKeyring { name } => {
                write!(f, "keyctl(KEYCTL_JOIN_SESSION_KEYRING, \"{}\")", text(name))
            }
            Step::DropBounding { keep } => write!(f, "prctl(PR_CAPBSET_DROP, each but {keep:#018x})"),
            Step::KeepCaps { keep } => write!(f, "prctl(PR_SET_KEEPCAPS, {})", u8::from(*keep)),
            Step::SetGroups { gids } => {
                let all: Vec<String> = gids.iter().map(u32::to_string).collect();
                write!(f, "setgroups({}, [{}])", gids.len(), all.join(", "))
            }
            Step::SetResGid { gid } => write!(f, "setresgid({gid}, {gid}, {gid})"),
            Step::SetResUid { uid } => write!(f, "setresuid({uid}, {uid}, {uid})"),
            Step::CapSet { sets } => write!(
                f,
                "capset({{effective={:#018x}, permitted={:#018x}, inheritable={:#018x}}})",
                sets.effective, sets.permitted, sets.inheritable
            ),
            Step::Ambient { raise } => {
                write!(f, "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each of {raise:#018x})")
            }
            Step::NoNewPrivs => write!(f, "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)"),
            Step::Seccomp { flags, program } => {
                write!(f, "seccomp(SECCOMP_SET_MODE_FILTER, {flags:#x}, {{len={}}})", program.0.len())
            }
            Step::Setsid => write!(f, "setsid()"),
            Step::Terminal { .. } => write!(
                f,
                "openat2(<root>\"/dev/pts/ptmx\"), ioctl(TIOCGPTPEER), mount(on <root>\"/dev/console\")"
            ),
            Step::ControllingTerminal => write!(f, "ioctl(TIOCSCTTY), dup2(to 0, 1 and 2)"),
            Step::Umask { mask } => write!(f, "umask({mask:#o})"),
            Step::ResetSignals => {
                write!(f, "rt_sigaction(each signal, SIG_DFL), rt_sigprocmask(SIG_SETMASK, [])")
            }
            Step::CloseOnExec { from } => write!(f, "close_range({from}, ~0, CLOSE_RANGE_CLOEXEC)"),
            Step::WorkingDirectory { path, .. } => write!(f, "chdir({})", At::Host(path.clone())),
            Step::Init => write!(f, "clone3({{flags=0}}), and stay as process 1"),
            Step::Exec(command) => {
                let program = command.args.first().map_or("", String::as_str);
                write!(
                    f,
                    "execve(\"{}\", [{}], /* {} vars */)",
                    text(program),
                    list(&command.args),
                    command.env.len()
                )
            }
        }
    }
}

fn limit(value: u64) -> String {
    if value == u64::MAX { "RLIM64_INFINITY".to_owned() } else { value.to_string() }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Link::AddVeth { name, peer } => {
                write!(
                    f,
                    "sendto(NETLINK_ROUTE, {{RTM_NEWLINK, kind=\"veth\", \"{name}\", peer=\"{peer}\"}})"
                )
            }
            Link::Delete { name } => write!(f, "sendto(NETLINK_ROUTE, {{RTM_DELLINK, \"{name}\"}})"),
            Link::MoveToPid { name } => {
                write!(f, "sendto(NETLINK_ROUTE, {{RTM_SETLINK, \"{name}\", IFLA_NET_NS_PID={{pid}}}})")
            }
            Link::Rename { name, to } => {
                write!(f, "sendto(NETLINK_ROUTE, {{RTM_SETLINK, \"{name}\", IFLA_IFNAME=\"{to}\"}})")
            }
            Link::Address { name, address, prefix } => {
                write!(f, "sendto(NETLINK_ROUTE, {{RTM_NEWADDR, \"{name}\", {address}/{prefix}}})")
            }
            Link::Up { name } => write!(f, "sendto(NETLINK_ROUTE, {{RTM_SETLINK, \"{name}\", IFF_UP}})"),
            Link::DefaultRoute { via } => {
                write!(f, "sendto(NETLINK_ROUTE, {{RTM_NEWROUTE, default via {via}}})")
            }
        }
    }
}
