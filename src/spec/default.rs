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
use super::values::{Id, Ulimit, UserSpec};
use crate::host::{Host, cgroup::Mode};
use crate::image;
use oci_spec::runtime::{
    LinuxNamespace, LinuxNamespaceType as Ns, LinuxTimeOffset, PosixRlimit, PosixRlimitBuilder,
    PosixRlimitType, Spec,
};
use serde_json::json;
use std::collections::HashMap;

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
    let security = Security::of(options, &mut notes);
    let (user, uid, gid) = user(options, host, maps.as_ref())?;
    let (groups, gids) = groups(options, gid, maps.as_ref())?;
    let nodes = devices(&options.privileges.device)?;
    let resources = resources(options, &nodes)?;
    let unmasked = security.systempaths_unconfined;
    let offsets = options.namespaces.time_namespace.filter(|seconds| *seconds != 0);
    // What says nothing, as the types' own defaults say much: a shell, mounts, capabilities.
    let nothing =
        json!({"ociVersion": "1.1.0", "process": {"user": {}, "cwd": "/"}, "root": {}, "linux": {}});
    let mut spec: Spec = super::json::from_value(nothing, "options")?;
    if let Some(process) = spec.process_mut() {
        process.set_terminal(options.process.tty.then_some(true));
        process.user_mut().set_uid(uid).set_gid(gid).set_additional_gids(Some(gids));
        process.set_args(Some(args.clone()));
        process.set_env(Some(env::environment(options, image_env, hostname)?));
        process.set_cwd(options.process.workdir.clone().unwrap_or_else(|| "/".into()));
        process.set_capabilities(Some(caps::sets(capabilities)));
        process.set_rlimits(Some(options.limits.ulimit.iter().map(rlimit).collect::<Result<_, _>>()?));
        process.set_no_new_privileges(security.no_new_privileges.then_some(true));
        process.set_apparmor_profile(security.apparmor.clone());
        process.set_oom_score_adj(options.limits.oom_score_adj);
    }
    if let Some(root) = spec.root_mut() {
        root.set_path(layers.merged.clone()).set_readonly(options.files.read_only.then_some(true));
    }
    spec.set_hostname(hostname.map(str::to_owned)).set_mounts(Some(mounts));
    if let Some(linux) = spec.linux_mut() {
        let paths =
            |paths: &[&str]| (!unmasked).then(|| paths.iter().map(|path| (*path).to_owned()).collect());
        linux.set_uid_mappings(maps.as_ref().map(|maps| maps.uid.clone()));
        linux.set_gid_mappings(maps.as_ref().map(|maps| maps.gid.clone()));
        linux.set_sysctl(Some(sysctls(options, network)));
        linux.set_resources(Some(resources));
        linux.set_cgroups_path(Some(cgroups_path(options, host, id).into()));
        linux.set_namespaces(Some(namespaces(options, host, network, maps.as_ref())));
        linux.set_time_offsets(offsets.map(time_offsets));
        linux.set_devices(Some(nodes.iter().map(|node| node.oci.clone()).collect()));
        linux.set_masked_paths(paths(&MASKED)).set_readonly_paths(paths(&READ_ONLY));
    }
    fit(&mut spec, host, &mut notes)?;
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
     namespace, in which we have no CAP_NET_ADMIN";

/// Whoever is root of a user namespace of theirs may ask for it, and be refused by the kernel.
pub fn can_have_veth(asked: Option<Network>, host: &Host) -> bool {
    match asked {
        None => host.can_link(),
        Some(asked) => asked != Network::Veth || host.is_privileged(),
    }
}

/// Docker's is a veth pair; only root of the host's network namespace can put its outer end there.
fn network(options: &Options, host: &Host, notes: &mut Vec<Note>) -> Network {
    match options.network {
        asked if !can_have_veth(asked, host) => {
            notes.push(Note::new("veth", NO_VETH));
            Network::None
        }
        asked => asked.unwrap_or(Network::Veth),
    }
}

fn namespaces(options: &Options, host: &Host, network: Network, maps: Option<&Maps>) -> Vec<LinuxNamespace> {
    let asked = &options.namespaces;
    let cgroup = asked.cgroupns.unwrap_or(match host.cgroup.mode {
        Mode::V2 => Own::Private,
        _ => Own::Host,
    });
    let all = [
        (Ns::User, maps.is_some()),
        (Ns::Mount, true),
        (Ns::Network, network != Network::Host),
        (Ns::Uts, asked.uts == Own::Private),
        (Ns::Pid, asked.pid == Own::Private),
        (Ns::Ipc, asked.ipc == Own::Private),
        (Ns::Cgroup, cgroup == Own::Private),
        (Ns::Time, asked.time_namespace.is_some()),
    ];
    all.iter().filter(|(_, own)| *own).map(|(kind, _)| own_namespace(*kind)).collect()
}

/// A new one, joined by nobody yet.
pub fn own_namespace(kind: Ns) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind);
    namespace
}

fn rlimit(limit: &Ulimit) -> Result<PosixRlimit, Error> {
    let expected = "a limit of setrlimit(2), such as nofile";
    let kind: PosixRlimitType =
        limit.name.parse().map_err(|_| Error::new("--ulimit", limit.name.as_str(), expected))?;
    let rlimit = PosixRlimitBuilder::default().typ(kind).soft(limit.soft).hard(limit.hard).build();
    Ok(rlimit.unwrap_or_default())
}

fn time_offsets(seconds: i64) -> HashMap<String, LinuxTimeOffset> {
    let mut offset = LinuxTimeOffset::default();
    offset.set_secs(Some(seconds));
    ["monotonic", "boottime"].map(|clock| (clock.to_owned(), offset.clone())).into()
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
fn sysctls(options: &Options, network: Network) -> HashMap<String, String> {
    let docker =
        [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];
    let docker = docker.into_iter().filter(|_| network != Network::Host);
    let docker = docker.map(|(name, value)| (name.to_owned(), value.to_owned()));
    docker.chain(options.namespaces.sysctl.iter().map(|pair| (pair.0.clone(), pair.1.clone()))).collect()
}
