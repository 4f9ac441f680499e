//! What does the host's process do itself? Directories, maps, control groups, the outer end of the network,
//! signals: everything that the child may not or cannot.
//!
//! Next: `journal`, which says how each is undone.

use crate::kernel::call::{self, Call, Returned};
use crate::kernel::{Errno, devices, fs, libc_flags as o, lock, net, process};
use crate::step::{Link, Step};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The longest that the kernel is waited for when it settles something: freezing, emptying a group.
const SETTLE: Duration = Duration::from_secs(5);

/// Make one host step. `pid` is the process that becomes the container, once there is one.
pub fn make(step: &Step, pid: Option<i32>) -> Result<Option<String>, Errno> {
    let target = || pid.ok_or(Errno::ESRCH);
    match step {
        Step::Mkdir { path, mode, exist_ok } => match fs::mkdir_host(path, *mode) {
            Err(Errno::EEXIST) if *exist_ok => return Ok(Some("there already".to_owned())),
            other => other?,
        },
        Step::Inherit { path } => inherit(path)?,
        // Made for us or not: it stays as long as somebody else has something in it.
        Step::Rmdir { path } => match gone(fs::rmdir(path)) {
            Err(Errno::EBUSY | Errno::ENOTEMPTY) => {}
            other => other?,
        },
        Step::RemoveTree { path } => remove_tree(path)?,
        Step::Write { path, text } => fs::write_all(&fs::open(path.path(), o::O_WRONLY)?, text)?,
        Step::WriteIfThere { path, text } => match fs::open(path, o::O_WRONLY) {
            Err(Errno::ENOENT) => return Ok(Some("this kernel has no such file".to_owned())),
            opened => fs::write_all(&opened?, text)?,
        },
        Step::Create { path, text, owner } => {
            fs::create(path, text)?;
            if let Some((uid, gid)) = owner {
                fs::chown(path, *uid, *gid)?;
            }
        }
        Step::Chown { path, uid, gid } => fs::chown(path, *uid, *gid)?,
        Step::Layers { store, owner } => {
            let mut made = Vec::new();
            crate::image::ensure(store, *owner, &mut |what| made.push(what.to_owned())).map_err(|error| {
                let args = format!("{:?}", error.path);
                call::write_down(Call { name: error.doing, args, returned: Returned::Refused(error.errno) });
                error.errno
            })?;
            return Ok((!made.is_empty()).then(|| made.join("; ")));
        }
        Step::MapIds { file, ranges, helper } => map_ids(file, ranges, helper.as_deref(), target()?)?,
        Step::DeviceProgram { cgroup, rules } => {
            let rules: Vec<oci_spec::runtime::LinuxDeviceCgroup> =
                serde_json::from_str(rules).map_err(|_| Errno::EINVAL)?;
            let program = devices::load(&devices::program(&rules).map_err(|_| Errno::EINVAL)?)?;
            let group = fs::open(cgroup, o::O_RDONLY | o::O_DIRECTORY)?;
            devices::attach(group.as_fd(), program.as_fd())?;
            // It holds already; to ask for its number takes CAP_NET_ADMIN besides.
            let ids = devices::attached(group.as_fd()).unwrap_or_default();
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            return Ok((!ids.is_empty()).then(|| format!("eBPF program {}", ids.join(", "))));
        }
        Step::Adopt => process::adopt_orphans(true)?,
        Step::Kill { signal } => process::kill(target()?, *signal)?,
        Step::Wait { seconds } => return wait(target()?, *seconds),
        Step::Await { path, text } => {
            settle(|| Ok(std::fs::read_to_string(path)?.lines().any(|l| l == text)))?
        }
        Step::RemoveGroup { path } => remove_group(path)?,
        Step::DisableControllers { path, controllers } => {
            return lock::alone(path, || disable(path, controllers))
                .unwrap_or_else(|| Ok(Some("another container relies on them: they stay".to_owned())));
        }
        Step::Link(Link::Delete { name }) => match net::Netlink::open()?.link_del(name) {
            // The pair dies with the container's network namespace: gone is what it should be.
            Err(Errno(nodev)) if nodev == ENODEV => {}
            other => other?,
        },
        Step::Link(link) => self::link(link, pid)?,
        // The child's steps, and Spawn, which the session makes.
        _ => return Err(Errno::ENOSYS),
    }
    Ok(None)
}

const ENODEV: i32 = 19;

/// Whether something of the name that this step is to make is there before.
pub fn is_there(step: &Step) -> bool {
    match step {
        Step::Mkdir { path, exist_ok: false, .. } => path.symlink_metadata().is_ok(),
        Step::Link(Link::AddVeth { name, .. }) => Path::new("/sys/class/net").join(name).exists(),
        _ => false,
    }
}

/// A group of v1's cpuset has no processors and no memory nodes until it is given some, and no process can
/// be put in before (cpuset(7)).
fn inherit(path: &Path) -> Result<(), Errno> {
    let (Some(group), Some(file)) = (path.parent(), path.file_name()) else { return Err(Errno::EINVAL) };
    let above = group.parent().ok_or(Errno::EINVAL)?.join(file);
    let value = std::fs::read_to_string(above)?;
    if !std::fs::read_to_string(path)?.trim().is_empty() {
        return Ok(());
    }
    fs::write_all(&fs::open(path, o::O_WRONLY)?, value.trim())
}

/// Something that is no longer there is as good as removed; a directory that others use stays.
fn gone<E: Into<Errno>>(removed: Result<(), E>) -> Result<(), Errno> {
    match removed.map_err(Into::into) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn remove_tree(path: &Path) -> Result<(), Errno> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => gone(std::fs::remove_dir_all(path)).or_else(|errno| {
            let _ = fs::open(path, DIRECTORY).map(|directory| open_up(&directory));
            if gone(std::fs::remove_dir_all(path)).is_ok() {
                return Ok(());
            }
            // Files of other ids of our range: only root of such a user namespace may remove them.
            crate::engine::ids::remove_in_user_namespace(path).map_err(|_| errno)
        }),
        Ok(_) => gone(std::fs::remove_file(path)),
        Err(error) => gone(Err(error)),
    }
}

/// overlay makes directories that not even their owner may enter (mode 0), until their owner says otherwise. By
/// descriptor: what the container has written is in there, symlinks to the host's files too.
fn open_up(directory: &fs::Opened) {
    use std::os::unix::fs::PermissionsExt;
    let here = directory.magic();
    let _ = std::fs::set_permissions(&here, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(&here).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Ok(below) = fs::open_in(directory, Path::new(&entry.file_name()), DIRECTORY, 0)
        {
            open_up(&below);
        }
    }
}

const DIRECTORY: i32 = o::O_PATH | o::O_DIRECTORY | o::O_NOFOLLOW;

/// Write an id map, or have it written by newuidmap(1) or newgidmap(1), which know what we were granted.
fn map_ids(file: &str, ranges: &[crate::step::Range], helper: Option<&Path>, pid: i32) -> Result<(), Errno> {
    let Some(helper) = helper else {
        let map: String =
            ranges.iter().map(|r| format!("{} {} {}\n", r.inside, r.outside, r.count)).collect();
        return fs::write_all(&fs::open(Path::new(file), o::O_WRONLY)?, &map);
    };
    let numbers = ranges.iter().flat_map(|r| [r.inside, r.outside, r.count]).map(|n| n.to_string());
    let status = Command::new(helper).arg(pid.to_string()).args(numbers).status()?;
    if status.success() { Ok(()) } else { Err(Errno::EPERM) }
}

/// Wait for the process to end; says whether it did.
fn wait(pid: i32, seconds: u32) -> Result<Option<String>, Errno> {
    match process::pidfd(pid) {
        Ok(fd) => {
            use std::os::fd::AsRawFd;
            let until = Instant::now() + Duration::from_secs(u64::from(seconds));
            loop {
                let left = until.saturating_duration_since(Instant::now());
                let slice = left.min(Duration::from_millis(100));
                if process::poll(&[fd.as_raw_fd()], slice.as_millis() as i32)? == [true] {
                    return Ok(None);
                }
                // Ctrl-C or the like, held back: whoever holds it wants to end now.
                if crate::kernel::tty::is_ending() {
                    return Ok(Some("cut short by a signal".to_owned()));
                }
                if left.is_zero() {
                    return Ok(Some(format!("it still runs after {seconds} s")));
                }
            }
        }
        Err(Errno::ESRCH) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Ask again until the answer is yes: the kernel does some things a moment after it was told to.
fn settle(mut ask: impl FnMut() -> Result<bool, Errno>) -> Result<(), Errno> {
    let until = Instant::now() + SETTLE;
    let mut pause = Duration::from_micros(50);
    loop {
        if ask()? {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Errno::EBUSY);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Remove a group: its processes first (they may be frozen), then the groups that the container made in it.
fn remove_group(path: &Path) -> Result<(), Errno> {
    if !path.exists() {
        return Ok(());
    }
    if let Ok(below) = std::fs::read_dir(path) {
        for entry in below.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            remove_group(&entry.path())?;
        }
    }
    settle(|| match gone(fs::rmdir(path)) {
        Ok(()) => Ok(true),
        Err(Errno::EBUSY) => {
            for (file, text) in [("cgroup.freeze", "0"), ("freezer.state", "THAWED")] {
                let _ = std::fs::OpenOptions::new()
                    .write(true)
                    .open(path.join(file))
                    .and_then(|mut f| std::io::Write::write_all(&mut f, text.as_bytes()));
            }
            for pid in
                std::fs::read_to_string(path.join("cgroup.procs"))?.lines().filter_map(|l| l.parse().ok())
            {
                // 0 is a process of another pid namespace: kill(0) would be our own group.
                if pid > 0 {
                    let _ = process::kill(pid, o::SIGKILL);
                }
            }
            Ok(false)
        }
        Err(errno) => Err(errno),
    })
}

/// Take controllers away from the groups below, but those that another group has made use of by now.
fn disable(path: &Path, controllers: &[String]) -> Result<Option<String>, Errno> {
    let mut others = Vec::new();
    for entry in std::fs::read_dir(path)?.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
        others.push(entry.path());
    }
    let (used, unused): (Vec<&String>, Vec<&String>) =
        controllers.iter().partition(|name| others.iter().any(|group| relies(group, name)));
    if !unused.is_empty() {
        let text: Vec<String> = unused.iter().map(|name| format!("-{name}")).collect();
        fs::write_all(&fs::open(&path.join("cgroup.subtree_control"), o::O_WRONLY)?, &text.join(" "))?;
    }
    let used: Vec<&str> = used.into_iter().map(String::as_str).collect();
    Ok((!used.is_empty()).then(|| format!("another group uses {}: it stays", used.join(" and "))))
}

/// The files of a new group, before anybody has set a limit.
const UNLIMITED: [(&str, &[(&str, &str)]); 3] = [
    ("cpu", &[("cpu.max", "max 100000"), ("cpu.weight", "100"), ("cpu.idle", "0")]),
    (
        "memory",
        &[
            ("memory.max", "max"),
            ("memory.high", "max"),
            ("memory.low", "0"),
            ("memory.min", "0"),
            ("memory.swap.max", "max"),
        ],
    ),
    ("pids", &[("pids.max", "max")]),
];

/// Whether a group would miss this controller: it has a limit, hands the controller on, or is just being
/// prepared, with no process in it. Of a controller whose files are not known here it is assumed.
fn relies(group: &Path, controller: &str) -> bool {
    let read = |file: &str| std::fs::read_to_string(group.join(file)).unwrap_or_default();
    let Some((_, files)) = UNLIMITED.iter().find(|(name, _)| *name == controller) else { return true };
    read("cgroup.subtree_control").split_whitespace().any(|name| name == controller)
        || read("cgroup.events").lines().any(|line| line == "populated 0")
        || files.iter().any(|(file, unlimited)| {
            let value = read(file);
            !value.is_empty() && value.trim() != *unlimited
        })
}

/// One rtnetlink request, in the network namespace of whoever makes it.
pub fn link(link: &Link, pid: Option<i32>) -> Result<(), Errno> {
    let mut netlink = net::Netlink::open()?;
    match link {
        Link::AddVeth { name, peer } => netlink.veth_add(name, peer, None),
        Link::Delete { name } => netlink.link_del(name),
        Link::MoveToPid { name } => netlink.set_ns(name, pid.ok_or(Errno::ESRCH)? as u32),
        Link::Rename { name, to } => netlink.rename(name, to),
        Link::Address { name, address, prefix } => netlink.addr_add(name, *address, *prefix),
        Link::Up { name } => netlink.up(name),
        Link::DefaultRoute { via } => netlink.route_add_default(*via),
    }
}

/// End what the container has left running: by [`Step::Adopt`] they are children of ours. What we had before is in our
/// own mount namespace, and theirs is another one. Each that ends leaves its own children to us, so again until none is
/// left.
pub fn end_adopted() -> Result<(), Errno> {
    let mounts = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt"));
    let (own, parent) = (mounts("self")?, process::pid().to_string());
    let mut killed: Vec<i32> = Vec::new();
    settle(|| {
        killed.retain(|pid| process::wait(*pid, false) == Ok(None));
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some((name, pid)) = name.to_str().and_then(|name| Some((name, name.parse::<i32>().ok()?)))
            else {
                continue;
            };
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let ours =
                stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(parent.as_str());
            if ours && !killed.contains(&pid) && mounts(name).is_ok_and(|theirs| theirs != own) {
                let _ = process::kill(pid, o::SIGKILL);
                killed.push(pid);
            }
        }
        Ok(killed.is_empty())
    })?;
    process::adopt_orphans(false)
}

/// Let go of what the plan has frozen, also where its stage `thaw` is left out.
pub fn thaw(plan: &crate::plan::Plan) -> Result<(), Errno> {
    let freeze = plan.stages.iter().filter(|planned| planned.stage.id == "freeze");
    for undo in freeze.flat_map(|planned| &planned.moves).filter_map(|one| one.undo.as_ref()) {
        make(undo, None)?;
    }
    Ok(())
}
