//! What are a flag word's bits called? Tables of the kernel's headers, one for each call that takes flags.
//!
//! Next: the wrappers that print their arguments with them.

use super::call::lazy;
use std::fmt::Display;

/// A table of flag names with their bits.
pub type Names = &'static [(&'static str, u64)];

macro_rules! table {
    ($name:ident, $doc:literal, $($flag:ident)*) => {
        #[doc = $doc]
        pub const $name: Names = &[$((stringify!($flag), libc::$flag as u64)),*];
    };
}

table!(MOUNT, "mount(2); include/uapi/linux/mount.h",
    MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOATIME
    MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE MS_SLAVE MS_SHARED
    MS_RELATIME MS_I_VERSION MS_STRICTATIME MS_LAZYTIME);
table!(CLONE, "clone(2), clone3(2), unshare(2); include/uapi/linux/sched.h",
    CLONE_NEWUSER CLONE_NEWNS CLONE_NEWPID CLONE_NEWNET CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWCGROUP
    CLONE_NEWTIME CLONE_PARENT CLONE_PIDFD CLONE_VM CLONE_FS CLONE_FILES CLONE_VFORK);
table!(UMOUNT, "umount2(2)", MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW);
table!(OPEN, "open(2)",
    O_WRONLY O_RDWR O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_PATH);
table!(RESOLVE, "openat2(2)",
    RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT RESOLVE_CACHED);

/// clone3(2) alone has room for it: it is the 34th bit.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `MS_NOSUID|MS_NODEV`, unknown bits in hexadecimal, `0` for none.
pub fn names(table: Names, bits: u64) -> impl Display {
    lazy(move |f| {
        let mut rest = bits;
        let mut between = "";
        for (name, bit) in table {
            if *bit != 0 && rest & bit == *bit {
                write!(f, "{between}{name}")?;
                between = "|";
                rest &= !bit;
            }
        }
        match rest {
            0 if bits == 0 => f.write_str("0"),
            0 => Ok(()),
            rest => write!(f, "{between}{rest:#x}"),
        }
    })
}
