//! What of a description can this user have on this machine? What cannot be had is taken out or replaced by
//! the nearest thing that can, and each time it is said at which stage and why.
//!
//! One rule for all: the default container and a bundle of Docker's are both written for root, and both pass
//! through here. Next: `check`.

use super::default::own_namespace;
use super::ids::{self, Maps};
use super::{Error, Note, caps};
use crate::host::{Host, cgroup::Mode};
use oci_spec::runtime::{LinuxCpu, LinuxIdMapping, LinuxNamespace, LinuxNamespaceType as Ns, Mount, Spec};
use serde::Serialize;
use serde_json::Value;

/// Make a description fit this user and this machine.
pub fn fit(spec: &mut Spec, host: &Host, notes: &mut Vec<Note>) -> Result<(), Error> {
    user_namespace(spec, host, notes)?;
    if let Some(gids) = gid_map(spec, host) {
        terminals(spec, &gids, notes);
        ping_groups(spec, &gids, notes);
        if setgroups_denied(spec, host)
            && let Some(process) = spec.process_mut()
            && let Some(groups) = process.user_mut().additional_gids_mut().take()
            && groups.iter().any(|gid| *gid != 0)
        {
            let groups = groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            notes.push(Note::new(
                "caps",
                format!("additionalGids [{groups}] are not set: setgroups(2) is denied"),
            ));
        }
    }
    match own(spec, Ns::User) {
        Some(_) => shown(spec, notes),
        None => capabilities(spec, host, notes),
    }
    limits(spec, host, notes);
    Ok(())
}

/// In a user namespace of its own it has all of them; elsewhere none that its maker lacks.
fn capabilities(spec: &Spec, host: &Host, notes: &mut Vec<Note>) {
    let Some(asked) = spec.process().as_ref().and_then(|process| process.capabilities().as_ref()) else {
        return;
    };
    let had = caps::mask(asked.permitted().as_ref()) | caps::mask(asked.inheritable().as_ref());
    let lost = caps::mask(asked.bounding().as_ref()) & !host.caps.bounding | had & !host.caps.permitted;
    if lost != 0 {
        let names = caps::names(lost).join(" ");
        notes.push(Note::new(
            "caps",
            format!("{names}: asked for and left out, as learnctr itself does not have it"),
        ));
    }
}

/// The namespace of this kind that the description asks for, its own or one to be joined.
fn own(spec: &Spec, kind: Ns) -> Option<&LinuxNamespace> {
    spec.linux().as_ref()?.namespaces().iter().flatten().find(|namespace| namespace.typ() == kind)
}

/// Without CAP_SYS_ADMIN nothing else can be made before a user namespace.
fn user_namespace(spec: &mut Spec, host: &Host, notes: &mut Vec<Note>) -> Result<(), Error> {
    if host.is_privileged() || own(spec, Ns::User).is_some() {
        return Ok(());
    }
    let Some(Maps { uid, gid, .. }) = ids::maps(None, host, notes)? else { return Ok(()) };
    let Some(linux) = spec.linux_mut() else { return Ok(()) };
    linux.set_uid_mappings(Some(uid)).set_gid_mappings(Some(gid));
    linux.namespaces_mut().get_or_insert_default().insert(0, own_namespace(Ns::User));
    let why = "a user namespace is added to the description: without root there are no other namespaces";
    notes.push(Note::new("userns", why));
    Ok(())
}

fn mapped(spec: &Spec) -> Vec<LinuxIdMapping> {
    spec.linux().as_ref().and_then(|linux| linux.gid_mappings().clone()).unwrap_or_default()
}

/// The groups there are inside, where that is not all of them: its own map, or that of who makes it.
fn gid_map(spec: &Spec, host: &Host) -> Option<Vec<LinuxIdMapping>> {
    if own(spec, Ns::User).is_some() {
        return Some(mapped(spec));
    }
    let here = &host.user_namespace;
    let known = !here.initial && !here.gid_map.is_empty();
    known.then(|| here.gid_map.iter().map(|map| ids::line(map.inside, map.outside, map.count)).collect())
}

/// An ordinary user who maps itself and nobody else must deny setgroups(2), and what is denied stays so in each
/// namespace below (user_namespaces(7)).
pub fn setgroups_denied(spec: &Spec, host: &Host) -> bool {
    let single = || mapped(spec).iter().map(|line| u64::from(line.size())).sum::<u64>() == 1;
    host.user_namespace.setgroups_denied || own(spec, Ns::User).is_some() && !host.is_privileged() && single()
}

/// devpts gives EINVAL for a group that is not mapped.
fn terminals(spec: &mut Spec, gids: &[LinuxIdMapping], notes: &mut Vec<Note>) {
    for mount in spec.mounts_mut().iter_mut().flatten().filter(|mount| is_of(mount, "devpts")) {
        let Some(options) = mount.options_mut() else { continue };
        options.retain(|option| {
            let gid = option.strip_prefix("gid=").and_then(|gid| gid.parse().ok());
            let keep = gid.is_none_or(|gid| ids::mapped(gids, gid));
            if !keep {
                notes.push(Note::new(
                    "mounts",
                    format!("devpts without {option:?}: that group is not mapped inside"),
                ));
            }
            keep
        });
    }
}

fn is_of(mount: &Mount, kind: &str) -> bool {
    mount.typ().as_deref() == Some(kind)
}

/// A user namespace may mount proc, sysfs and mqueue only if it owns the pid, network and IPC namespace that
/// they show: otherwise mount(2) gives EPERM, and the host's own is bound in their place.
fn shown(spec: &mut Spec, notes: &mut Vec<Note>) {
    let all = [
        ("proc", "pid", Ns::Pid, "/proc"),
        ("sysfs", "network", Ns::Network, "/sys"),
        ("mqueue", "ipc", Ns::Ipc, "/dev/mqueue"),
    ];
    for (kind, namespace, typ, source) in all {
        if own(spec, typ).is_some_and(|found| found.path().is_none()) {
            continue;
        }
        let Some(mounts) = spec.mounts_mut() else { continue };
        if !std::path::Path::new(source).exists() && mounts.iter().any(|mount| is_of(mount, kind)) {
            mounts.retain(|mount| !is_of(mount, kind));
            let why = format!(
                "no {kind}: only who owns the {namespace} namespace can mount one, and there is no {source} to bind"
            );
            notes.push(Note::new("mounts", why));
        }
        for mount in mounts.iter_mut().filter(|mount| is_of(mount, kind)) {
            mount.set_typ(Some("bind".to_owned())).set_source(Some(source.into()));
            mount.options_mut().get_or_insert_default().insert(0, "rbind".to_owned());
            let destination = mount.destination();
            notes.push(Note::new(
                "mounts",
                format!("{destination:?} is the host's, bound: a {kind} can be mounted only by the user namespace that owns the {namespace} namespace"),
            ));
        }
    }
}

/// The range must be of groups that are mapped, else the write gives EINVAL.
fn ping_groups(spec: &mut Spec, gids: &[LinuxIdMapping], notes: &mut Vec<Note>) {
    const NAME: &str = "net.ipv4.ping_group_range";
    let Some(sysctl) = spec.linux_mut().as_mut().and_then(|linux| linux.sysctl_mut().as_mut()) else {
        return;
    };
    let ends = sysctl.get(NAME).map(String::as_str).unwrap_or_default();
    if !ends.split_whitespace().all(|gid| gid.parse().is_ok_and(|gid| ids::mapped(gids, gid))) {
        sysctl.remove(NAME);
        notes.push(Note::new(
            "limits",
            format!("{NAME} is left as it is: not all its groups are mapped inside"),
        ));
    }
}

/// What needs a controller that has no group of ours.
fn limits(spec: &mut Spec, host: &Host, notes: &mut Vec<Note>) {
    let v2 = host.cgroup.mode == Mode::V2;
    let writable = |controller: &str| host.cgroup.controller(controller).is_some_and(|h| h.gives(controller));
    let any = host.cgroup.hierarchies.iter().any(|hierarchy| hierarchy.parent.writable);
    let Some(linux) = spec.linux_mut() else { return };
    if !any {
        linux.set_cgroups_path(None);
    }
    let Some(resources) = linux.resources_mut() else { return };
    let mut lost = |what: &str, controller: &str| {
        let why = format!("{what}: no group with the controller {controller} can be made here");
        notes.push(Note::new("cgroup", why));
    };
    if !writable("memory") && resources.memory_mut().take().is_some_and(limits_something) {
        lost("memory is not limited", "memory");
    }
    if !writable("pids") && resources.pids_mut().take().is_some_and(limits_something) {
        lost("the number of processes is not limited", "pids");
    }
    let block = if v2 { "io" } else { "blkio" };
    if !writable(block) && resources.block_io_mut().take().is_some_and(limits_something) {
        lost("input and output are not limited", block);
    }
    if !writable("hugetlb") && resources.hugepage_limits_mut().take().is_some_and(limits_something) {
        lost("huge pages are not limited", "hugetlb");
    }
    if !writable("rdma") && resources.rdma_mut().take().is_some_and(limits_something) {
        lost("RDMA is not limited", "rdma");
    }
    if let Some(cpu) = resources.cpu_mut() {
        let (mut set, mut time) = (LinuxCpu::default(), cpu.clone());
        set.set_cpus(cpu.cpus().clone()).set_mems(cpu.mems().clone());
        time.set_cpus(None).set_mems(None);
        if !writable("cpuset") && set != LinuxCpu::default() {
            *cpu = time.clone();
            set = LinuxCpu::default();
            lost("it may run on every processor", "cpuset");
        }
        if !writable("cpu") && time != LinuxCpu::default() {
            *cpu = set;
            lost("processor time is not limited", "cpu");
        }
    }
    // On v2 the rules are an eBPF program, which only the machine's root may attach.
    let rules = if v2 { host.is_privileged() } else { writable("devices") };
    if !rules && resources.devices_mut().take().is_some() {
        notes.push(Note::new(
            "cgroup",
            match host.is_privileged() {
                true => "no device rules: no group with the controller devices can be made here",
                false => {
                    "no device rules, and none needed: in a user namespace mknod(2) refuses every device, and \
                     only harmless ones of the host are bound"
                }
            },
        ));
    }
}

/// `{"weight": 0}` and the like limit nothing. Asked only of what is lost, so that JSON may answer for all types.
fn limits_something(part: impl Serialize) -> bool {
    fn any(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.values().any(any),
            Value::Array(list) => !list.is_empty(),
            Value::Number(number) => number.as_i64() != Some(0),
            Value::Bool(on) => *on,
            _ => true,
        }
    }
    serde_json::to_value(part).is_ok_and(|value| any(&value))
}
