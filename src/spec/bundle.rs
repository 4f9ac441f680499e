//! What does a bundle ask for? Its config.json is read with nothing taken on trust: bounded, every fault with
//! its place, and every field that is not obeyed is said.
//!
//! Next: `check`, the rules that the types alone do not hold.

use super::annotations::{self, Ours};
use super::cgroup::{self, Write};
use super::container::{Container, Layers, Note, Store, directory};
use super::options::{Network, Options};
use super::resources::cgroups_path;
use super::values::is_name;
use super::{Error, caps, check, default, fit, json, mount};
use crate::host::{Host, cgroup::Mode};
use oci_spec::runtime::{LinuxNamespaceBuilder, LinuxNamespaceType, LinuxResources, Mount, Spec};
use serde_json::{Map, Value};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// What is read, understood and then not done. A field leaves this table when a stage obeys it.
const NOT_OBEYED: [(&str, &str, &str); 15] = [
    (
        "/hooks",
        "exec",
        "hooks are not run: no program of the host is started but the container's own command",
    ),
    ("/linux/intelRdt", "cgroup", "intelRdt (resctrl) is not set"),
    ("/linux/memoryPolicy", "limits", "set_mempolicy(2) is not called"),
    ("/linux/netDevices", "veth", "no interface of the host is moved inside"),
    ("/linux/personality", "exec", "personality(2) is not called"),
    ("/linux/mountLabel", "mounts", "no SELinux context is given to mounts"),
    ("/linux/seccomp/listenerPath", "seccomp", "no listener is told of calls (SCMP_ACT_NOTIFY)"),
    ("/process/ioPriority", "limits", "ioprio_set(2) is not called"),
    ("/process/scheduler", "limits", "sched_setattr(2) is not called"),
    ("/process/execCPUAffinity", "limits", "sched_setaffinity(2) is not called"),
    ("/process/commandLine", "exec", "it is Windows'; args is used"),
    ("/solaris", "image", "this is Linux"),
    ("/windows", "image", "this is Linux"),
    ("/vm", "image", "no virtual machine is started"),
    ("/zos", "image", "this is Linux"),
];

/// The same as text, for `learnctr spec --help`.
pub fn not_obeyed() -> String {
    let line = |(pointer, _, why): &(&str, &str, &str)| {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        format!("\n  {field:<28} {why}")
    };
    let lines: String = NOT_OBEYED.iter().map(line).collect();
    format!("Fields of config.json that are read, and said to be not obeyed:{lines}")
}

/// The container that a bundle describes.
pub fn container(dir: &Path, options: &Options, host: &Host, id: &str) -> Result<Container, Error> {
    let dir = directory("--bundle", dir)?;
    let file = dir.join("config.json");
    let bytes = read(&file)?;
    let file = file.display().to_string();
    let (mut spec, mut notes) = parse(&bytes, &file)?;
    let ours = annotations::read(&spec)?;
    for mount in spec.mounts_mut().iter_mut().flatten().filter(|mount| mount::is_bind(mount)) {
        // A relative source is the bundle's; joining leaves an absolute one as it is.
        let source = mount.source().as_ref().map(|source| dir.join(source));
        mount.set_source(source);
    }
    with_group(&mut spec, options, host, id);
    let network = network(&mut spec, options.network, &ours, host, &mut notes)?;
    fit::fit(&mut spec, host, &mut notes)?;
    unlimited(&spec, host, &mut notes)?;
    // Once more: `--network host` may contradict what the description sets.
    check::check(&spec, &file, &mut Vec::new())?;
    if let (false, Some(process)) = (options.cmd.is_empty(), spec.process_mut()) {
        process.set_args(Some(options.cmd.clone()));
    }
    let own = host.dirs.data.join("containers").join(id);
    let layers = match &options.rootfs {
        Some(rootfs) => Some(Layers::at(vec![directory("--rootfs", rootfs)?], &own)),
        None if !ours.lower.is_empty() => Some(Layers::at(ours.lower.clone(), &own)),
        None => None,
    };
    if let Some(root) = spec.root_mut() {
        let path = match &layers {
            Some(layers) => layers.merged.clone(),
            None => directory("root.path", &dir.join(root.path()))?,
        };
        root.set_path(path);
    }
    let volumes = renewed(&mut spec, &ours, host, id);
    if let Some(elsewhere) = volumes.iter().find(|volume| !is_kept_volume(volume, host, id)) {
        let data = host.dirs.data.display();
        let expected = format!(
            "a volume that is kept below {data}/volumes: a bundle makes no other directory on this machine (make it yourself, \
             or --volume SOURCE:PATH without --bundle)"
        );
        return Err(Error::new(annotations::VOLUMES, format!("found {elsewhere:?}"), expected));
    }
    Ok(Container {
        id: id.to_owned(),
        spec,
        image: match ours.image {
            Some(owner) if options.rootfs.is_none() => Some(Store { dir: host.dirs.data.clone(), owner }),
            _ => None,
        },
        layers,
        docker_filter: None,
        network,
        init: options.init || ours.init,
        user: ours.user,
        groups: ours.groups,
        volumes,
        notes,
    })
}

/// What is limited or shows its group needs one, also where the description leaves its name to the runtime.
fn with_group(spec: &mut Spec, options: &Options, host: &Host, id: &str) {
    let group = |mount: &Mount| matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2"));
    let shown = spec.mounts().iter().flatten().any(group);
    let Some(linux) = spec.linux_mut() else { return };
    let unnamed = linux.cgroups_path().as_ref().is_none_or(|path| path.as_os_str().is_empty());
    let limits = linux.resources().as_ref().is_some_and(|all| *all != LinuxResources::default());
    if unnamed {
        linux.set_cgroups_path((limits || shown).then(|| cgroups_path(options, host, id).into()));
    }
}

/// What is asked of a version of control groups, or of a controller, that is not here.
fn unlimited(spec: &Spec, host: &Host, notes: &mut Vec<Note>) -> Result<(), Error> {
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let Some(resources) = resources else { return Ok(()) };
    let (limits, version) = match host.cgroup.mode {
        Mode::V2 => (cgroup::v2(resources)?, 2),
        _ => (cgroup::v1(resources)?, 1),
    };
    notes.extend(limits.notes);
    let here = |name: &str| host.cgroup.controller(name).is_some_and(|found| found.version == version);
    let mut lost: Vec<&cgroup::Write> = limits.writes.iter().collect();
    lost.retain(|write| write.controller != "cgroup" && !here(&write.controller));
    notes.extend(lost.into_iter().map(|Write { controller, file, value, .. }| {
        let why = format!("no group with the controller {controller} can be made here");
        Note::new("cgroup", format!("linux.resources: {value:?} is not written to {file}: {why}"))
    }));
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let refused = |why: String| Error::new(file.display().to_string(), why, "a config.json of an OCI bundle");
    // Opening a pipe would wait for a writer.
    if std::fs::metadata(file).is_ok_and(|about| about.file_type().is_fifo()) {
        return Err(refused("a pipe".into()));
    }
    super::read(file).map_err(|error| refused(error.to_string()))
}

/// A config.json from its bytes, whatever they are; `file` is its name in errors.
pub fn parse(bytes: &[u8], file: &str) -> Result<(Spec, Vec<Note>), Error> {
    let mut notes = Vec::new();
    let mut config: Value = serde_json::from_slice(bytes).map_err(|error| {
        let at = format!("{file}: line {}, column {}", error.line(), error.column());
        Error::new(at, error.to_string(), "JSON, as `learnctr spec` prints it")
    })?;
    let Some(fields) = config.as_object_mut() else {
        let expected = "an object, as `learnctr spec` prints it";
        return Err(Error::new(file, format!("found {}", json::excerpt(&config)), expected));
    };
    // To Go, from which config.json comes, null and a field that is not there are the same.
    fields.values_mut().for_each(without_null);
    // To Go, an empty name is one that is not there.
    let unnamed = |key: &str, value: &Value| matches!(key, "hostname" | "domainname") && value == "";
    fields.retain(|key, value| !value.is_null() && !unnamed(key, value));
    relative_destinations(fields, &mut notes);
    let namespaces = fields.get_mut("linux").and_then(|linux| linux.get_mut("namespaces")?.as_array_mut());
    for namespace in namespaces.into_iter().flatten().filter_map(Value::as_object_mut) {
        namespace.retain(|key, value| key != "path" || value != "");
    }
    if let Some(process) = fields.get_mut("process").and_then(Value::as_object_mut) {
        process.entry("user").or_insert_with(|| Map::new().into());
        // `false` written out is the same as nothing, to every runtime but one.
        if process.get("noNewPrivileges") == Some(&Value::Bool(false)) {
            process.remove("noNewPrivileges");
        }
        unknown_capabilities(process, &mut notes);
    }
    for (pointer, stage, why) in NOT_OBEYED {
        if config.pointer(pointer).is_some_and(|value| !json::is_empty(value)) {
            let path = pointer.trim_start_matches('/').replace('/', ".");
            notes.push(Note::new(stage, format!("{path} in config.json is not obeyed: {why}")));
        }
    }
    let spec: Spec = json::from_value(config.clone(), file)?;
    let known = serde_json::to_value(&spec).unwrap_or_default();
    unknown_fields(&config, &known, "", &mut notes);
    check::check(&spec, file, &mut notes)?;
    Ok((spec, notes))
}

fn without_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(without_null);
            fields.retain(|_, value| !value.is_null());
        }
        Value::Array(list) => list.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// Older tools wrote them; OCI 1.2 says what they mean.
fn relative_destinations(fields: &mut Map<String, Value>, notes: &mut Vec<Note>) {
    let mounts = fields.get_mut("mounts").and_then(Value::as_array_mut);
    for (index, mount) in mounts.into_iter().flatten().enumerate() {
        let Some(destination) = mount.get_mut("destination") else { continue };
        if let Some(path) = destination.as_str().filter(|path| !path.is_empty() && !path.starts_with('/')) {
            let absolute = format!("/{path}");
            let text =
                format!("mounts[{index}].destination: {path:?} is no absolute path; {absolute:?} is meant");
            notes.push(Note::new("mounts", text));
            *destination = absolute.into();
        }
    }
}

/// A capability that this program does not know is no fault, as to runc: it may be newer.
fn unknown_capabilities(process: &mut Map<String, Value>, notes: &mut Vec<Note>) {
    let sets = process.get_mut("capabilities").and_then(Value::as_object_mut);
    for (set, names) in sets.into_iter().flatten() {
        if let Some(names) = names.as_array_mut() {
            names.retain(|name| {
                let unknown = name.as_str().filter(|name| caps::number(name).is_none());
                if let Some(name) = unknown {
                    let text =
                        format!("process.capabilities.{set}: {name:?} is no known capability, and left out");
                    notes.push(Note::new("caps", text));
                }
                unknown.is_none()
            });
        }
    }
}

/// What was in the file and is not in what was understood of it.
fn unknown_fields(given: &Value, known: &Value, path: &str, notes: &mut Vec<Note>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (key, value) in given {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match known.get(key) {
                    Some(known) => unknown_fields(value, known, &path, notes),
                    None => {
                        let text = format!(
                            "{path} in config.json is no field of OCI's that is known here, and ignored"
                        );
                        notes.push(Note::new("image", text));
                    }
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                unknown_fields(given, known, &format!("{path}[{index}]"), notes);
            }
        }
        _ => {}
    }
}

/// `--network`, else what `learnctr spec` wrote down, else what the namespaces say; and the namespaces made so.
fn network(
    spec: &mut Spec,
    asked: Option<Network>,
    ours: &Ours,
    host: &Host,
    notes: &mut Vec<Note>,
) -> Result<Network, Error> {
    let Some(linux) = spec.linux_mut() else { return Ok(Network::Host) };
    let mut namespaces = linux.namespaces().clone().unwrap_or_default();
    let found = namespaces.iter().find(|namespace| namespace.typ() == LinuxNamespaceType::Network);
    let joined = found.is_some_and(|namespace| namespace.path().is_some());
    let implied = if found.is_some() { Network::None } else { Network::Host };
    let mut network = match (asked, ours.network) {
        (Some(_), _) if joined => {
            let at = "--network";
            return Err(Error::new(at, "the bundle joins a network namespace that is there", "no --network"));
        }
        (Some(asked), _) => asked,
        (None, Some(said)) if !joined && (said == Network::Host) == (implied == Network::Host) => said,
        _ => implied,
    };
    if network == Network::Veth && !default::can_have_veth(asked, host) {
        notes.push(Note::new("veth", default::NO_VETH));
        network = Network::None;
    }
    if network == Network::Host {
        namespaces.retain(|namespace| namespace.typ() != LinuxNamespaceType::Network);
    } else if found.is_none() {
        namespaces.push(
            LinuxNamespaceBuilder::default().typ(LinuxNamespaceType::Network).build().unwrap_or_default(),
        );
    }
    linux.set_namespaces(Some(namespaces));
    Ok(network)
}

/// A named volume, or one of the container's own: nothing that a container could have put a symlink into is in its path.
fn is_kept_volume(volume: &Path, host: &Host, id: &str) -> bool {
    let is_in = |dir: PathBuf, name: &str| dir.join(name) == volume && is_name(name);
    volume.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
        is_in(host.dirs.data.join("volumes"), name)
            || is_in(host.dirs.data.join("containers").join(id), name) && name.starts_with("volume")
    })
}

/// A printed description is of one container; what was named by its id is named by the new one's. Returns
/// the directories to be made for volumes.
fn renewed(spec: &mut Spec, ours: &Ours, host: &Host, id: &str) -> Vec<PathBuf> {
    let Some(old) = &ours.id else { return ours.volumes.clone() };
    if let Some(linux) = spec.linux_mut()
        && let Some(path) = linux.cgroups_path().as_ref().filter(|path| path.ends_with(old))
    {
        let renamed = path.with_file_name(id);
        linux.set_cgroups_path(Some(renamed));
    }
    let dir = host.dirs.data.join("containers");
    let (old, new) = (dir.join(old), dir.join(id));
    let moved = |path: &PathBuf| match path.strip_prefix(&old) {
        Ok(rest) => new.join(rest),
        Err(_) => path.clone(),
    };
    for mount in spec.mounts_mut().iter_mut().flatten() {
        let source = mount.source().as_ref().map(&moved);
        mount.set_source(source);
    }
    ours.volumes.iter().map(moved).collect()
}
