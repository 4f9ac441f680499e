//! Which container is built when nothing is said? Docker's, as Moby asks runc for it, with 512 MiB, one CPU
//! and 100 processes; and each option changes its part of it.
//!
//! The description reads here as it reads in config.json. Next: `container`, what is beside it.

use super::Error;
use super::caps;
use super::check;
use super::container::{Container, DockerFilter, Layers, Note, Store, directory};
use super::devices::devices;
use super::env;
use super::fit::fit;
use super::ids::{self, Maps};
use super::mounts::{Mounts, mounts};
use super::options::{Network, Options, Own};
use super::resources::{cgroups_path, resources};
use super::security::Security;
use super::values::{Id, UserSpec};
use crate::host::{Host, cgroup::Mode};
use crate::image;
use oci_spec::runtime::Spec;
use serde_json::{Map, Value, json};

/// What is hidden from the container: the kernel's own affairs, and the host's (Moby's list).
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What may be read but not written.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The description of the default container, as changed by the options.
pub fn default(options: &Options, host: &Host) -> Result<Spec, Error> {
    describe(options, host, &Container::new_id(options)).map(|container| container.described())
}

/// The whole container that the options ask for.
pub fn describe(options: &Options, host: &Host, id: &str) -> Result<Container, Error> {
    let mut notes = Vec::new();
    let maps = ids::maps(options.namespaces.userns, host, &mut notes)?;
    let root = |maps: &Maps| Some((maps.uid.first()?.host_id(), maps.gid.first()?.host_id()));
    // An ordinary user's own files are root's inside, as they are.
    let owner = maps.as_ref().filter(|_| host.is_privileged()).and_then(root);
    let image = image::paths(&host.dirs.data, owner);
    let dir = host.dirs.data.join("containers").join(id);
    let network = network(options, host, &mut notes);
    let Mounts { mounts, volumes } = mounts(options, host, &dir, &mut notes)?;
    let hostname = match (options.namespaces.uts, &options.process.hostname) {
        (Own::Private, asked) => Some(asked.as_deref().unwrap_or("web")),
        (Own::Host, None) => None,
        (Own::Host, Some(_)) => {
            let expected = "--uts private: the name would be the host's own";
            return Err(Error::new("--hostname", "given with --uts host", expected));
        }
    };
    let (lower, image_args, image_env, store) = match &options.rootfs {
        Some(dir) => {
            (vec![directory("--rootfs", dir)?], vec!["/bin/sh".to_owned()], vec![env::PATH.to_owned()], None)
        }
        None => {
            let store = Store { dir: host.dirs.data.clone(), owner };
            (image.layers.into_iter().rev().collect(), image.command, image.env, Some(store))
        }
    };
    let layers = Layers::at(lower, &dir);
    let args = if options.cmd.is_empty() { &image_args } else { &options.cmd };
    let capabilities = caps::resolve(&options.privileges.cap_add, &options.privileges.cap_drop)?;
    let names = caps::names(capabilities);
    let security = Security::of(options, &mut notes);
    let (user, uid, gid) = user(options, host, maps.as_ref())?;
    let (groups, gids) = groups(options, gid, maps.as_ref())?;
    let nodes = devices(&options.privileges.device)?;
    let resources = resources(options, &nodes)?;
    let unmasked = security.systempaths_unconfined;
    let offsets = options.namespaces.time_namespace.filter(|seconds| *seconds != 0);
    let mut config = json!({
        "ociVersion": "1.1.0",
        "process": {
            "terminal": options.process.tty.then_some(true),
            "user": {"uid": uid, "gid": gid, "additionalGids": gids},
            "args": args,
            "env": env::environment(options, image_env, hostname)?,
            "cwd": options.process.workdir.clone().unwrap_or_else(|| "/".into()),
            "capabilities": {"bounding": names, "effective": names, "permitted": names},
            "rlimits": options.limits.ulimit.iter().map(|limit| {
                json!({"type": limit.name, "soft": limit.soft, "hard": limit.hard})
            }).collect::<Vec<_>>(),
            "noNewPrivileges": security.no_new_privileges.then_some(true),
            "apparmorProfile": security.apparmor,
            "oomScoreAdj": options.limits.oom_score_adj,
        },
        "root": {"path": layers.merged, "readonly": options.files.read_only.then_some(true)},
        "hostname": hostname,
        "mounts": mounts,
        "linux": {
            "uidMappings": maps.as_ref().map(|maps| &maps.uid),
            "gidMappings": maps.as_ref().map(|maps| &maps.gid),
            "sysctl": sysctls(options, network),
            "resources": resources,
            "cgroupsPath": cgroups_path(options, host, id),
            "namespaces": namespaces(options, host, network, maps.as_ref()),
            "timeOffsets": offsets.map(|s| json!({"monotonic": {"secs": s}, "boottime": {"secs": s}})),
            "devices": nodes.iter().map(|node| &node.oci).collect::<Vec<_>>(),
            "maskedPaths": if unmasked { [].as_slice() } else { &MASKED },
            "readonlyPaths": if unmasked { [].as_slice() } else { &READ_ONLY },
        },
    });
    fit(&mut config, host, &mut notes)?;
    let mut spec: Spec = super::json::from_value(config, "options")?;
    let docker_filter = security.is_docker().then_some(DockerFilter { capabilities, kernel: host.release });
    if let (None, Some(linux)) = (docker_filter, spec.linux_mut()) {
        linux.set_seccomp(security.seccomp(capabilities, host)?);
    }
    check::check(&spec, "options", &mut notes)?;
    Ok(Container {
        id: id.to_owned(),
        spec,
        image: store,
        layers: Some(layers),
        docker_filter,
        network,
        init: options.init,
        user,
        groups,
        volumes,
        notes,
    })
}

pub const NO_VETH: &str = "the network is none: the outer end of a veth pair belongs to the host's network \
     namespace, in which an ordinary user has no CAP_NET_ADMIN";

/// Docker's is a veth pair; only root can put its outer end into the host's network namespace.
fn network(options: &Options, host: &Host, notes: &mut Vec<Note>) -> Network {
    match options.network {
        Some(Network::Veth) | None if !host.is_privileged() => {
            notes.push(Note::new("veth", NO_VETH));
            Network::None
        }
        asked => asked.unwrap_or(Network::Veth),
    }
}

fn namespaces(options: &Options, host: &Host, network: Network, maps: Option<&Maps>) -> Vec<Value> {
    let asked = &options.namespaces;
    let cgroup = asked.cgroupns.unwrap_or(match host.cgroup.mode {
        Mode::V2 => Own::Private,
        _ => Own::Host,
    });
    let all = [
        ("user", maps.is_some()),
        ("mount", true),
        ("network", network != Network::Host),
        ("uts", asked.uts == Own::Private),
        ("pid", asked.pid == Own::Private),
        ("ipc", asked.ipc == Own::Private),
        ("cgroup", cgroup == Own::Private),
        ("time", asked.time_namespace.is_some()),
    ];
    all.iter().filter(|(_, own)| *own).map(|(kind, _)| json!({"type": kind})).collect()
}

/// The user's numbers; a name stays beside the description until the container's own /etc/passwd can be read.
fn user(options: &Options, host: &Host, maps: Option<&Maps>) -> Result<(Option<UserSpec>, u32, u32), Error> {
    let number = |id: &Id| match id {
        Id::Number(number) => Some(*number),
        Id::Name(_) => None,
    };
    let keep = options.namespaces.userns == Some(super::options::Userns::KeepId);
    let Some(asked) = &options.process.user else {
        return Ok(if keep { (None, host.uid, host.gid) } else { (None, 0, 0) });
    };
    let uid = number(&asked.user);
    let gid = asked.group.as_ref().and_then(number);
    for (id, map) in [(uid, maps.map(|maps| &maps.uid)), (gid, maps.map(|maps| &maps.gid))] {
        if let (Some(id), Some(map)) = (id, map)
            && !ids::mapped(map, id)
        {
            let found = format!("{id} is not mapped in the container's user namespace");
            return Err(Error::new(
                "--user",
                found,
                "a mapped one, such as 0 (`learnctr spec` shows the maps)",
            ));
        }
    }
    Ok((Some(asked.clone()), uid.unwrap_or(0), gid.unwrap_or(0)))
}

/// Groups by name, and by number; Docker always gives the process its own group as an additional one too.
fn groups(options: &Options, gid: u32, maps: Option<&Maps>) -> Result<(Vec<Id>, Vec<u32>), Error> {
    if maps.is_some_and(|maps| maps.single) && !options.process.group_add.is_empty() {
        let found = "setgroups(2) is denied in a user namespace that maps a single id";
        return Err(Error::new("--group-add", found, "no --group-add, or a range in /etc/subgid"));
    }
    let mut gids = vec![gid];
    let mut names = Vec::new();
    for group in &options.process.group_add {
        match group {
            Id::Number(gid) => gids.push(*gid),
            name => names.push(name.clone()),
        }
    }
    Ok((names, gids))
}

/// Docker lets the container bind low ports and send pings without a capability.
fn sysctls(options: &Options, network: Network) -> Map<String, Value> {
    let mut sysctls = Map::new();
    if network != Network::Host {
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".into(), "0".into());
        sysctls.insert("net.ipv4.ping_group_range".into(), "0 2147483647".into());
    }
    for pair in &options.namespaces.sysctl {
        sysctls.insert(pair.0.clone(), pair.1.clone().into());
    }
    sysctls
}
