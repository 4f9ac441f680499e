//! What is asked, in the order in which it is shown, and what is lost where the answer is no.
//!
//! Next: one file a subject: [`super::namespaces`], [`super::cgroups`], [`super::files`],
//! [`super::network`], [`super::security`], [`super::calls`].

use super::case::Case;
use super::{Finding, calls, cgroups, files, namespaces, network, security};

pub struct Question {
    pub id: &'static str,
    pub subject: &'static str,
    pub title: &'static str,
    pub asks: &'static str,
    pub needed: Needed,
    /// An ordinary user can only have it in a user namespace.
    pub inside: bool,
    pub costs: &'static str,
    pub ask: fn(&Case) -> Finding,
}

/// By whom the default container needs it.
pub enum Needed {
    Always,
    ByUsers,
    Never,
}
use Needed::{Always, ByUsers, Never};

macro_rules! questions {
    ($($subject:literal { $($id:literal $needed:ident $inside:literal $title:literal, $asks:literal, $costs:literal, $ask:expr;)* })*) => {
        pub const QUESTIONS: &[Question] = &[$($(Question {
            id: $id, subject: $subject, title: $title, asks: $asks, needed: $needed, inside: $inside,
            costs: $costs, ask: $ask,
        },)*)*];
    };
}

// id, needed by whom, inside; title; question; costs; how it is asked.
questions! {
    "users" {
        "user-namespace" ByUsers false "user namespace",
            "Can we make a user namespace, and are we root in it?",
            "--userns is not there; an ordinary user can build nothing",
            namespaces::user;
        "user-namespace-unprivileged" Never false "…of an ordinary user",
            "Can a user without any privilege make one, and mount in it?",
            "learnctr is for root only on this machine",
            namespaces::unprivileged;
        "id-range" Never false "a range of ids",
            "Can a container have more ids than one (newuidmap, /etc/subuid)?",
            "inside there is uid 0 alone: no --user, and files of other users belong to nobody",
            namespaces::range;
        "idmapped-mount" Never false "idmapped mount",
            "Can a mount show other ids than its files have (Linux 5.12)?",
            "with --userns, layers that root owns show as nobody's, or have to be copied",
            namespaces::idmapped;
    }
    "namespaces" {
        "namespace-mnt" Always true "mnt", "Can a mount namespace be made?",
            "no root file system of its own", |case| namespaces::unshared(case, "mnt");
        "namespace-pid" Always true "pid", "Can a PID namespace be made?",
            "no PID 1 of its own", |case| namespaces::unshared(case, "pid");
        "namespace-uts" Always true "uts", "Can a UTS namespace be made?",
            "no hostname of its own", |case| namespaces::unshared(case, "uts");
        "namespace-ipc" Always true "ipc", "Can an IPC namespace be made?",
            "no message queues and shared memory of its own", |case| namespaces::unshared(case, "ipc");
        "namespace-net" Always true "net", "Can a network namespace be made?",
            "only --network host is left", |case| namespaces::unshared(case, "net");
        "namespace-cgroup" Never true "cgroup", "Can a cgroup namespace be made?",
            "the container sees the host's path of its group", |case| namespaces::unshared(case, "cgroup");
        "namespace-time" Never true "time", "Can a time namespace be made (Linux 5.6)?",
            "no clock of its own", |case| namespaces::unshared(case, "time");
    }
    "control groups" {
        "cgroup-version" Never false "hierarchies", "Which versions are mounted?",
            "no limits, and no freeze", cgroups::version;
        "cgroup-group" Never false "a group of ours", "Can a group be made, and a process moved into it?",
            "no limits, and no freeze: only what rlimits can do", cgroups::group;
        "cgroup-memory" Never false "memory limit", "Can a group's memory be limited?",
            "--memory and the default 512 MiB do not hold: run says so, and goes on without", |case| cgroups::limit(case, "memory");
        "cgroup-cpu" Never false "cpu limit", "Can a group's CPU time be limited?",
            "--cpus and the default of 1 CPU do not hold: run says so, and goes on without", |case| cgroups::limit(case, "cpu");
        "cgroup-pids" Never false "pids limit", "Can a group's processes be limited?",
            "--pids-limit does not hold, as run says: a fork bomb inside is one outside", |case| cgroups::limit(case, "pids");
        "cgroup-devices" Never false "device rules", "Can a group's devices be limited?",
            "a container's root that can make device nodes can use them", cgroups::devices;
        "cgroup-freeze" Never false "freeze", "Can a group be frozen?",
            "no stages freeze and thaw", cgroups::freeze;
        "cgroup-clone-into" Never false "CLONE_INTO_CGROUP", "Can a process begin its life in a group (Linux 5.7)?",
            "it is moved after, which waits 11 to 15 ms in the kernel", cgroups::clone_into;
    }
    "files" {
        "mount-tmpfs" Always true "tmpfs", "Can a tmpfs be mounted?",
            "no /dev, /dev/shm and --tmpfs", files::tmpfs;
        "mount-proc" Always true "proc", "Can /proc be mounted in a PID namespace of its own?",
            "ps shows nothing inside", files::proc;
        "mount-sysfs" Always true "sysfs", "Can /sys be mounted in a network namespace of its own?",
            "no /sys inside", files::sysfs;
        "mount-mqueue" Always true "mqueue", "Can /dev/mqueue be mounted?",
            "no POSIX message queues inside", files::mqueue;
        "mount-devpts" Always true "devpts and a pty", "Can a devpts of its own be mounted, and a pty opened in it?",
            "no terminal inside", files::devpts;
        "overlay" Always true "overlay", "Can layers be put together, where images are kept?",
            "no layered image; --rootfs DIR is left", files::overlay;
        "overlay-tmpfs" Never true "…with a tmpfs above", "Can the upper layer be on a tmpfs?",
            "nothing that learnctr needs, but a way out where the other one is refused", files::overlay_tmpfs;
        "overlay-userns" Never false "…in a user namespace", "Can layers be put together in a user namespace (Linux 5.11)?",
            "--userns and ordinary users have no layered image", files::overlay_userns;
        "pivot-root" Always true "pivot_root", "Can the root be changed for good?",
            "--chroot is left, out of which root gets", files::pivot_root;
        "mknod" Never true "device nodes", "Can device nodes be made?",
            "the host's nodes are bind-mounted instead", files::mknod;
        "pseudo-terminal" Never false "a pty of the host's", "Can a pty be opened?",
            "learnctr step has no terminal for the shell inside", files::pseudo_terminal;
    }
    "network" {
        "loopback" Always true "loopback", "Can lo be set up in a network namespace?",
            "nothing listens inside", network::loopback;
        "veth" Never true "veth", "Can a pair of virtual Ethernet devices be made?",
            "--network veth is not there", network::veth;
        "bridge" Never true "bridge", "Can a bridge be made?",
            "containers are linked to the host, not to each other", network::bridge;
        "nftables" Never true "nftables", "Does nf_tables answer, and is there nft?",
            "no address translation: the container reaches the host, not what is beyond", network::nftables;
    }
    "security" {
        "capabilities" Never false "capabilities", "Does root here have all capabilities?",
            "what asks for a missing one is refused, and the container cannot be given it",
            security::capabilities;
        "no-new-privs" Never false "no_new_privs", "Can setuid programs be kept from giving privilege?",
            "--security-opt no-new-privileges is refused", security::no_new_privs;
        "seccomp-filter" Always false "seccomp filter", "Can a seccomp filter be loaded?",
            "each system call is open to the container", security::seccomp_filter;
        "seccomp-actions" Never false "seccomp actions", "Which actions may a filter take?",
            "profiles that ask for a missing one are refused", security::seccomp_actions;
        "session-keyring" Never false "session keyring", "Can a session keyring of its own be made?",
            "the container shares the keys of the session that started it", security::keyring;
        "lsm" Never false "security modules", "Which security modules run, and what do they call us?",
            "nothing by itself", security::modules;
    }
    "system calls" {
        "openat2" Always false "openat2", "Can a path be kept below a root (Linux 5.6)?",
            "nothing is built: a symlink of the image could lead a mount out of it", calls::openat2;
        "close-range" Never false "close_range", "Can all descriptors be closed at once (Linux 5.9; CLOEXEC: 5.11)?",
            "they are closed one by one", calls::close_range;
        "clone3" Never false "clone3", "Is clone3 there (Linux 5.3)?",
            "clone is used; not straight into a group", calls::clone3;
        "pidfd" Never false "pidfd", "Can a process be held by a descriptor (Linux 5.3)?",
            "a signal may reach another process that got the same number", calls::pidfd;
        "sealed-memfd" Never false "sealed memfd", "Can a file in memory be sealed?",
            "the host's binary is bind-mounted read-only instead", calls::memfd;
        "mount-setattr" Never true "fsopen, mount_setattr", "Can a mount be made by its descriptor (Linux 5.2; attributes: 5.12)?",
            "mounts are made by path, and remounted for each attribute", calls::detached_mount;
    }
}
