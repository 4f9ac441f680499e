//! How are paths opened, made and mounted? Inside a root file system always by openat2(2) with
//! RESOLVE_IN_ROOT first and by descriptor then, so that neither a symlink in an image nor a race leads
//! a mount or a write outside (CVE-2021-30465).
//!
//! Next: `process`, which changes what the process is.

use super::call::{call, lazy};
use super::flags::{self, names};
use super::{Errno, check, cstr};
use crate::step::{option, text};
use std::ffi::CString;
use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

/// A descriptor with the path it was opened by, for print: `7</proc>` as `strace -y` shows it.
#[derive(Debug)]
pub struct Opened {
    pub fd: OwnedFd,
    pub label: String,
}

impl Opened {
    fn new(fd: OwnedFd, path: &Path) -> Opened {
        Opened { fd, label: path.to_string_lossy().into_owned() }
    }

    /// The name under which calls that want a path reach the opened object itself.
    pub fn magic(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }
}

impl std::fmt::Display for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}<{}>", self.fd.as_raw_fd(), text(&self.label))
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn quoted(path: &Path) -> impl Display {
    lazy(move |f| write!(f, "\"{}\"", text(&path.to_string_lossy())))
}

/// open(2) on a path of the host.
pub fn open(path: &Path, open_flags: i32) -> Result<Opened, Errno> {
    let name = cstr(path)?;
    let open_flags = open_flags | libc::O_CLOEXEC;
    let fd = call(
        "openat",
        format_args!("AT_FDCWD, {}, {}", quoted(path), names(flags::OPEN, open_flags as u64)),
        || {
            // SAFETY: name is a C string that outlives the call.
            let fd = check(unsafe { libc::openat(libc::AT_FDCWD, name.as_ptr(), open_flags) } as i64)?;
            Ok::<_, Errno>(owned(fd))
        },
    )?;
    Ok(Opened::new(fd, path))
}

fn owned(fd: i64) -> OwnedFd {
    // SAFETY: every caller passes a descriptor that the kernel has just made and nobody else holds.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// openat2(2) with RESOLVE_IN_ROOT: absolute symlinks and `..` stay inside `root`. Magic links
/// (/proc/PID/root and the like) are refused, as they leave it whatever the flags.
pub fn open_in(root: &Opened, path: &Path, open_flags: i32, mode: u32) -> Result<Opened, Errno> {
    resolve(root, path, open_flags, mode, libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS)
}

/// openat2(2) below a procfs, where nothing may be a symlink or another mount (CVE-2025-52881).
pub fn open_below_proc(proc: &Opened, path: &Path, open_flags: i32) -> Result<Opened, Errno> {
    let strict = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_XDEV;
    resolve(proc, path, open_flags, 0, strict)
}

fn resolve(root: &Opened, path: &Path, open_flags: i32, mode: u32, resolve: u64) -> Result<Opened, Errno> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
    let name = cstr(relative)?;
    let open_flags = open_flags | libc::O_CLOEXEC;
    // SAFETY: open_how is three integers; all zero is a valid value, and new fields must be zero.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = open_flags as u64;
    how.mode = u64::from(mode);
    how.resolve = resolve;
    let fd = call(
        "openat2",
        format_args!(
            "{root}, {}, {{flags={}, mode={mode:#o}, resolve={}}}, 24",
            quoted(relative),
            names(flags::OPEN, open_flags as u64),
            names(flags::RESOLVE, resolve)
        ),
        || {
            // SAFETY: name and how outlive the call; the size is that of how.
            let fd = check(unsafe {
                libc::syscall(
                    libc::SYS_openat2,
                    root.fd.as_raw_fd(),
                    name.as_ptr(),
                    &how as *const libc::open_how,
                    std::mem::size_of::<libc::open_how>(),
                )
            })?;
            Ok::<_, Errno>(owned(fd))
        },
    )?;
    Ok(Opened::new(fd, path))
}

/// What an opened object is: type and mode, device number, owner (fstat(2)).
pub struct Stat {
    pub mode: u32,
    pub rdev: (u32, u32),
    pub dev: u64,
    pub ino: u64,
}

impl Stat {
    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }
    pub fn is_symlink(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }
    /// A node of this kind, with this number where the kind has one.
    fn is_node(&self, kind: char, device: (u32, u32)) -> bool {
        let expected = node_type(kind).0;
        self.mode & libc::S_IFMT == expected && (expected == libc::S_IFIFO || self.rdev == device)
    }
    /// A character device with this number.
    pub fn is_char(&self, major: u32, minor: u32) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFCHR && self.rdev == (major, minor)
    }
}

pub fn fstat(opened: &Opened) -> Result<Stat, Errno> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    call("fstat", format_args!("{opened}, {{…}}"), || {
        // SAFETY: the buffer is a stat.
        check(unsafe { libc::fstat(opened.fd.as_raw_fd(), stat.as_mut_ptr()) } as i64).map(|_| ())
    })?;
    // SAFETY: fstat succeeded, so the kernel filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(Stat {
        mode: stat.st_mode,
        rdev: (libc::major(stat.st_rdev), libc::minor(stat.st_rdev)),
        dev: stat.st_dev,
        ino: stat.st_ino,
    })
}

/// Refuses what is not the file system it has to be (fstatfs(2)): EIO stands for "not the real one".
pub fn must_be_procfs(opened: &Opened) -> Result<(), Errno> {
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::uninit();
    call("fstatfs", format_args!("{opened}, {{f_type=PROC_SUPER_MAGIC}}"), || {
        // SAFETY: the buffer is a statfs.
        check(unsafe { libc::fstatfs(opened.fd.as_raw_fd(), stat.as_mut_ptr()) } as i64)?;
        // SAFETY: fstatfs succeeded, so the kernel filled it.
        let stat = unsafe { stat.assume_init() };
        if stat.f_type == libc::PROC_SUPER_MAGIC { Ok(()) } else { Err(Errno::EIO) }
    })
}

pub fn mkdir(parent: &Opened, name: &Path, mode: u32) -> Result<(), Errno> {
    let path = cstr(name)?;
    call("mkdirat", format_args!("{parent}, {}, {mode:#o}", quoted(name)), || {
        // SAFETY: path outlives the call.
        check(unsafe { libc::mkdirat(parent.fd.as_raw_fd(), path.as_ptr(), mode) } as i64).map(|_| ())
    })
}

pub fn mkdir_host(path: &Path, mode: u32) -> Result<(), Errno> {
    let name = cstr(path)?;
    call("mkdirat", format_args!("AT_FDCWD, {}, {mode:#o}", quoted(path)), || {
        // SAFETY: name outlives the call.
        check(unsafe { libc::mkdirat(libc::AT_FDCWD, name.as_ptr(), mode) } as i64).map(|_| ())
    })
}

pub fn rmdir(path: &Path) -> Result<(), Errno> {
    let name = cstr(path)?;
    call("rmdir", format_args!("{}", quoted(path)), || {
        // SAFETY: name outlives the call.
        check(unsafe { libc::rmdir(name.as_ptr()) } as i64).map(|_| ())
    })
}

pub fn symlink(target: &str, parent: &Opened, name: &Path) -> Result<(), Errno> {
    let (to, path) = (cstr(Path::new(target))?, cstr(name)?);
    call("symlinkat", format_args!("\"{}\", {parent}, {}", text(target), quoted(name)), || {
        // SAFETY: both strings outlive the call.
        check(unsafe { libc::symlinkat(to.as_ptr(), parent.fd.as_raw_fd(), path.as_ptr()) } as i64)
            .map(|_| ())
    })
}

fn node_type(kind: char) -> (u32, &'static str) {
    match kind {
        'b' => (libc::S_IFBLK, "S_IFBLK"),
        'p' => (libc::S_IFIFO, "S_IFIFO"),
        _ => (libc::S_IFCHR, "S_IFCHR"),
    }
}

/// Whether what is there of this name is just that node.
pub fn is_node(parent: &Opened, name: &Path, kind: char, device: (u32, u32)) -> Result<bool, Errno> {
    let there = open_in(parent, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    Ok(fstat(&there)?.is_node(kind, device))
}

pub fn mknod(parent: &Opened, name: &Path, kind: char, device: (u32, u32), mode: u32) -> Result<(), Errno> {
    let path = cstr(name)?;
    let (bits, label) = node_type(kind);
    let number = libc::makedev(device.0, device.1);
    call(
        "mknodat",
        format_args!("{parent}, {}, {label}|{mode:#o}, makedev({}, {})", quoted(name), device.0, device.1),
        || {
            // SAFETY: path outlives the call.
            check(unsafe { libc::mknodat(parent.fd.as_raw_fd(), path.as_ptr(), bits | mode, number) } as i64)
                .map(|_| ())
        },
    )
}

/// chmod and chown of something just made. By a descriptor of the thing itself: where another container has the
/// directory too, a symlink could stand at the name by now, and fchmodat(2) would follow it to the host's file.
pub fn dress(parent: &Opened, name: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<(), Errno> {
    let made = open_in(parent, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    let magic = cstr(Path::new(&made.magic()))?;
    call(
        "fchmodat",
        format_args!("AT_FDCWD, \"{}\"<{}>, {mode:#o}", made.magic(), text(&made.label)),
        || {
            // SAFETY: magic outlives the call.
            check(unsafe { libc::fchmodat(libc::AT_FDCWD, magic.as_ptr(), mode, 0) } as i64).map(|_| ())
        },
    )?;
    let Some((uid, gid)) = owner else { return Ok(()) };
    call("fchownat", format_args!("{made}, \"\", {uid}, {gid}, AT_EMPTY_PATH"), || {
        // SAFETY: the descriptor is open and the path an empty C string.
        check(unsafe { libc::fchownat(made.fd.as_raw_fd(), c"".as_ptr(), uid, gid, libc::AT_EMPTY_PATH) }
            as i64)
        .map(|_| ())
    })
}

pub fn chown(path: &Path, uid: u32, gid: u32) -> Result<(), Errno> {
    let name = cstr(path)?;
    call("lchown", format_args!("{}, {uid}, {gid}", quoted(path)), || {
        // SAFETY: name outlives the call.
        check(unsafe { libc::lchown(name.as_ptr(), uid, gid) } as i64).map(|_| ())
    })
}

/// Write the whole text with one write(2): /proc and cgroup files take a value in one piece or not at all.
pub fn write_all(opened: &Opened, text: &str) -> Result<(), Errno> {
    call("write", format_args!("{opened}, {}, {}", option(Some(text)), text.len()), || {
        // SAFETY: the buffer is as long as said.
        let wrote =
            check(unsafe { libc::write(opened.fd.as_raw_fd(), text.as_ptr().cast(), text.len()) as i64 })?;
        if wrote as usize == text.len() { Ok(text.len()) } else { Err(Errno::EIO) }
    })
    .map(|_| ())
}

/// mount(2).
pub fn mount(
    source: Option<&str>,
    target: &str,
    label: impl Display,
    fstype: Option<&str>,
    mount_flags: u64,
    data: Option<&str>,
) -> Result<(), Errno> {
    let text = |value: Option<&str>| value.map(|v| CString::new(v).map_err(|_| Errno::EINVAL)).transpose();
    let (from, to, kind, options) = (text(source)?, text(Some(target))?, text(fstype)?, text(data)?);
    let pointer = |value: &Option<CString>| value.as_ref().map_or(std::ptr::null(), |v| v.as_ptr());
    call(
        "mount",
        format_args!(
            "{}, \"{target}\"{label}, {}, {}, {}",
            option(source),
            option(fstype),
            names(flags::MOUNT, mount_flags),
            option(data)
        ),
        || {
            // SAFETY: each pointer is null or a C string that outlives the call.
            check(unsafe {
                libc::mount(
                    pointer(&from),
                    pointer(&to),
                    pointer(&kind),
                    mount_flags,
                    pointer(&options).cast(),
                )
            } as i64)
            .map(|_| ())
        },
    )
}

/// mount(2) on something opened, by its descriptor.
pub fn mount_on(
    source: Option<&str>,
    target: &Opened,
    fstype: Option<&str>,
    mount_flags: u64,
    data: Option<&str>,
) -> Result<(), Errno> {
    let label = lazy(|f| write!(f, "<{}>", text(&target.label)));
    mount(source, &target.magic(), label, fstype, mount_flags, data)
}

pub fn umount(target: &Path, umount_flags: u64) -> Result<(), Errno> {
    let name = cstr(target)?;
    call("umount2", format_args!("{}, {}", quoted(target), names(flags::UMOUNT, umount_flags)), || {
        // SAFETY: name outlives the call.
        check(unsafe { libc::umount2(name.as_ptr(), umount_flags as i32) } as i64).map(|_| ())
    })
}

/// open_tree(2) with OPEN_TREE_CLONE: a copy of one mount, without what is mounted on it, held by the
/// descriptor alone.
pub fn clone_mount(of: &Opened) -> Result<Opened, Errno> {
    let open_flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH as u32;
    let fd = call(
        "open_tree",
        format_args!("{of}, \"\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH"),
        || {
            // SAFETY: the path is an empty C string.
            let fd = check(unsafe {
                libc::syscall(libc::SYS_open_tree, of.fd.as_raw_fd(), c"".as_ptr(), open_flags)
            })?;
            Ok::<_, Errno>(owned(fd))
        },
    )?;
    Ok(Opened { fd, label: of.label.clone() })
}

/// mount_setattr(2), Linux 5.12.
pub fn mount_setattr(target: &Opened, set: u64, clear: u64, recursive: bool) -> Result<(), Errno> {
    #[repr(C)]
    struct MountAttr {
        attr_set: u64,
        attr_clr: u64,
        propagation: u64,
        userns_fd: u64,
    }
    let attr = MountAttr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    let recurse = if recursive { libc::AT_RECURSIVE } else { 0 };
    let shown = if recursive { "|AT_RECURSIVE" } else { "" };
    call(
        "mount_setattr",
        format_args!("{target}, \"\", AT_EMPTY_PATH{shown}, {{attr_set={set:#x}, attr_clr={clear:#x}}}, 32"),
        || {
            // SAFETY: attr has the layout of struct mount_attr and the size said.
            check(unsafe {
                libc::syscall(
                    libc::SYS_mount_setattr,
                    target.fd.as_raw_fd(),
                    c"".as_ptr(),
                    libc::AT_EMPTY_PATH | recurse,
                    &attr as *const MountAttr,
                    std::mem::size_of::<MountAttr>(),
                )
            })
            .map(|_| ())
        },
    )
}

/// pivot_root(2) as pivot_root(".", "."): the old root ends up stacked on the new one, at the same place,
/// so that no directory for it is needed in the image.
pub fn pivot_root_here() -> Result<(), Errno> {
    call("pivot_root", format_args!("\".\", \".\""), || {
        // SAFETY: both are C strings.
        check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) }).map(|_| ())
    })
}

pub fn chroot_here() -> Result<(), Errno> {
    call("chroot", format_args!("\".\""), || {
        // SAFETY: a C string.
        check(unsafe { libc::chroot(c".".as_ptr()) } as i64).map(|_| ())
    })
}

pub fn chdir(path: &Path) -> Result<(), Errno> {
    let name = cstr(path)?;
    call("chdir", format_args!("{}", quoted(path)), || {
        // SAFETY: name outlives the call.
        check(unsafe { libc::chdir(name.as_ptr()) } as i64).map(|_| ())
    })
}

pub fn fchdir(to: &Opened) -> Result<(), Errno> {
    call("fchdir", format_args!("{to}"), || {
        // SAFETY: the descriptor is open.
        check(unsafe { libc::fchdir(to.fd.as_raw_fd()) } as i64).map(|_| ())
    })
}

/// getcwd(2): "(unreachable)/…" when the directory is not below the root (CVE-2024-21626).
pub fn working_directory() -> Result<String, Errno> {
    let mut buffer = vec![0u8; libc::PATH_MAX as usize];
    let length = call("getcwd", format_args!("…"), || {
        // SAFETY: the buffer is as long as said; the raw call returns the length with the final NUL.
        check(unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) })
            .map(|n| n as usize)
    })?;
    buffer.truncate(length.saturating_sub(1));
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

/// Of statfs(2) and mount(2), Linux 5.10; the C library has no names for them.
const ST_NOSYMFOLLOW: u64 = 0x2000;
const MS_NOSYMFOLLOW: u64 = 0x100;
const ATIME: u64 = libc::MS_NOATIME | libc::MS_NODIRATIME | libc::MS_RELATIME | libc::MS_STRICTATIME;

pub const REMOUNT_BIND: u64 = libc::MS_REMOUNT | libc::MS_BIND;

/// The flags of a remount that sets some, takes some away, and leaves all others as they are.
pub fn kept_flags(opened: &Opened, set: u64, clear: u64) -> Result<u64, Errno> {
    let mut kept = mount_flags(opened)? & !clear;
    if (set | clear) & ATIME == 0 {
        // The kernel keeps how times of access are written where none of these is named.
        kept &= !ATIME;
    }
    if set & (libc::MS_RELATIME | libc::MS_STRICTATIME) != 0 {
        kept &= !libc::MS_NOATIME;
    }
    if clear & ATIME != 0 && (kept | set) & ATIME == 0 {
        kept |= libc::MS_RELATIME;
    }
    Ok(REMOUNT_BIND | kept | set)
}

/// The mount's own flags as mount(2) wants them (fstatfs(2) gives ST_*, whose low bits are the same).
pub fn mount_flags(opened: &Opened) -> Result<u64, Errno> {
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    call("fstatfs", format_args!("{opened}, {{…}}"), || {
        // SAFETY: the buffer is a statvfs, which the C library fills from fstatfs.
        check(unsafe { libc::fstatvfs(opened.fd.as_raw_fd(), stat.as_mut_ptr()) } as i64).map(|_| ())
    })?;
    // SAFETY: fstatvfs succeeded, so it is filled.
    let given = unsafe { stat.assume_init() }.f_flag;
    const SAME: u64 = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    const PAIRS: [(u64, u64); 4] = [
        (ST_NOSYMFOLLOW, MS_NOSYMFOLLOW),
        (libc::ST_NOATIME, libc::MS_NOATIME),
        (libc::ST_NODIRATIME, libc::MS_NODIRATIME),
        (libc::ST_RELATIME, libc::MS_RELATIME),
    ];
    Ok(PAIRS.iter().filter(|(st, _)| given & st != 0).fold(given & SAME, |flags, (_, ms)| flags | ms))
}

/// Create a file of the host's and write it, or write one that is still empty; it must not be there as a symlink.
/// It is not truncated: what follows a truncation ext4 writes to the disk at once (auto_da_alloc, ext4(5)).
pub fn create(path: &Path, text: &str) -> Result<(), Errno> {
    let name = cstr(path)?;
    let open_flags = libc::O_WRONLY | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let fd = call(
        "openat",
        format_args!("AT_FDCWD, {}, {}, 0644", quoted(path), names(flags::OPEN, open_flags as u64)),
        || {
            // SAFETY: name is a C string that outlives the call.
            let fd = check(unsafe { libc::openat(libc::AT_FDCWD, name.as_ptr(), open_flags, 0o644) } as i64)?;
            Ok::<_, Errno>(owned(fd))
        },
    )?;
    if text.is_empty() { Ok(()) } else { write_all(&Opened::new(fd, path), text) }
}
