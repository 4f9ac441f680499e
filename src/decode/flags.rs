//! Which bits are in `a80425fb`, in `CLONE_NEWPID|CLONE_NEWNS`, in the flags of mount(2)? From a number to
//! names and back, with what a learner trips over said at the bit.
//!
//! Next: `ns`.

use crate::probes::{capabilities, signals};
use crate::spec::caps;
use crate::spec::mount::*;
use schemars::JsonSchema;
use serde::Serialize;

/// A number, and what each of its bits means.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Flags {
    /// As the kernel writes it: 16 digits for a capability set, `0x` before flags.
    pub hex: String,
    pub bits: Vec<Bit>,
    /// What holds for all of them together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Bit {
    /// The name of the man page; an unknown bit is named by its number.
    pub name: String,
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A bit of a table: name, value, what is worth knowing.
type Row = (&'static str, u64, &'static str);

/// A set of capabilities, given as hex with or without `0x`, or as names.
pub fn caps(text: &str) -> Result<Flags, String> {
    let names = |name: &str| {
        let known = caps::number(name).map(|bit| bit as u32);
        let bit = known.or_else(|| name.to_ascii_uppercase().strip_prefix("CAP_")?.parse().ok());
        bit.and_then(|bit| 1u64.checked_shl(bit))
    };
    let set = number(text, "capability", names)?;
    let bits = capabilities::names(set).into_iter().zip((0..64).filter(|bit| set >> bit & 1 == 1));
    let bits = bits.map(|(name, bit)| Bit {
        note: (bit >= caps::NAMES.len()).then(|| "unknown to learnctr: of a newer kernel, or none".into()),
        value: bit.to_string(),
        name,
    });
    let mut notes = Vec::new();
    if set == caps::DOCKER {
        notes.push("Docker's default".into());
    }
    if set & caps::DOCKER != set && set >> caps::NAMES.len() == 0 {
        let beyond = caps::names(set & !caps::DOCKER).len();
        notes.push(format!("{beyond} of them are not in Docker's default"));
    }
    Ok(Flags { hex: format!("{set:016x}"), bits: bits.collect(), notes })
}

/// Flags of clone(2), clone3(2), unshare(2).
pub fn clone(text: &str) -> Result<Flags, String> {
    let named = |name: &str| {
        let of_table = CLONE.iter().find(|(known, ..)| *known == name).map(|(_, bit, _)| *bit);
        // The low byte by its signal: SIGCHLD.
        of_table.or_else(|| (1..=64).find(|&n| signal(n).as_deref() == Some(name)))
    };
    let flags = number(text, "flag of clone(2)", named)?;
    let mut decoded = table(flags & !0xff, &CLONE);
    let low = flags & 0xff;
    if low & 0x80 != 0 {
        decoded.bits.insert(
            0,
            Bit {
                name: "CLONE_NEWTIME".into(),
                value: "0x80".into(),
                note: Some(
                    "for clone3(2) and unshare(2) only: in clone(2) this bit belongs to the exit signal"
                        .into(),
                ),
            },
        );
    }
    if low != 0 {
        let name = signal(low).unwrap_or_else(|| format!("exit signal {low}"));
        let note = match signal(low) {
            Some(_) => {
                "CSIGNAL, the low byte in clone(2): sent to the parent at exit; must be 0 in clone3(2)"
            }
            None => "CSIGNAL, the low byte in clone(2), is no signal",
        };
        // Its bit 0x80 alone is rather a namespace than a signal.
        if low != 0x80 {
            decoded.bits.insert(0, Bit { name, value: format!("{low:#x}"), note: Some(note.into()) });
        }
    }
    let has = |bits: u64| flags & bits == bits;
    let mut note = |text: &str| decoded.notes.push(text.to_owned());
    if flags >> 32 != 0 {
        note("bits beyond 32 reach the kernel by clone3(2) only");
    }
    if has(CLONE_NEWUSER) && flags & (CLONE_NEW & !CLONE_NEWUSER) != 0 {
        note("the user namespace is made first and owns the others, so no privilege is needed");
    } else if flags & CLONE_NEW & !CLONE_NEWUSER != 0 {
        note("without CLONE_NEWUSER this takes CAP_SYS_ADMIN");
    }
    for (bits, why) in CLONE_REFUSED {
        if has(bits) {
            note(why);
        }
    }
    decoded.hex = format!("{flags:#x}");
    Ok(decoded)
}

/// Flags of mount(2).
pub fn mount(text: &str) -> Result<Flags, String> {
    let named = |name: &str| {
        let short = format!("MS_{name}");
        MOUNT.iter().find(|(known, ..)| *known == name || *known == short).map(|(_, bit, _)| *bit)
    };
    let flags = number(text, "flag of mount(2)", named)?;
    // A magic number that once had to be there; the kernel still drops it.
    let magic = flags & 0xffff_0000 == 0xc0ed_0000;
    let bits = if magic { flags & 0xffff } else { flags };
    let mut decoded = table(bits, &MOUNT);
    decoded.hex = format!("{flags:#x}");
    if magic {
        decoded.notes.push("MS_MGC_VAL (0xc0ed0000) is in the upper half: the kernel takes it off".into());
    }
    let propagation = bits & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE);
    let has = |bit: u64| bits & bit != 0;
    // The order in which path_mount() of the kernel asks.
    let does = if has(MS_REMOUNT) && has(MS_BIND) {
        "changes the flags of one mount, not of its file system"
    } else if has(MS_REMOUNT) {
        "changes the flags and options of a file system that is mounted"
    } else if has(MS_BIND) {
        "makes a bind mount; it takes no other flag than MS_REC, so read-only needs a remount"
    } else if propagation.count_ones() > 1 {
        "EINVAL: one propagation type at a time"
    } else if propagation != 0 {
        "changes the propagation of a mount, with MS_REC and MS_SILENT as the only other flags"
    } else if has(MS_MOVE) {
        "moves a mount; its parent must not be shared (EINVAL)"
    } else {
        "mounts a file system"
    };
    decoded.notes.push(format!("mount(2) with it {does}"));
    Ok(decoded)
}

fn table(flags: u64, rows: &[Row]) -> Flags {
    let row = |bit: u64| {
        let known = rows.iter().find(|(_, value, _)| *value == bit);
        let name =
            known.map_or_else(|| format!("bit {}", bit.trailing_zeros()), |(name, ..)| (*name).to_owned());
        let note = known.map_or("unknown to learnctr", |(.., note)| note);
        Bit { name, value: format!("{bit:#x}"), note: (!note.is_empty()).then(|| note.to_owned()) }
    };
    let bits = (0..64).map(|n| 1u64 << n).filter(|bit| flags & bit != 0).map(row).collect();
    Flags { hex: format!("{flags:#x}"), bits, notes: Vec::new() }
}

/// The number that a text says: hex, or names with `,` or `|` between them.
fn number(text: &str, what: &str, named: impl Fn(&str) -> Option<u64>) -> Result<u64, String> {
    let text = text.trim();
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if !hex.is_empty() && hex.bytes().all(|c| c.is_ascii_hexdigit()) {
        return u64::from_str_radix(hex, 16).map_err(|_| format!("{text} has more than 64 bits"));
    }
    let one = |name: &str| {
        let name = name.trim();
        let bit = |name: &str| name.strip_prefix("bit ")?.parse().ok().and_then(|bit| 1u64.checked_shl(bit));
        named(name)
            .or_else(|| named(&name.to_ascii_uppercase()))
            .or_else(|| bit(name))
            .or_else(|| u64::from_str_radix(name.strip_prefix("0x")?, 16).ok())
            .ok_or_else(|| format!("{name:?} is no {what}; give hex, or names with commas between them"))
    };
    text.split([',', '|']).map(one).try_fold(0, |all, bit| Ok(all | bit?))
}

fn signal(number: u64) -> Option<String> {
    let mask = 1u64.checked_shl(u32::try_from(number.checked_sub(1)?).ok()?)?;
    signals::names(mask).into_iter().next()
}

const CLONE_NEWUSER: u64 = 0x1000_0000;
/// All of CLONE_NEW* but for CLONE_NEWTIME, which has a place of its own.
const CLONE_NEW: u64 = 0x7e02_0000;

/// clone(2), ERRORS.
const CLONE_REFUSED: [(u64, &str); 5] = [
    (0x0002_0200, "EINVAL: CLONE_NEWNS with CLONE_FS"),
    (0x1000_0200, "EINVAL: CLONE_NEWUSER with CLONE_FS"),
    (0x2001_0000, "EINVAL: CLONE_NEWPID with CLONE_THREAD"),
    (0x1001_0000, "EINVAL: CLONE_NEWUSER with CLONE_THREAD"),
    (0x0804_0000, "EINVAL: CLONE_NEWIPC with CLONE_SYSVSEM"),
];

/// CLONE_* of linux/sched.h.
const CLONE: [Row; 27] = [
    ("CLONE_NEWTIME", 0x80, ""),
    ("CLONE_VM", 0x100, "memory is shared: a thread, or vfork"),
    ("CLONE_FS", 0x200, "root and working directory are shared"),
    ("CLONE_FILES", 0x400, "descriptors are shared"),
    ("CLONE_SIGHAND", 0x800, "signal handlers are shared"),
    ("CLONE_PIDFD", 0x1000, "the parent gets a pidfd"),
    ("CLONE_PTRACE", 0x2000, "the child is traced too"),
    ("CLONE_VFORK", 0x4000, "the parent waits for exec or exit"),
    ("CLONE_PARENT", 0x8000, "a sibling, not a child"),
    ("CLONE_THREAD", 0x1_0000, "the same process: a thread"),
    ("CLONE_NEWNS", 0x2_0000, "mount namespace; the first there was, hence the name"),
    ("CLONE_SYSVSEM", 0x4_0000, ""),
    ("CLONE_SETTLS", 0x8_0000, ""),
    ("CLONE_PARENT_SETTID", 0x10_0000, ""),
    ("CLONE_CHILD_CLEARTID", 0x20_0000, ""),
    ("CLONE_DETACHED", 0x40_0000, "ignored since Linux 2.6.2; refused with CLONE_PIDFD"),
    ("CLONE_UNTRACED", 0x80_0000, "no tracer follows"),
    ("CLONE_CHILD_SETTID", 0x100_0000, ""),
    ("CLONE_NEWCGROUP", 0x200_0000, "cgroup namespace"),
    ("CLONE_NEWUTS", 0x400_0000, "UTS namespace: the host name"),
    ("CLONE_NEWIPC", 0x800_0000, "IPC namespace"),
    ("CLONE_NEWUSER", CLONE_NEWUSER, "user namespace"),
    ("CLONE_NEWPID", 0x2000_0000, "PID namespace: the child is its process 1"),
    ("CLONE_NEWNET", 0x4000_0000, "network namespace"),
    ("CLONE_IO", 0x8000_0000, "the I/O context is shared"),
    ("CLONE_CLEAR_SIGHAND", 0x1_0000_0000, "clone3(2) only"),
    ("CLONE_INTO_CGROUP", 0x2_0000_0000, "clone3(2) only: the child begins in a given v2 cgroup"),
];

const MS_MOVE: u64 = 1 << 13;
const INTERNAL: &str = "the kernel's own: mount(2) ignores or refuses it";

/// MS_* of linux/mount.h.
const MOUNT: [Row; 30] = [
    ("MS_RDONLY", MS_RDONLY, "with MS_BIND|MS_REMOUNT: this mount only, else the file system"),
    ("MS_NOSUID", MS_NOSUID, "set-user-ID bits and file capabilities count for nothing"),
    ("MS_NODEV", MS_NODEV, "device nodes cannot be opened"),
    ("MS_NOEXEC", MS_NOEXEC, "nothing can be executed from it"),
    ("MS_SYNCHRONOUS", MS_SYNCHRONOUS, ""),
    ("MS_REMOUNT", MS_REMOUNT, ""),
    ("MS_MANDLOCK", MS_MANDLOCK, "no effect since Linux 5.15"),
    ("MS_DIRSYNC", MS_DIRSYNC, ""),
    ("MS_NOSYMFOLLOW", MS_NOSYMFOLLOW, "since Linux 5.10"),
    ("MS_NOATIME", MS_NOATIME, ""),
    ("MS_NODIRATIME", MS_NODIRATIME, ""),
    ("MS_BIND", MS_BIND, ""),
    ("MS_MOVE", MS_MOVE, ""),
    ("MS_REC", MS_REC, "the mounts below it too, for MS_BIND and propagation"),
    ("MS_SILENT", MS_SILENT, ""),
    ("MS_POSIXACL", 1 << 16, INTERNAL),
    ("MS_UNBINDABLE", MS_UNBINDABLE, "propagation: private, and cannot be bind mounted"),
    ("MS_PRIVATE", MS_PRIVATE, "propagation: no mount goes out or comes in"),
    ("MS_SLAVE", MS_SLAVE, "propagation: mounts come in, none goes out"),
    ("MS_SHARED", MS_SHARED, "propagation: mounts go both ways"),
    ("MS_RELATIME", MS_RELATIME, "the default"),
    ("MS_KERNMOUNT", 1 << 22, INTERNAL),
    ("MS_I_VERSION", MS_I_VERSION, ""),
    ("MS_STRICTATIME", MS_STRICTATIME, ""),
    ("MS_LAZYTIME", MS_LAZYTIME, ""),
    ("MS_SUBMOUNT", 1 << 26, INTERNAL),
    ("MS_NOREMOTELOCK", 1 << 27, INTERNAL),
    ("MS_NOSEC", 1 << 28, INTERNAL),
    ("MS_BORN", 1 << 29, INTERNAL),
    ("MS_ACTIVE", 1 << 30, INTERNAL),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(flags: &Flags) -> String {
        flags.bits.iter().map(|bit| bit.name.clone()).collect::<Vec<_>>().join(",")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn capabilities_come_back(set: u64) {
            let decoded = caps(&format!("{set:x}")).unwrap();
            prop_assert_eq!(decoded.bits.len(), set.count_ones() as usize);
            prop_assume!(set != 0);
            prop_assert_eq!(caps(&back(&decoded)).unwrap(), decoded);
        }

        #[test]
        fn mount_flags_come_back(flags: u64) {
            prop_assume!(flags != 0 && flags & 0xffff_0000 != 0xc0ed_0000);
            let decoded = mount(&format!("{flags:#x}")).unwrap();
            prop_assert_eq!(mount(&back(&decoded)).unwrap().hex, decoded.hex);
        }

        #[test]
        fn clone_flags_come_back(flags: u64, signal in 0u64..64) {
            let flags = flags & !0xff | signal;
            prop_assume!(flags != 0);
            let decoded = clone(&format!("{flags:x}")).unwrap();
            prop_assert_eq!(clone(&back(&decoded)).unwrap().hex, decoded.hex);
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}") {
            let _ = (caps(&text), clone(&text), mount(&text));
        }
    }

    #[test]
    fn what_is_known_of_some() {
        assert_eq!(caps("0xa80425fb").unwrap().notes, ["Docker's default"]);
        assert_eq!(caps("CAP_CHOWN,kill").unwrap().hex, "0000000000000021");
        assert!(caps("CAP_BOGUS").is_err());
        let fork = clone("0x11").unwrap();
        assert_eq!(fork.bits[0].name, "SIGCHLD");
        assert_eq!(clone("80").unwrap().bits[0].name, "CLONE_NEWTIME");
        assert_eq!(clone("CLONE_NEWUSER|SIGCHLD").unwrap().hex, "0x10000011");
        assert_eq!(mount("bind|ms_rec").unwrap().hex, "0x5000");
        assert!(mount("MS_SHARED,MS_PRIVATE").unwrap().notes[0].contains("EINVAL"));
        let magic = mount("c0ed0001").unwrap();
        assert_eq!((magic.bits.len(), magic.bits[0].name.as_str()), (1, "MS_RDONLY"));
    }

    /// What is said of all flags together, and of one: the last of them says most.
    #[test]
    fn what_a_learner_trips_over_is_said() {
        for (flags, said) in [
            ("0", "mounts a file system"),
            ("remount,rdonly", "changes the flags and options of a file system"),
            ("remount,bind,rdonly", "changes the flags of one mount"),
            ("bind,rdonly", "read-only needs a remount"),
            ("private,rec", "changes the propagation"),
            ("move", "moves a mount"),
        ] {
            assert!(mount(flags).unwrap().notes.concat().contains(said), "{flags}");
        }
        for (flags, said) in [
            ("CLONE_NEWUSER", ""),
            ("CLONE_IO", ""),
            ("CLONE_NEWNS", "CAP_SYS_ADMIN"),
            ("CLONE_NEWNS,CLONE_NEWUSER", "owns the others"),
            ("CLONE_INTO_CGROUP", "clone3(2) only"),
            ("CLONE_FS,CLONE_NEWUSER", "EINVAL"),
            ("CLONE_THREAD,CLONE_NEWUSER", "EINVAL"),
        ] {
            let notes = clone(flags).unwrap().notes.concat();
            assert!(notes.contains(said) && notes.is_empty() == said.is_empty(), "{flags}: {notes}");
        }
        assert_eq!(mount("nodev").unwrap().bits[0].note.as_deref(), Some("device nodes cannot be opened"));
        assert_eq!(mount("dirsync").unwrap().bits[0].note, None);
        assert_eq!(caps("chown,sys_admin").unwrap().notes, ["1 of them are not in Docker's default"]);
        assert!(caps("chown").unwrap().notes.is_empty());
        let newest =
            |beyond: usize| caps(&format!("{:x}", 1u64 << (caps::NAMES.len() - 1 + beyond))).unwrap();
        assert_eq!((newest(0).bits[0].note.is_some(), newest(1).bits[0].note.is_some()), (false, true));
    }

    /// A table that only agrees with itself could have two names changed about.
    #[test]
    fn names_have_the_c_library_s_values() {
        use crate::kernel::libc_flags as o;
        for (name, value) in [
            ("CLONE_NEWCGROUP", o::CLONE_NEWCGROUP),
            ("CLONE_NEWIPC", o::CLONE_NEWIPC),
            ("CLONE_NEWNET", o::CLONE_NEWNET),
            ("CLONE_NEWNS", o::CLONE_NEWNS),
            ("CLONE_NEWPID", o::CLONE_NEWPID),
            ("CLONE_NEWTIME", o::CLONE_NEWTIME),
            ("CLONE_NEWUSER", o::CLONE_NEWUSER),
            ("CLONE_NEWUTS", o::CLONE_NEWUTS),
            ("CLONE_PARENT", o::CLONE_PARENT),
        ] {
            assert_eq!(clone(name).unwrap().hex, format!("{value:#x}"), "{name}");
        }
        for (name, value) in [
            ("MS_BIND", o::MS_BIND),
            ("MS_NODEV", o::MS_NODEV),
            ("MS_NOEXEC", o::MS_NOEXEC),
            ("MS_NOSUID", o::MS_NOSUID),
            ("MS_PRIVATE", o::MS_PRIVATE),
            ("MS_RDONLY", o::MS_RDONLY),
            ("MS_REC", o::MS_REC),
            ("MS_REMOUNT", o::MS_REMOUNT),
            ("MS_SHARED", o::MS_SHARED),
            ("MS_SLAVE", o::MS_SLAVE),
            ("MS_UNBINDABLE", o::MS_UNBINDABLE),
        ] {
            assert_eq!(mount(name).unwrap().hex, format!("{value:#x}"), "{name}");
        }
        // One bit, one name.
        for table in [&CLONE[..], &MOUNT] {
            let mut bits: Vec<u64> = table.iter().map(|(_, bit, _)| *bit).collect();
            bits.sort();
            bits.dedup();
            assert!(bits.len() == table.len() && bits.iter().all(|bit| bit.is_power_of_two()));
        }
    }
}
