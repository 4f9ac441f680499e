//! What do a mount's options mean to the kernel? Some are flags of mount(2), some ask for a second call
//! (propagation, attributes of a whole tree, a map of ids), and all others are the file system's own.
//!
//! The table is runc's, which is what bundles are written for. Next: `crate::stages`, which makes the calls.

use oci_spec::runtime::Mount;

/// Options sorted by the call that they become. Of two that contradict each other, the later one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// `MS_*` to set in mount(2).
    pub flags: u64,
    /// `MS_*` that were asked to be off (`rw`, `dev`): a bind mount takes its source's flags along, and keeps the others.
    pub clear: u64,
    /// `MS_PRIVATE` and the like, each a mount(2) of its own, after the mount.
    pub propagation: Vec<u64>,
    /// `MOUNT_ATTR_*` for mount_setattr(2) with AT_RECURSIVE (`rro`, `rnosuid`).
    pub attr_set: u64,
    pub attr_clear: u64,
    /// An ID-mapped mount (mount_setattr(2)).
    pub idmap: Option<Idmap>,
    /// A tmpfs that begins with what was at its place.
    pub tmpcopyup: bool,
    /// What goes to the file system: `size=64m`, `mode=755`.
    pub data: Vec<String>,
}

/// Runtimes take the type for the option, and the option for the type.
pub fn is_bind(one: &Mount) -> bool {
    one.typ().as_deref() == Some("bind") || parse(one.options().as_deref().unwrap_or_default()).is_bind()
}

/// Whether only the mount itself is ID-mapped, or the mounts below it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idmap {
    Mount,
    Tree,
}

pub const MS_RDONLY: u64 = 1;
pub const MS_NOSUID: u64 = 1 << 1;
pub const MS_NODEV: u64 = 1 << 2;
pub const MS_NOEXEC: u64 = 1 << 3;
pub const MS_SYNCHRONOUS: u64 = 1 << 4;
pub const MS_REMOUNT: u64 = 1 << 5;
pub const MS_MANDLOCK: u64 = 1 << 6;
pub const MS_DIRSYNC: u64 = 1 << 7;
pub const MS_NOSYMFOLLOW: u64 = 1 << 8;
pub const MS_NOATIME: u64 = 1 << 10;
pub const MS_NODIRATIME: u64 = 1 << 11;
pub const MS_BIND: u64 = 1 << 12;
pub const MS_REC: u64 = 1 << 14;
pub const MS_SILENT: u64 = 1 << 15;
pub const MS_UNBINDABLE: u64 = 1 << 17;
pub const MS_PRIVATE: u64 = 1 << 18;
pub const MS_SLAVE: u64 = 1 << 19;
pub const MS_SHARED: u64 = 1 << 20;
pub const MS_RELATIME: u64 = 1 << 21;
pub const MS_I_VERSION: u64 = 1 << 23;
pub const MS_STRICTATIME: u64 = 1 << 24;
pub const MS_LAZYTIME: u64 = 1 << 25;

const ATTR_ATIME: u64 = 0x70;

enum Meaning {
    Set(u64),
    Clear(u64),
    Propagation(u64),
    AttrSet(u64),
    AttrClear(u64),
    Idmap(Idmap),
    Copyup,
}

use Meaning::*;

const TABLE: [(&str, Meaning); 62] = [
    ("defaults", Set(0)),
    ("ro", Set(MS_RDONLY)),
    ("rw", Clear(MS_RDONLY)),
    ("nosuid", Set(MS_NOSUID)),
    ("suid", Clear(MS_NOSUID)),
    ("nodev", Set(MS_NODEV)),
    ("dev", Clear(MS_NODEV)),
    ("noexec", Set(MS_NOEXEC)),
    ("exec", Clear(MS_NOEXEC)),
    ("sync", Set(MS_SYNCHRONOUS)),
    ("async", Clear(MS_SYNCHRONOUS)),
    ("dirsync", Set(MS_DIRSYNC)),
    ("remount", Set(MS_REMOUNT)),
    ("mand", Set(MS_MANDLOCK)),
    ("nomand", Clear(MS_MANDLOCK)),
    ("nosymfollow", Set(MS_NOSYMFOLLOW)),
    ("symfollow", Clear(MS_NOSYMFOLLOW)),
    ("noatime", Set(MS_NOATIME)),
    ("atime", Clear(MS_NOATIME)),
    ("nodiratime", Set(MS_NODIRATIME)),
    ("diratime", Clear(MS_NODIRATIME)),
    ("relatime", Set(MS_RELATIME)),
    ("norelatime", Clear(MS_RELATIME)),
    ("strictatime", Set(MS_STRICTATIME)),
    ("nostrictatime", Clear(MS_STRICTATIME)),
    ("lazytime", Set(MS_LAZYTIME)),
    ("nolazytime", Clear(MS_LAZYTIME)),
    ("iversion", Set(MS_I_VERSION)),
    ("noiversion", Clear(MS_I_VERSION)),
    ("silent", Set(MS_SILENT)),
    ("loud", Clear(MS_SILENT)),
    ("bind", Set(MS_BIND)),
    ("rbind", Set(MS_BIND | MS_REC)),
    ("private", Propagation(MS_PRIVATE)),
    ("rprivate", Propagation(MS_PRIVATE | MS_REC)),
    ("slave", Propagation(MS_SLAVE)),
    ("rslave", Propagation(MS_SLAVE | MS_REC)),
    ("shared", Propagation(MS_SHARED)),
    ("rshared", Propagation(MS_SHARED | MS_REC)),
    ("unbindable", Propagation(MS_UNBINDABLE)),
    ("runbindable", Propagation(MS_UNBINDABLE | MS_REC)),
    ("rro", AttrSet(0x1)),
    ("rrw", AttrClear(0x1)),
    ("rnosuid", AttrSet(0x2)),
    ("rsuid", AttrClear(0x2)),
    ("rnodev", AttrSet(0x4)),
    ("rdev", AttrClear(0x4)),
    ("rnoexec", AttrSet(0x8)),
    ("rexec", AttrClear(0x8)),
    ("rrelatime", AttrSet(0x0)),
    ("rnorelatime", AttrClear(0x0)),
    ("rnoatime", AttrSet(0x10)),
    ("ratime", AttrClear(0x10)),
    ("rstrictatime", AttrSet(0x20)),
    ("rnostrictatime", AttrClear(0x20)),
    ("rnodiratime", AttrSet(0x80)),
    ("rdiratime", AttrClear(0x80)),
    ("rnosymfollow", AttrSet(0x20_0000)),
    ("rsymfollow", AttrClear(0x20_0000)),
    ("idmap", Meaning::Idmap(self::Idmap::Mount)),
    ("ridmap", Meaning::Idmap(self::Idmap::Tree)),
    ("tmpcopyup", Copyup),
];

/// Sort a mount's options by the call that each becomes.
pub fn parse<S: AsRef<str>>(options: &[S]) -> MountOptions {
    let mut all = MountOptions::default();
    for option in options.iter().map(AsRef::as_ref).filter(|option| !option.is_empty()) {
        match TABLE.iter().find(|(name, _)| *name == option).map(|(_, meaning)| meaning) {
            Some(Set(flag)) => {
                all.flags |= flag;
                all.clear &= !flag;
            }
            Some(Clear(flag)) => {
                all.flags &= !flag;
                all.clear |= flag;
            }
            Some(Propagation(flag)) => all.propagation.push(*flag),
            Some(AttrSet(attr)) => {
                all.attr_set |= attr;
                all.attr_clear &= !attr;
                all.atime(*attr, *attr);
            }
            Some(AttrClear(attr)) => {
                all.attr_set &= !attr;
                all.attr_clear |= attr;
                if *attr != 0 {
                    all.atime(*attr, 0);
                }
            }
            Some(Meaning::Idmap(kind)) => all.idmap = Some(*kind),
            Some(Copyup) => all.tmpcopyup = true,
            None => all.data.push(option.to_owned()),
        }
    }
    all
}

impl MountOptions {
    /// The access-time attributes are one value in several bits: mount_setattr(2) gives EINVAL unless all of
    /// them are cleared when one is changed. 0 is relatime.
    fn atime(&mut self, attr: u64, value: u64) {
        if attr & ATTR_ATIME == attr {
            self.attr_clear |= ATTR_ATIME;
            self.attr_set = (self.attr_set & !ATTR_ATIME) | value;
        }
    }

    pub fn is_bind(&self) -> bool {
        self.flags & MS_BIND != 0
    }

    /// mount(2)'s last argument, and nothing where there is none.
    pub fn data(&self) -> Option<String> {
        (!self.data.is_empty()).then(|| self.data.join(","))
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dockers_mounts() {
        let dev = parse(&["nosuid", "strictatime", "mode=755", "size=65536k"]);
        assert_eq!(dev.flags, MS_NOSUID | MS_STRICTATIME);
        assert_eq!(dev.data().as_deref(), Some("mode=755,size=65536k"));
        let volume = parse(&["rbind", "rprivate", "ro", "rro"]);
        assert_eq!(volume.flags, MS_BIND | MS_REC | MS_RDONLY);
        assert_eq!(volume.propagation, [MS_PRIVATE | MS_REC]);
        assert_eq!((volume.attr_set, volume.attr_clear, volume.data()), (1, 0, None));
    }

    #[test]
    fn the_later_one_counts_and_atime_is_one_value() {
        let both = parse(&["ro", "rw", "nodev"]);
        assert_eq!((both.flags, both.clear), (MS_NODEV, MS_RDONLY));
        assert_eq!((parse(&["rnoatime"]).attr_set, parse(&["rnoatime"]).attr_clear), (0x10, 0x70));
        assert_eq!(
            (parse(&["rnoatime", "rstrictatime"]).attr_set, parse(&["ratime"]).attr_clear),
            (0x20, 0x70)
        );
        assert_eq!(parse(&["rrelatime"]).attr_clear, 0x70);
        assert_eq!(parse(&["ridmap"]).idmap, Some(Idmap::Tree));
        assert!(parse(&["tmpcopyup"]).tmpcopyup);
        assert_eq!(parse(&["defaults"]), MountOptions::default());
    }

    proptest! {
        #[test]
        fn no_flag_is_both_set_and_cleared(picks in proptest::collection::vec(0..TABLE.len(), 0..12)) {
            let options: Vec<&str> = picks.iter().filter_map(|n| TABLE.get(*n)).map(|(name, _)| *name).collect();
            let all = parse(&options);
            prop_assert_eq!(all.flags & all.clear, 0);
            prop_assert_eq!(all.attr_set & all.attr_clear & !ATTR_ATIME, 0);
            prop_assert!(all.data.is_empty());
        }
    }
}
