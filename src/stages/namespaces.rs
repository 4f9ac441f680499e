//! Stages `clone-mnt` to `clone-pid`: the one clone taken apart, a namespace flag at a time (`--one-by-one`).
//!
//! Next: `cgroup`.

use super::clone;
use crate::kernel::libc_flags as o;
use crate::stage::{Ground, Move, Stage};
use crate::step::Step;
use oci_spec::runtime::LinuxNamespaceType as Ns;
use std::path::PathBuf;

/// The namespaces that the container asks for: the kind, and the path of one to be joined.
pub fn all<'a>(ground: &'a Ground) -> impl Iterator<Item = (Ns, Option<PathBuf>)> + 'a {
    let linux = ground.container.spec.linux().as_ref();
    let namespaces = linux.and_then(|linux| linux.namespaces().as_ref()).into_iter().flatten();
    namespaces.map(|namespace| (namespace.typ(), namespace.path().clone()))
}

pub fn flag(kind: Ns) -> u64 {
    let flag = match kind {
        Ns::User => o::CLONE_NEWUSER,
        Ns::Mount => o::CLONE_NEWNS,
        Ns::Pid => o::CLONE_NEWPID,
        Ns::Network => o::CLONE_NEWNET,
        Ns::Uts => o::CLONE_NEWUTS,
        Ns::Ipc => o::CLONE_NEWIPC,
        Ns::Cgroup => o::CLONE_NEWCGROUP,
        Ns::Time => o::CLONE_NEWTIME,
    };
    flag as u64
}

/// Open each namespace that is to be joined, while we are still who we were: in a user namespace of its own, or once a
/// network namespace is left, the path may be out of reach.
pub fn opened(ground: &Ground) -> Vec<Move> {
    let open = |path| {
        Move::child(Step::OpenNamespace { path }, "opened before anything is joined, by who we are now")
    };
    all(ground).filter_map(|(_, path)| path).map(open).collect()
}

/// Join them, but for the user namespace, which has a stage of its own.
pub fn joined(ground: &Ground) -> Vec<Move> {
    let join = |(kind, path)| {
        let step = Step::Setns { path, flag: flag(kind) };
        Move::child(step, "a namespace that exists is joined, as the configuration asks")
    };
    all(ground)
        .filter(|(kind, _)| *kind != Ns::User)
        .filter_map(|(kind, path)| Some(join((kind, path?))))
        .collect()
}

/// Who has CAP_SYS_ADMIN joins before the user namespace is entered: what belongs to ours or to one below can be joined
/// then, and what is ours no more after. An ordinary user can join only what the user namespace owns that was joined first.
pub fn joined_first(ground: &Ground) -> bool {
    super::userns::is_apart(ground) && ground.host.is_privileged()
}

/// The flags of all namespaces that are new.
pub fn new_flags(ground: &Ground) -> u64 {
    all(ground).filter(|(_, path)| path.is_none()).fold(0, |flags, (kind, _)| flags | flag(kind))
}

fn one(ground: &Ground, kind: Ns, why: &'static str) -> Vec<Move> {
    if !ground.ways.one_by_one || new_flags(ground) & flag(kind) == 0 {
        return Vec::new();
    }
    vec![Move::child(Step::Unshare { flags: flag(kind) }, why)]
}

pub static MNT: Stage = Stage {
    id: "clone-mnt",
    title: "A mount namespace",
    question: "Whose file systems does it see?",
    why: "A copy of the list of mounts: the same file systems as before, but what is mounted from here on is mounted \
          here only, once propagation is turned off.",
    man: &["mount_namespaces(7)", "unshare(2)"],
    observe: &["sh", "-c", "wc -l < /proc/self/mountinfo"],
    pitfalls: super::pitfalls::clone::ALL,
    moves: |ground| {
        if !ground.ways.one_by_one {
            return Vec::new();
        }
        let mut moves = clone::before(ground);
        moves.extend(one(
            ground,
            Ns::Mount,
            "CLONE_NEWNS, the oldest flag: there was no other kind when it was named",
        ));
        moves.push(super::overlay::propagation(ground));
        moves
    },
};

pub static UTS: Stage = Stage {
    id: "clone-uts",
    title: "A UTS namespace",
    question: "What is this machine called?",
    why: "Host name and domain name, copied from the maker's, can then be set without anybody else noticing.",
    man: &["uts_namespaces(7)"],
    observe: &["uname", "-n"],
    pitfalls: super::pitfalls::clone::ALL,
    moves: |ground| one(ground, Ns::Uts, "a copy of the names, to be changed later"),
};

pub static IPC: Stage = Stage {
    id: "clone-ipc",
    title: "An IPC namespace",
    question: "With whom does it share memory and queues?",
    why: "System V shared memory, semaphores and queues, and POSIX message queues, have names that are the same for \
          everybody in one namespace. A new one starts empty.",
    man: &["ipc_namespaces(7)"],
    observe: &["cat", "/proc/sysvipc/shm"],
    pitfalls: super::pitfalls::clone::ALL,
    moves: |ground| one(ground, Ns::Ipc, "empty: nothing is copied"),
};

pub static NET: Stage = Stage {
    id: "clone-net",
    title: "A network namespace",
    question: "Which network does it have?",
    why: "Interfaces, addresses, routes, firewall rules and ports of its own; a new one has a loopback interface that is \
          down, and nothing else. It is the one that costs something to make.",
    man: &["network_namespaces(7)"],
    observe: &["cat", "/proc/net/dev"],
    pitfalls: super::pitfalls::clone::ALL,
    moves: |ground| one(ground, Ns::Network, "lo, and it is down"),
};

pub static PID: Stage = Stage {
    id: "clone-pid",
    title: "A pid namespace, and the fork into it",
    question: "Who is number 1?",
    why: "unshare(2) cannot change the pid of a process that runs: its next child is the first one in the new namespace. \
          So this is the fork that makes process 1.",
    man: &["pid_namespaces(7)", "clone(2)"],
    observe: &["sh", "-c", "ls -d /proc/[0-9]* | wc -l"],
    pitfalls: super::pitfalls::clone::ALL,
    moves: |ground| {
        if !ground.ways.one_by_one {
            return Vec::new();
        }
        let mut moves =
            one(ground, Ns::Pid, "from now on, children are in the new namespace; this process is not");
        if new_flags(ground) & flag(Ns::Time) != 0 {
            moves.extend(one(ground, Ns::Time, "like pid: for the children"));
        }
        moves.push(clone::fork(ground, 0));
        moves.extend(clone::after(ground));
        moves
    },
};
