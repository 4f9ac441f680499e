//! What is mounted in the container, and with which flags? Docker's list, and what `-v` and `--tmpfs`
//! add to it.
//!
//! Next: `mount`, which says what the options mean to mount(2).

use super::options::{Options, Own};
use super::values::Source;
use super::{Error, Note};
use crate::host::Host;
use oci_spec::runtime::Mount;
use std::path::{Path, PathBuf};

/// All mounts in the order in which they are made, and the directories that learnctr must make for volumes.
pub struct Mounts {
    pub mounts: Vec<Mount>,
    pub volumes: Vec<PathBuf>,
}

pub fn mounts(options: &Options, host: &Host, dir: &Path, notes: &mut Vec<Note>) -> Result<Mounts, Error> {
    let mut asked = Vec::new();
    let mut volumes = Vec::new();
    for tmpfs in &options.files.tmpfs {
        asked.push(mount(&tmpfs.destination, "tmpfs", "tmpfs", &tmpfs.options));
    }
    for (number, volume) in options.files.volume.iter().enumerate() {
        let source = match &volume.source {
            Source::Host(path) => path.canonicalize().map_err(|error| {
                let expected =
                    "a file or directory that is there: nothing of the host is made for you (mkdir it)";
                Error::new("--volume", format!("{}: {error}", path.display()), expected)
            })?,
            Source::Named(name) => host.dirs.data.join("volumes").join(name),
            Source::Anonymous => dir.join(format!("volume{number}")),
        };
        if !matches!(volume.source, Source::Host(_)) {
            volumes.push(source.clone());
        }
        if volume.relabel {
            notes.push(Note::new("mounts", "-v …:z: SELinux labels are not changed by learnctr"));
        }
        let mut flags = vec!["rbind", volume.propagation.as_str()];
        if volume.read_only {
            flags.push("ro");
            if host.at_least(5, 12) {
                flags.push("rro");
            }
        }
        asked.push(mount(&volume.destination, "bind", source, &flags));
    }
    let mut mounts = docker(options);
    // What is asked for replaces Docker's mount at the same place, and all that Docker has below it.
    mounts.retain(|mount| !asked.iter().any(|a| mount.destination().starts_with(a.destination())));
    // A mount must be made before what lies below it.
    asked.sort_by_key(|mount| mount.destination().components().count());
    mounts.extend(asked);
    Ok(Mounts { mounts, volumes })
}

fn mount<S: ToString>(
    destination: impl Into<PathBuf>,
    kind: &str,
    source: impl Into<PathBuf>,
    options: &[S],
) -> Mount {
    let mut mount = Mount::default();
    mount.set_destination(destination.into()).set_typ(Some(kind.to_owned())).set_source(Some(source.into()));
    mount.set_options(Some(options.iter().map(ToString::to_string).collect()));
    mount
}

fn docker(options: &Options) -> Vec<Mount> {
    let size = format!("size={}", options.files.shm_size.0);
    let terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let closed = ["nosuid", "noexec", "nodev"];
    vec![
        mount("/proc", "proc", "proc", &closed),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", &terminals),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &closed),
        match options.namespaces.ipc {
            Own::Private => {
                mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &size])
            }
            Own::Host => mount("/dev/shm", "bind", "/dev/shm", &["bind", "nosuid", "noexec", "nodev"]),
        },
    ]
}
