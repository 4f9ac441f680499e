//! Which capabilities does this process have, and how does it give them up? capabilities(7).
//!
//! Next: `seccomp`.

use super::call::call;
use super::{Errno, check, process};
use crate::step::CapSets;

/// The kernel's last capability: PR_CAPBSET_READ answers EINVAL past it.
pub fn last() -> u32 {
    (0..64).take_while(|cap| process::in_bounding(*cap).is_ok()).last().unwrap_or(0)
}

/// `CAP_CHOWN`, or `CAP_63` for one that this build does not know.
pub fn name(number: u32) -> String {
    caps::all()
        .into_iter()
        .find(|cap| u32::from(cap.index()) == number)
        .map_or_else(|| format!("CAP_{number}"), |cap| cap.to_string())
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// capget(2) of this process.
pub fn get() -> Result<CapSets, Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 takes a header and two data elements, both of the kernel's layout.
    check(unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) })?;
    let both = |pick: fn(&Data) -> u32| u64::from(pick(&data[0])) | u64::from(pick(&data[1])) << 32;
    let bounding =
        (0..64).filter(|cap| process::in_bounding(*cap) == Ok(true)).fold(0, |set, cap| set | 1 << cap);
    Ok(CapSets {
        bounding,
        permitted: both(|d| d.permitted),
        effective: both(|d| d.effective),
        inheritable: both(|d| d.inheritable),
        ambient: 0,
    })
}

/// capset(2) of permitted, effective and inheritable.
pub fn set(sets: &CapSets) -> Result<(), Errno> {
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    call(
        "capset",
        format_args!(
            "{{version=_LINUX_CAPABILITY_VERSION_3, pid=0}}, {{effective={:#x}, permitted={:#x}, inheritable={:#x}}}",
            sets.effective, sets.permitted, sets.inheritable
        ),
        || {
            // SAFETY: as in get; the kernel only reads.
            check(unsafe { libc::syscall(libc::SYS_capset, &header, data.as_ptr()) }).map(|_| ())
        },
    )
}

/// Drop every capability of the bounding set that is not kept; it needs CAP_SETPCAP, so it comes first.
pub fn bound(keep: u64) -> Result<(), Errno> {
    for cap in (0..64).filter(|cap| keep >> cap & 1 == 0) {
        match process::in_bounding(cap) {
            Ok(true) => process::drop_bounding(cap)?,
            Ok(false) => {}
            // Past the kernel's last one.
            Err(_) => break,
        }
    }
    Ok(())
}
