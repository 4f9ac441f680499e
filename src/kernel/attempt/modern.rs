//! Which of the younger system calls are there? Each is made so that it does no harm; one that looks at its
//! arguments and refuses them (EINVAL, EFAULT) is there, one that is not gives ENOSYS.
//!
//! Next: `crate::doctor`.

use super::super::Errno;
use super::super::call::call;
use super::{c, raw};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// The 34th bit, so only clone3 has it; libc's constant is an int, in which it overflows.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// A descriptor that a call returned, so that it is closed.
///
/// # Safety
/// `fd` was just returned by the kernel as a new descriptor.
unsafe fn owned(fd: usize) -> OwnedFd {
    // SAFETY: the caller's.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// openat2(2) with RESOLVE_IN_ROOT.
pub fn openat2() -> Result<(), Errno> {
    let args = r#"AT_FDCWD, "/", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT}, 24"#;
    let how = [(libc::O_PATH | libc::O_CLOEXEC) as u64, 0, libc::RESOLVE_IN_ROOT];
    let values = [libc::AT_FDCWD as usize, c"/".as_ptr() as usize, how.as_ptr() as usize, size_of_val(&how)];
    // SAFETY: the path and the three words of `how` (struct open_how) live until the call returns.
    unsafe { raw("openat2", format_args!("{args}"), libc::SYS_openat2, &values).map(|fd| owned(fd)) }?;
    Ok(())
}

/// close_range(2) over descriptors that nobody has.
pub fn close_range() -> Result<(), Errno> {
    let last = u32::MAX as usize;
    let args = format_args!("~0U, ~0U, CLOSE_RANGE_CLOEXEC");
    // SAFETY: no address; the range holds no descriptor.
    unsafe { raw("close_range", args, libc::SYS_close_range, &[last, last, 4]) }?;
    Ok(())
}

/// pidfd_open(2) of this process, and pidfd_send_signal(2) of no signal to it.
pub fn pidfd() -> Result<(), Errno> {
    let pid = std::process::id();
    // SAFETY: neither call takes an address but a NULL siginfo; the descriptor is new.
    unsafe {
        let fd = raw("pidfd_open", format_args!("{pid}, 0"), libc::SYS_pidfd_open, &[pid as usize, 0])?;
        let fd = owned(fd);
        let number = fd.as_raw_fd();
        let args = format_args!("{number}, 0, NULL, 0");
        raw("pidfd_send_signal", args, libc::SYS_pidfd_send_signal, &[number as usize, 0, 0, 0])?;
    }
    Ok(())
}

/// clone3(2): a child that ends at once; in the group of version 2 whose directory is given, if one is.
pub fn clone3(group: Option<&Path>) -> Result<(), Errno> {
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
    // set_tid, set_tid_size, cgroup. The first version has eight words, and no cgroup.
    let mut words = [0u64; 11];
    words[4] = libc::SIGCHLD as u64;
    let directory = group.map(File::open).transpose()?;
    let mut size = 64;
    let mut text = "{flags=0, exit_signal=SIGCHLD}, 64".to_owned();
    if let (Some(directory), Some(path)) = (&directory, group) {
        words[0] = CLONE_INTO_CGROUP;
        words[10] = directory.as_raw_fd() as u64;
        size = 88;
        text = format!(
            "{{flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, cgroup={}<{}>}}, 88",
            words[10],
            path.display()
        );
    }
    let pid = call("clone3", format_args!("{text}"), || {
        // SAFETY: the words live until the call returns. Without CLONE_VM the child has its own copy of
        // our memory and goes on from here as after fork(2); it does nothing but end.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, words.as_ptr(), size as usize) };
        if pid == 0 {
            // SAFETY: no address; no exit handler runs.
            unsafe { libc::_exit(0) }
        }
        i32::try_from(pid).ok().filter(|pid| *pid > 0).ok_or_else(Errno::last)
    })?;
    // SAFETY: the child is ours and not waited for elsewhere; a NULL status is not written.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    Ok(())
}

/// memfd_create(2) that can be sealed, sealed.
pub fn sealed_memfd() -> Result<(), Errno> {
    use rustix::fs::{MemfdFlags, SealFlags};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = call("memfd_create", format_args!(r#""try", MFD_CLOEXEC|MFD_ALLOW_SEALING"#), || {
        rustix::fs::memfd_create("try", flags)
    })?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    let args = format_args!("{}, F_ADD_SEALS, F_SEAL_SEAL|…|F_SEAL_WRITE", file.as_raw_fd());
    call("fcntl", args, || rustix::fs::fcntl_add_seals(&file, seals))
}

/// fsopen(2) and fsmount(2) of a tmpfs that is attached nowhere, then mount_setattr(2) on it.
pub fn detached_mount() -> Result<(), Errno> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
    let context = call("fsopen", format_args!(r#""tmpfs", FSOPEN_CLOEXEC"#), || {
        rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)
    })?;
    let number = context.as_raw_fd();
    call("fsconfig", format_args!("{number}, FSCONFIG_CMD_CREATE, NULL, NULL, 0"), || {
        rustix::mount::fsconfig_create(&context)
    })?;
    let mount = call("fsmount", format_args!("{number}, FSMOUNT_CLOEXEC, 0"), || {
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    })?;
    let (number, nodev) = (mount.as_raw_fd(), libc::MOUNT_ATTR_NODEV);
    set_attributes(number, "{attr_set=MOUNT_ATTR_NODEV}", [nodev, 0, 0, 0])
}

/// An idmapped mount: a detached copy of `dir` that shows ids as the user namespace of `pid` maps them.
pub fn idmapped_mount(dir: &Path, pid: u32) -> Result<(), Errno> {
    let path = c(dir)?;
    let values = [
        libc::AT_FDCWD as usize,
        path.as_ptr() as usize,
        (libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC) as usize,
    ];
    let args = format_args!("AT_FDCWD, {dir:?}, OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC");
    // SAFETY: the path ends in NUL and lives until the call returns; the descriptor is new.
    let tree = unsafe { raw("open_tree", args, libc::SYS_open_tree, &values).map(|fd| owned(fd)) }?;
    let namespace = File::open(format!("/proc/{pid}/ns/user"))?;
    let fd = namespace.as_raw_fd() as u64;
    let text = format!("{{attr_set=MOUNT_ATTR_IDMAP, userns_fd={fd}</proc/{pid}/ns/user>}}");
    set_attributes(tree.as_raw_fd(), &text, [libc::MOUNT_ATTR_IDMAP, 0, 0, fd])
}

/// mount_setattr(2) on a mount by its descriptor; the words are those of struct mount_attr.
fn set_attributes(fd: i32, text: &str, words: [u64; 4]) -> Result<(), Errno> {
    let values = [
        fd as usize,
        c"".as_ptr() as usize,
        libc::AT_EMPTY_PATH as usize,
        words.as_ptr() as usize,
        size_of_val(&words),
    ];
    let args = format_args!("{fd}, \"\", AT_EMPTY_PATH, {text}, 32");
    // SAFETY: the empty path and the words live until the call returns.
    unsafe { raw("mount_setattr", args, libc::SYS_mount_setattr, &values) }?;
    Ok(())
}
