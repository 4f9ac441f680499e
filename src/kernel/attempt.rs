//! Which calls does the doctor try? Each is written down in strace's grammar by [`call`]; they are made in
//! a [`super::trial`] only, so what they do to their process ends with it.
//!
//! Next: [`net`] and [`modern`], and `crate::doctor`, which puts them together.

pub mod modern;
pub mod net;

use super::call::call;
use super::{Errno, trial};
use std::ffi::CString;
use std::fmt::Arguments;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A bit with its name in the kernel's headers.
pub type Flag = (&'static str, u64);

macro_rules! flags {
    ($($name:ident)*) => { $(pub const $name: Flag = (stringify!($name), libc::$name as u64);)* };
}
flags!(CLONE_NEWNS CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWPID CLONE_NEWNET CLONE_NEWUSER CLONE_NEWCGROUP
    CLONE_NEWTIME MS_REC MS_PRIVATE MS_BIND MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC);

fn bits(flags: &[Flag]) -> u64 {
    flags.iter().fold(0, |all, (_, bit)| all | bit)
}

fn names(flags: &[Flag]) -> String {
    let names: Vec<&str> = flags.iter().map(|(name, _)| *name).collect();
    if names.is_empty() { "0".into() } else { names.join("|") }
}

fn c(text: &Path) -> Result<CString, Errno> {
    CString::new(text.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// One system call with its arguments as the kernel takes them.
///
/// # Safety
/// Each argument that the call takes as an address points to what the call reads or writes there, and it
/// stays there until the call returns.
unsafe fn raw(name: &str, args: Arguments, number: libc::c_long, values: &[usize]) -> Result<usize, Errno> {
    let value = |index: usize| values.get(index).copied().unwrap_or(0);
    call(name, args, || {
        // SAFETY: the caller's; arguments beyond those the call takes are not looked at.
        let answer =
            unsafe { libc::syscall(number, value(0), value(1), value(2), value(3), value(4), value(5)) };
        usize::try_from(answer).map_err(|_| Errno::last())
    })
}

/// unshare(2)
pub fn unshare(flags: &[Flag]) -> Result<(), Errno> {
    // SAFETY: unshare takes no address.
    unsafe { raw("unshare", format_args!("{}", names(flags)), libc::SYS_unshare, &[bits(flags) as usize]) }?;
    Ok(())
}

/// mount(2); an empty `kind` or `data` is NULL.
pub fn mount(source: &Path, target: &Path, kind: &str, flags: &[Flag], data: &str) -> Result<(), Errno> {
    let (from, to) = (c(source)?, c(target)?);
    let (fstype, options) = (c(Path::new(kind))?, c(Path::new(data))?);
    let quoted = |text: &str| if text.is_empty() { "NULL".to_owned() } else { format!("{text:?}") };
    let address = |text: &CString| if text.is_empty() { 0 } else { text.as_ptr() as usize };
    let values = [
        from.as_ptr() as usize,
        to.as_ptr() as usize,
        address(&fstype),
        bits(flags) as usize,
        address(&options),
    ];
    let args = format_args!("{source:?}, {target:?}, {}, {}, {}", quoted(kind), names(flags), quoted(data));
    // SAFETY: the four strings end in NUL and live until the end of this function.
    unsafe { raw("mount", args, libc::SYS_mount, &values) }?;
    Ok(())
}

/// A mount namespace of our own, from which no mount gets out; as an ordinary user in a user namespace.
pub fn private_mounts() -> Result<(), Errno> {
    unshare(&[CLONE_NEWNS])?;
    mount(Path::new("none"), Path::new("/"), "", &[MS_REC, MS_PRIVATE], "")
}

/// A user namespace in which our own id is 0, as anybody may map it (user_namespaces(7)).
pub fn user_namespace(uid: u32, gid: u32) -> Result<(), Errno> {
    unshare(&[CLONE_NEWUSER])?;
    write(Path::new("/proc/self/setgroups"), "deny")?;
    write(Path::new("/proc/self/gid_map"), &format!("0 {gid} 1"))?;
    write(Path::new("/proc/self/uid_map"), &format!("0 {uid} 1"))
}

/// Become an ordinary user for good.
pub fn become_user(uid: u32, gid: u32) -> Result<(), Errno> {
    call("setgroups", format_args!("0, []"), || rustix::thread::set_thread_groups(&[]))?;
    let (user, group) = (uid as usize, gid as usize);
    // SAFETY: neither call takes an address. That they act on one thread only is no harm: there is one.
    unsafe {
        raw("setresgid", format_args!("{gid}, {gid}, {gid}"), libc::SYS_setresgid, &[group; 3])?;
        raw("setresuid", format_args!("{uid}, {uid}, {uid}"), libc::SYS_setresuid, &[user; 3])?;
    }
    // A change of user makes /proc/self root's, until exec; without exec it has to be said.
    let dumpable = rustix::process::DumpableBehavior::Dumpable;
    call("prctl", format_args!("PR_SET_DUMPABLE, 1"), || rustix::process::set_dumpable_behavior(dumpable))
}

/// open(2) for writing and write(2), once; the file is named as `strace -y` does it.
pub fn write(path: &Path, text: &str) -> Result<(), Errno> {
    let open = || std::fs::OpenOptions::new().write(true).open(path).map(OwnedFd::from);
    let file = call("openat", format_args!("AT_FDCWD, {path:?}, O_WRONLY|O_CLOEXEC"), open)?;
    let number = file.as_raw_fd();
    let mut file = std::fs::File::from(file);
    call("write", format_args!("{number}<{}>, {text:?}, {}", path.display(), text.len()), || {
        file.write(text.as_bytes())
    })?;
    Ok(())
}

/// mkdir(2)
pub fn mkdir(path: &Path) -> Result<(), Errno> {
    call("mkdir", format_args!("{path:?}, 0777"), || std::fs::create_dir(path))
}

/// chdir(2)
pub fn chdir(path: &Path) -> Result<(), Errno> {
    call("chdir", format_args!("{path:?}"), || std::env::set_current_dir(path))
}

/// rmdir(2)
pub fn rmdir(path: &Path) -> Result<(), Errno> {
    call("rmdir", format_args!("{path:?}"), || std::fs::remove_dir(path))
}

/// pivot_root(2), as a container does it: into `root`, and the old one let go.
pub fn pivot_root(root: &Path) -> Result<(), Errno> {
    chdir(root)?;
    call("pivot_root", format_args!(r#"".", ".""#), || rustix::process::pivot_root(".", "."))?;
    call("umount2", format_args!(r#"".", MNT_DETACH"#), || {
        rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH)
    })
}

/// mknod(2) of a node like /dev/null, opened after: a file system may be mounted without devices.
pub fn null_device(path: &Path) -> Result<(), Errno> {
    let node = c(path)?;
    let (mode, device) = (libc::S_IFCHR | 0o666, libc::makedev(1, 3));
    let values = [libc::AT_FDCWD as usize, node.as_ptr() as usize, mode as usize, device as usize];
    let args = format_args!("AT_FDCWD, {path:?}, S_IFCHR|0666, makedev(0x1, 0x3)");
    // SAFETY: the path ends in NUL and lives until the end of this function.
    unsafe { raw("mknodat", args, libc::SYS_mknodat, &values) }?;
    write(path, "x")
}

/// A pair of a pseudo-terminal (pty(7)), by its descriptor as a container's has to be opened.
pub fn pseudo_terminal(ptmx: &Path) -> Result<(), Errno> {
    let args = format_args!("AT_FDCWD, {ptmx:?}, O_RDWR|O_NOCTTY|O_CLOEXEC");
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let leader = call("openat", args, || rustix::fs::open(ptmx, flags, rustix::fs::Mode::empty()))?;
    let number = leader.as_raw_fd();
    call("ioctl", format_args!("{number}, TIOCSPTLCK, [0]"), || rustix::pty::unlockpt(&leader))?;
    call("ioctl", format_args!("{number}, TIOCGPTPEER, O_RDWR|O_NOCTTY"), || {
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        rustix::pty::ioctl_tiocgptpeer(&leader, flags)
    })?;
    Ok(())
}

/// prctl(2) PR_SET_NO_NEW_PRIVS
pub fn no_new_privs() -> Result<(), Errno> {
    let args = format_args!("PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0");
    call("prctl", args, || rustix::thread::set_no_new_privs(true))
}

/// seccomp(2): a filter that allows everything.
pub fn seccomp_filter() -> Result<(), Errno> {
    let mut filter = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    let program = libc::sock_fprog { len: 1, filter: filter.as_mut_ptr() };
    let values = [libc::SECCOMP_SET_MODE_FILTER as usize, 0, &raw const program as usize];
    let args = format_args!("SECCOMP_SET_MODE_FILTER, 0, {{len=1, filter=[BPF_RET SECCOMP_RET_ALLOW]}}");
    // SAFETY: the program points to its one instruction; both live until the end of this function.
    unsafe { raw("seccomp", args, libc::SYS_seccomp, &values) }?;
    Ok(())
}

/// seccomp(2) SECCOMP_GET_ACTION_AVAIL
pub fn seccomp_action(name: &str, action: u32) -> Result<(), Errno> {
    let values = [libc::SECCOMP_GET_ACTION_AVAIL as usize, 0, &raw const action as usize];
    let args = format_args!("SECCOMP_GET_ACTION_AVAIL, 0, [{name}]");
    // SAFETY: the call reads the four bytes of `action`, which lives until it returns.
    unsafe { raw("seccomp", args, libc::SYS_seccomp, &values) }?;
    Ok(())
}

/// keyctl(2): a new session keyring.
pub fn session_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    // SAFETY: a NULL name is an unnamed keyring; nothing is read.
    unsafe {
        raw(
            "keyctl",
            format_args!("KEYCTL_JOIN_SESSION_KEYRING, NULL"),
            libc::SYS_keyctl,
            &[KEYCTL_JOIN_SESSION_KEYRING, 0],
        )
    }?;
    Ok(())
}

/// bpf(2): a program that decides on devices in a group of version 2; loaded, not attached.
pub fn device_program() -> Result<(), Errno> {
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log: [u64; 4],
    }
    const CGROUP_DEVICE: u32 = 15;
    // r0 = 1; exit
    let instructions: [u64; 2] = [0x0000_0001_0000_00b7, 0x95];
    let load = Load {
        kind: CGROUP_DEVICE,
        count: 2,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log: [0; 4],
    };
    let values = [5, &raw const load as usize, size_of::<Load>()];
    let args = format_args!("BPF_PROG_LOAD, {{prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=2}}");
    // SAFETY: `load` points to two instructions and to a string that ends in NUL; all live until the call
    // returns. What it returns is a descriptor that is nobody else's.
    unsafe { raw("bpf", args, libc::SYS_bpf, &values).map(|fd| OwnedFd::from_raw_fd(fd as i32)) }?;
    Ok(())
}

/// A process that waits while it is looked at, in the namespaces that `enter` makes; `look` gets its pid.
pub fn with_process(
    enter: impl FnOnce() -> Result<(), Errno>,
    look: impl FnOnce(u32) -> Result<(), Errno>,
) -> Result<(), Errno> {
    trial::Waiting::start(enter).and_then(|waiting| look(waiting.pid()))
}
