//! What of a description can this user have on this machine? What cannot be had is taken out or replaced by
//! the nearest thing that can, and each time it is said at which stage and why.
//!
//! One rule for all: the default container and a bundle of Docker's are both written for root, and both pass
//! through here. Next: `check`.

use super::ids::{self, Maps};
use super::{Error, Note, caps};
use crate::host::{Host, cgroup::Mode};
use oci_spec::runtime::LinuxIdMapping;
use serde_json::{Map, Value, json};

/// Make a config.json fit this user and this machine.
pub fn fit(config: &mut Value, host: &Host, notes: &mut Vec<Note>) -> Result<(), Error> {
    user_namespace(config, host, notes)?;
    if own(config, "user").is_some() {
        let gids = gid_map(config);
        terminals(config, &gids, notes);
        shown(config, notes);
        ping_groups(config, &gids, notes);
        if setgroups_denied(config, host)
            && let Some(user) = object(config, "/process/user")
            && let Some(groups) = user.remove("additionalGids")
            && groups.as_array().is_some_and(|groups| groups.iter().any(|gid| gid.as_u64() != Some(0)))
        {
            notes.push(Note::new(
                "caps",
                format!("additionalGids {groups} are not set: setgroups(2) is denied"),
            ));
        }
    }
    if own(config, "user").is_none() {
        capabilities(config, host, notes);
    }
    limits(config, host, notes);
    Ok(())
}

/// In a user namespace of its own it has all of them; elsewhere none that its maker lacks.
fn capabilities(config: &Value, host: &Host, notes: &mut Vec<Note>) {
    let asked = |set: &str| {
        let names = config.pointer(&format!("/process/capabilities/{set}")).and_then(Value::as_array);
        let numbers = names.into_iter().flatten().filter_map(|name| caps::number(name.as_str()?));
        numbers.fold(0u64, |all, number| all | 1 << number)
    };
    let lost = asked("bounding") & !host.caps.bounding
        | (asked("permitted") | asked("inheritable")) & !host.caps.permitted;
    if lost != 0 {
        let names = caps::names(lost).join(" ");
        notes.push(Note::new(
            "caps",
            format!("{names}: asked for and left out, as learnctr itself does not have it"),
        ));
    }
}

/// The namespace of this kind that the description asks for, its own or one to be joined.
fn own<'a>(config: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = config.pointer("/linux/namespaces")?.as_array()?;
    all.iter().find(|namespace| namespace.get("type").and_then(Value::as_str) == Some(kind))
}

fn object<'a>(config: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    config.pointer_mut(pointer)?.as_object_mut()
}

/// Without CAP_SYS_ADMIN nothing else can be made before a user namespace.
fn user_namespace(config: &mut Value, host: &Host, notes: &mut Vec<Note>) -> Result<(), Error> {
    if host.is_privileged() || own(config, "user").is_some() {
        return Ok(());
    }
    let Some(Maps { uid, gid, .. }) = ids::maps(None, host, notes)? else { return Ok(()) };
    let Some(linux) = object(config, "/linux") else { return Ok(()) };
    linux.insert("uidMappings".into(), json!(uid));
    linux.insert("gidMappings".into(), json!(gid));
    let namespaces = linux.entry("namespaces").or_insert_with(|| json!([]));
    if let Some(namespaces) = namespaces.as_array_mut() {
        namespaces.insert(0, json!({"type": "user"}));
    }
    let why = "a user namespace is added to the description: without root there are no other namespaces";
    notes.push(Note::new("userns", why));
    Ok(())
}

fn gid_map(config: &Value) -> Vec<LinuxIdMapping> {
    let map = config.pointer("/linux/gidMappings").cloned();
    map.and_then(|map| serde_json::from_value(map).ok()).unwrap_or_default()
}

/// Only an ordinary user who maps itself and nobody else must deny setgroups (user_namespaces(7)).
fn setgroups_denied(config: &Value, host: &Host) -> bool {
    !host.is_privileged() && gid_map(config).iter().map(|line| u64::from(line.size())).sum::<u64>() == 1
}

/// devpts gives EINVAL for a group that is not mapped.
fn terminals(config: &mut Value, gids: &[LinuxIdMapping], notes: &mut Vec<Note>) {
    for mount in config.get_mut("mounts").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_devpts = mount.get("type").and_then(Value::as_str) == Some("devpts");
        let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut).filter(|_| is_devpts)
        else {
            continue;
        };
        options.retain(|option| {
            let gid = option.as_str().and_then(|o| o.strip_prefix("gid=")).and_then(|gid| gid.parse().ok());
            let keep = gid.is_none_or(|gid| ids::mapped(gids, gid));
            if !keep {
                notes.push(Note::new(
                    "mounts",
                    format!("devpts without {option}: that group is not mapped inside"),
                ));
            }
            keep
        });
    }
}

/// A user namespace may mount proc, sysfs and mqueue only if it owns the pid, network and IPC namespace that
/// they show: otherwise mount(2) gives EPERM, and the host's own is bound in their place.
fn shown(config: &mut Value, notes: &mut Vec<Note>) {
    let lacks = [("proc", "pid"), ("sysfs", "network"), ("mqueue", "ipc")].map(|(kind, namespace)| {
        let owned = own(config, namespace).is_some_and(|found| found.get("path").is_none());
        (kind, namespace, !owned)
    });
    for mount in config.get_mut("mounts").and_then(Value::as_array_mut).into_iter().flatten() {
        let kind = mount.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some((_, namespace, _)) = lacks.iter().find(|(lacking, _, lacks)| *lacks && *lacking == kind)
        else {
            continue;
        };
        let Some(mount) = mount.as_object_mut() else { continue };
        let destination = mount.get("destination").cloned().unwrap_or_default();
        let source = match kind.as_str() {
            "proc" => "/proc",
            "sysfs" => "/sys",
            _ => "/dev/mqueue",
        };
        mount.insert("type".into(), "bind".into());
        mount.insert("source".into(), source.into());
        let options = mount.entry("options").or_insert_with(|| json!([]));
        if let Some(options) = options.as_array_mut() {
            options.insert(0, "rbind".into());
        }
        notes.push(Note::new(
            "mounts",
            format!("{destination} is the host's, bound: a {kind} can be mounted only by the user namespace that owns the {namespace} namespace"),
        ));
    }
}

/// The range must be of groups that are mapped, else the write gives EINVAL.
fn ping_groups(config: &mut Value, gids: &[LinuxIdMapping], notes: &mut Vec<Note>) {
    const NAME: &str = "net.ipv4.ping_group_range";
    let Some(sysctl) = object(config, "/linux/sysctl") else { return };
    let ends = sysctl.get(NAME).and_then(Value::as_str).unwrap_or_default();
    if !ends.split_whitespace().all(|gid| gid.parse().is_ok_and(|gid| ids::mapped(gids, gid))) {
        sysctl.remove(NAME);
        notes.push(Note::new(
            "limits",
            format!("{NAME} is left as it is: not all its groups are mapped inside"),
        ));
    }
}

/// What needs a controller that has no group of ours.
fn limits(config: &mut Value, host: &Host, notes: &mut Vec<Note>) {
    let v2 = host.cgroup.mode == Mode::V2;
    let writable = |controller: &str| host.cgroup.controller(controller).is_some_and(|h| h.gives(controller));
    let any = host.cgroup.hierarchies.iter().any(|hierarchy| hierarchy.parent.writable);
    if let Some(linux) = object(config, "/linux").filter(|_| !any) {
        linux.remove("cgroupsPath");
    }
    let Some(resources) = object(config, "/linux/resources") else { return };
    let mut lost = |what: &str, controller: &str| {
        let why = format!("{what}: no group with the controller {controller} can be made here");
        notes.push(Note::new("cgroup", why));
    };
    let fields = [
        ("memory", "memory", "memory is not limited"),
        ("pids", "pids", "the number of processes is not limited"),
        ("blockIO", if v2 { "io" } else { "blkio" }, "input and output are not limited"),
        ("hugepageLimits", "hugetlb", "huge pages are not limited"),
        ("rdma", "rdma", "RDMA is not limited"),
    ];
    for (field, controller, what) in fields {
        if !writable(controller) && resources.remove(field).is_some_and(|limit| limits_something(&limit)) {
            lost(what, controller);
        }
    }
    if let Some(cpu) = resources.get_mut("cpu").and_then(Value::as_object_mut) {
        let set = |key: &str| key == "cpus" || key == "mems";
        if !writable("cpuset") && cpu.keys().any(|key| set(key)) {
            cpu.retain(|key, _| !set(key));
            lost("it may run on every processor", "cpuset");
        }
        if !writable("cpu") && cpu.keys().any(|key| !set(key)) {
            cpu.retain(|key, _| set(key));
            lost("processor time is not limited", "cpu");
        }
    }
    // On v2 the rules are an eBPF program, which only the machine's root may attach.
    let rules = if v2 { host.is_privileged() } else { writable("devices") };
    if !rules && resources.remove("devices").is_some() {
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

/// `{"weight": 0}` and the like limit nothing.
fn limits_something(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.values().any(limits_something),
        Value::Array(list) => !list.is_empty(),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Bool(on) => *on,
        _ => true,
    }
}
