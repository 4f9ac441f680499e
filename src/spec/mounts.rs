//! What is mounted in the container, and with which flags? Docker's list, what a user namespace cannot have
//! of it, and what `-v` and `--tmpfs` add.
//!
//! Next: `mount`, which says what the options mean to mount(2).

use super::ids::Maps;
use super::options::{Network, Options, Own};
use super::values::Source;
use super::{Error, Note};
use crate::host::Host;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// All mounts in the order in which they are made, and the directories that learnctr must make for volumes.
pub struct Mounts {
    pub mounts: Vec<Value>,
    pub volumes: Vec<PathBuf>,
}

pub fn mounts(
    options: &Options,
    host: &Host,
    dir: &Path,
    network: Network,
    maps: Option<&Maps>,
    notes: &mut Vec<Note>,
) -> Result<Mounts, Error> {
    let mut asked = Vec::new();
    let mut volumes = Vec::new();
    for tmpfs in &options.files.tmpfs {
        let options = &tmpfs.options;
        asked.push(
            json!({"destination": tmpfs.destination, "type": "tmpfs", "source": "tmpfs", "options": options}),
        );
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
        asked.push(
            json!({"destination": volume.destination, "type": "bind", "source": source, "options": flags}),
        );
    }
    let mut mounts = docker(options, network, maps, notes);
    // What is asked for replaces Docker's mount at the same place, and all that Docker has below it.
    mounts.retain(|mount| !asked.iter().any(|a| path(mount).starts_with(path(a))));
    // A mount must be made before what lies below it.
    asked.sort_by_key(|mount| path(mount).components().count());
    mounts.extend(asked);
    Ok(Mounts { mounts, volumes })
}

fn path(mount: &Value) -> &Path {
    Path::new(mount.get("destination").and_then(Value::as_str).unwrap_or("/"))
}

fn docker(options: &Options, network: Network, maps: Option<&Maps>, notes: &mut Vec<Note>) -> Vec<Value> {
    let single = maps.is_some_and(|maps| maps.single);
    let mut devpts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if single {
        notes.push(Note::new(
            "mounts",
            "devpts without gid=5: the group tty is not mapped in a map of a single id",
        ));
    } else {
        devpts.push("gid=5");
    }
    let size = format!("size={}", options.files.shm_size.0);
    let own = |destination, kind, source, flags: &[&str]| json!({"destination": destination, "type": kind, "source": source, "options": flags});
    let bound = |destination, flags: &[&str]| own(destination, "bind", destination, flags);
    // A user namespace may mount proc, sysfs and mqueue only if it owns the pid, network and IPC namespace
    // that they show: otherwise mount(2) gives EPERM, and the host's own is bound in their place.
    let mut show = |namespace: Own, name: &str, own: Value, bound: Value| match maps {
        Some(_) if namespace == Own::Host => {
            notes.push(Note::new(
                "mounts",
                format!(
                    "{} is the host's, bound: a user namespace cannot mount one for the host's {name}",
                    path(&own).display()
                ),
            ));
            bound
        }
        _ => own,
    };
    let hosts_network = if network == Network::Host { Own::Host } else { Own::Private };
    let flags = ["nosuid", "noexec", "nodev"];
    let read_only = ["nosuid", "noexec", "nodev", "ro"];
    vec![
        show(
            options.namespaces.pid,
            "processes",
            own("/proc", "proc", "proc", &flags),
            bound("/proc", &["rbind", "nosuid", "noexec", "nodev"]),
        ),
        own("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        own("/dev/pts", "devpts", "devpts", &devpts),
        show(
            hosts_network,
            "network",
            own("/sys", "sysfs", "sysfs", &read_only),
            bound("/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]),
        ),
        own("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
        show(
            options.namespaces.ipc,
            "message queues",
            own("/dev/mqueue", "mqueue", "mqueue", &flags),
            bound("/dev/mqueue", &["bind", "nosuid", "noexec", "nodev"]),
        ),
        match options.namespaces.ipc {
            Own::Private => {
                own("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &size])
            }
            Own::Host => bound("/dev/shm", &["bind", "nosuid", "noexec", "nodev"]),
        },
    ]
}
