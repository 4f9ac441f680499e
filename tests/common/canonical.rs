//! How does a recording become the same on every machine? What belongs to the container is kept; what is this
//! machine's own (numbers, times, paths, its processes and interfaces) becomes a name or `the host's`.
//!
//! Next: `tests/live_snapshots`, which keeps what comes out.
#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Map, Value, json};

/// Names for what differs from machine to machine, in text: the container's id, its directories, its pair.
pub struct Names {
    replaced: Vec<(String, &'static str)>,
}

impl Names {
    /// The names of one container: its id, and where learnctr's data is.
    pub fn new(id: &str, data: &str) -> Names {
        let pair = format!("lc{id}").chars().take(12).collect::<String>();
        let replaced = vec![(data.to_owned(), "DATA"), (pair, "lcID"), (id.to_owned(), "ID")];
        Names { replaced }
    }

    /// The text with its numbers of this machine replaced: process ids, addresses, and the names above.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (found, name) in &self.replaced {
            text = text.replace(found.as_str(), name);
        }
        // Which hierarchies there are, and which of them is the first, is the machine's affair.
        let mut parts = text.split("/sys/fs/cgroup/");
        let mut named = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            named.push_str("/sys/fs/cgroup/");
            match part.split_once("/learnctr-") {
                Some((hierarchy, group)) if !hierarchy.contains(['/', '"', ' ']) => {
                    named.push_str("…/learnctr-");
                    named.push_str(group);
                }
                _ => named.push_str(part),
            }
        }
        text = named;
        // Where a long text is cut depends on how long this machine's paths are.
        if let Some((before, _)) = text.split_once("lowerdir=") {
            text = format!("{before}lowerdir=…");
        }
        text.split_inclusive([' ', '"', '/', ',', '\n', ')', '=', '\t']).map(word).collect()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(all) => all.iter().map(|one| self.value(one)).collect(),
            Value::Object(all) => {
                all.iter().map(|(key, one)| (self.text(key), self.value(one))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }
}

/// One word and the separator after it: an address of a private network becomes `IP`.
fn word(word: &str) -> String {
    let end = word.trim_end_matches([' ', '"', '/', ',', '\n', ')', '=', '\t']);
    let is_address = end.split('.').count() == 4 && end.split('.').all(|part| part.parse::<u8>().is_ok());
    let is_ours = ["10.", "172.", "192.168."].iter().any(|net| end.starts_with(net));
    if is_address && is_ours { word.replacen(end, "IP", 1) } else { word.to_owned() }
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// The value of a probe, or the errno that it gave.
fn reading(vantage: &Value, probe: &str) -> Value {
    let reading = at(vantage, &format!("/{probe}"));
    match (reading.get("value"), reading.get("refused")) {
        (Some(value), _) => value.clone(),
        (_, Some(errno)) => json!({ "refused": errno }),
        _ => Value::Null,
    }
}

fn keep(value: &Value, wanted: impl Fn(&str, &Value) -> bool) -> Value {
    let Some(all) = value.as_object() else { return value.clone() };
    all.iter()
        .filter(|(key, one)| wanted(key, one))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect::<Map<_, _>>()
        .into()
}

const HOSTS: &str = "the host's";

/// A view as it is on every machine; `id` is the container's.
pub fn view(view: &Value, names: &Names, id: &str) -> Value {
    let (outside, inside) = (at(view, "/outside"), at(view, "/inside"));
    let own = |kind: &str| at(outside, &format!("/namespaces/{kind}/value/host")) == &json!(false);
    let root = reading(outside, "root");
    let own_root = at(&root, "/on_host").as_str().is_some_and(|path| path.contains(id));
    let or_hosts = |is_own: bool, value: Value| if is_own { value } else { json!(HOSTS) };
    let name = |value: Value| match value.as_str() {
        // A program started by its descriptor is named after the descriptor's number.
        Some(text) if text.chars().all(|c| c.is_ascii_digit()) => json!("learnctr"),
        // The server says what it is in its name, a moment after it was started.
        Some(text) if text.starts_with("web: ") => json!("web"),
        _ => value,
    };
    let namespaces = at(outside, "/namespaces").as_object().cloned().unwrap_or_default();
    let namespaces: Map<_, _> = namespaces
        .iter()
        .filter(|(kind, _)| !kind.ends_with("_for_children"))
        .map(|(kind, one)| {
            let host = one.pointer("/value/host").and_then(Value::as_bool);
            (kind.clone(), json!(if host == Some(false) { "its own" } else { HOSTS }))
        })
        .collect();
    let pid = at(view, "/pid");
    let levels = reading(outside, "pids").as_array().cloned().unwrap_or_default();
    let levels: Vec<_> =
        levels.iter().enumerate().map(|(at, pid)| if at == 0 { json!("PID") } else { pid.clone() }).collect();
    let session = reading(outside, "session");
    let executed = own_root && at(outside, "/command_line/value/0") != &json!("learnctr: child");
    let view = json!({
        "outside": {
            "name": name(reading(outside, "name")),
            "working_directory": or_hosts(own_root, reading(outside, "working_directory")),
            "leads_its_session": at(&session, "/session") == pid,
            "pids": levels,
            "namespaces": namespaces,
            "ids": reading(outside, "ids").get("uid"),
            "uid_map": reading(outside, "uid_map"),
            "gid_map": reading(outside, "gid_map"),
            "root": or_hosts(own_root, root),
            "layers": layers(&reading(outside, "layers"), id),
            "mounts": mounts(&reading(outside, "mounts"), id, own_root),
            "cgroups": groups(&reading(outside, "cgroups"), id),
            "capabilities": capabilities(&reading(outside, "capabilities")),
            "no_new_privs": reading(outside, "no_new_privs"),
            "seccomp": reading(outside, "seccomp").get("mode"),
            "umask": if own_root { reading(outside, "umask") } else { json!("its maker's") },
            "blocked_signals": blocked(&reading(outside, "signals")),
            "environment": if executed { reading(outside, "environment") } else { json!("learnctr's") },
            "host_network": ends(&reading(outside, "host_network/ends"), &reading(inside, "interfaces")),
        },
        "inside": {
            "hostname": if at(inside, "/hostname/value") == at(outside, "/hostname/value") {
                json!(HOSTS)
            } else {
                reading(inside, "hostname")
            },
            "ids": reading(inside, "ids").get("uid"),
            "cgroups": paths(&reading(inside, "cgroups"), id),
            "processes": or_hosts(own_root, named(&reading(inside, "processes"), name)),
            "root": or_hosts(own_root, entries(&reading(inside, "root"))),
            "devices": or_hosts(own_root, entries(&reading(inside, "devices"))),
            "interfaces": or_hosts(own("net"), interfaces(&reading(inside, "interfaces"))),
            "routes": or_hosts(own("net"), routes(&reading(inside, "routes"))),
            "files": {
                "/etc/hostname": or_hosts(own_root, at(inside, "/files/~1etc~1hostname/value").clone()),
                "/etc/hosts": or_hosts(own_root, at(inside, "/files/~1etc~1hosts/value").clone()),
            },
        },
    });
    names.value(&view)
}

/// Where each layer is, and what is in it; but for /usr, which has this machine's tools.
fn layers(layers: &Value, id: &str) -> Value {
    if !at(layers, "/upper/path").as_str().is_some_and(|path| path.contains(id)) {
        return json!({});
    }
    let mut kept = Map::new();
    for (name, one) in layers.as_object().into_iter().flatten() {
        let entries = keep(at(one, "/contents/value/entries"), |path, _| {
            path != "lib64"
                && !path.starts_with("usr")
                && !path.starts_with("etc/ld-musl-")
                && path != "etc/terminfo"
        });
        kept.insert(name.clone(), json!({ "path": at(one, "/path"), "entries": entries, "below": at(one, "/contents/value/below") }));
    }
    kept.into()
}

/// The host's ends, and which interface inside is the other end of each.
fn ends(ends: &Value, inside: &Value) -> Value {
    let mut kept = interfaces(ends);
    for (name, one) in ends.as_object().into_iter().flatten() {
        let meets = |other: &Value| {
            at(other, "/index") == at(one, "/peer") && at(other, "/peer") == at(one, "/index")
        };
        let other = inside.as_object().into_iter().flatten().find(|(_, other)| meets(other));
        kept[name.as_str()]["other_end"] = json!(other.map(|(name, _)| name));
    }
    kept
}

/// Without those that the server waits for with sigwait(3): it blocks them a moment after it was started.
fn blocked(signals: &Value) -> Value {
    let blocked = at(signals, "/blocked").as_array().into_iter().flatten().filter_map(Value::as_str);
    json!(
        blocked
            .filter(|name| !["SIGINT", "SIGQUIT", "SIGTERM", "SIGCHLD"].contains(name))
            .collect::<Vec<_>>()
    )
}

/// Process 1; how many more there are depends on how far it has come.
fn named(seen: &Value, name: impl Fn(Value) -> Value) -> Value {
    json!({ "1": name(at(seen, "/named/1").clone()) })
}

/// Those of the container: below its root while that is not yet the root, all of them then.
fn mounts(mounts: &Value, id: &str, own_root: bool) -> Value {
    let merged = format!("{id}/merged");
    let mut kept = Map::new();
    for (path, one) in mounts.as_object().into_iter().flatten() {
        let below = path.split_once(&merged).map(|(_, below)| below);
        let path = match (below, own_root) {
            (Some(below), _) => format!("ROOT{below}"),
            (None, true) => path.clone(),
            (None, false) => continue,
        };
        let place = path.trim_start_matches("ROOT");
        // Which of these are there depends on the kernel's configuration and on the machine's hierarchies.
        let sure =
            ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/sys/fs/cgroup", "/sys/fs/cgroup/memory"];
        if (place.starts_with("/proc/") || place.starts_with("/sys/")) && !sure.contains(&place) {
            continue;
        }
        let said = |wanted: &[&str]| keep(one, |key, _| wanted.contains(&key));
        kept.insert(
            path.clone(),
            match (place.starts_with("/etc/"), at(one, "/filesystem").as_str()) {
                // Files of the host's own file system, whatever that is.
                (true, _) => {
                    let root = at(one, "/root").as_str().and_then(|root| root.split_once("/containers/"));
                    json!({ "root": root.map(|(_, kept)| kept), "propagation": at(one, "/propagation") })
                }
                (_, Some("overlay")) => said(&["filesystem", "propagation", "overlay"]),
                // The nodes of the host's /dev, bound one by one.
                (_, Some("devtmpfs")) => said(&["root", "propagation"]),
                _ => {
                    let mut told = said(&["filesystem", "root", "flags", "propagation"]);
                    told["options"] = options(at(one, "/options"));
                    told
                }
            },
        );
    }
    kept.into()
}

/// Without those that a kernel adds of its own accord.
fn options(options: &Value) -> Value {
    let known = ["size=", "mode=", "gid=", "ptmxmode="];
    let options = options.as_array().into_iter().flatten().filter_map(Value::as_str);
    json!(options.filter(|option| known.iter().any(|start| option.starts_with(start))).collect::<Vec<_>>())
}

/// The controllers that every machine has, each with the limits that a plan sets.
const CONTROLLERS: [&str; 5] = ["memory", "cpu", "pids", "devices", "freezer"];
const LIMITS: [&str; 6] =
    ["memory.max", "cpu.max", "pids.max", "memory.limit_in_bytes", "cpu.cfs_quota_us", "devices.list"];

fn groups(groups: &Value, id: &str) -> Value {
    let mut kept = Map::new();
    let alone = groups.as_object().is_some_and(|all| all.len() == 1);
    for one in groups.as_object().into_iter().flat_map(Map::values) {
        let is_own = at(one, "/path").as_str().is_some_and(|path| path.contains(id));
        let mut said = json!(HOSTS);
        if is_own {
            said = json!({ "limits": keep(at(one, "/limits"), |file, _| LIMITS.contains(&file)) });
            if let Some(frozen) = one.get("frozen") {
                said["frozen"] = frozen.clone();
            }
        }
        if alone {
            kept.insert("the one".to_owned(), said);
            break;
        }
        let controllers = at(one, "/controllers").as_array().cloned().unwrap_or_default();
        for controller in controllers.iter().filter_map(Value::as_str).filter(|c| CONTROLLERS.contains(c)) {
            kept.insert(controller.to_owned(), said.clone());
        }
    }
    kept.into()
}

/// As the process sees its groups: the root of its cgroup namespace, its own group, or another.
fn paths(paths: &Value, id: &str) -> Value {
    let all = paths.as_object().cloned().unwrap_or_default();
    let path =
        all.get("memory").or_else(|| all.iter().find(|(key, _)| key.contains("memory")).map(|(_, v)| v));
    match path.or(all.values().next()).and_then(Value::as_str) {
        Some(path) if path.contains(id) => json!("a group of its own"),
        Some("/") => json!("/"),
        _ => json!(HOSTS),
    }
}

fn capabilities(sets: &Value) -> Value {
    let mut kept = Map::new();
    for (name, set) in sets.as_object().into_iter().flatten() {
        let names = at(set, "/names").as_array().cloned().unwrap_or_default();
        // Which they are depends on the kernel's age and on who started this.
        let all = names.contains(&json!("CAP_SYS_ADMIN"));
        kept.insert(name.clone(), if all { json!("its maker's, with CAP_SYS_ADMIN") } else { set.clone() });
    }
    kept.into()
}

fn entries(seen: &Value) -> Value {
    let mut kept = Map::new();
    for (name, one) in at(seen, "/entries").as_object().into_iter().flatten() {
        let what = ["link", "device", "kind"].iter().find_map(|key| one.get(*key));
        kept.insert(name.clone(), what.cloned().unwrap_or_default());
    }
    // Its name is the machine's word size.
    kept.remove("lib64");
    kept.into()
}

fn interfaces(all: &Value) -> Value {
    let mut kept = Map::new();
    for (name, one) in all.as_object().into_iter().flatten() {
        // The kernel puts these into every network namespace where their modules are loaded.
        if name != "lo" && one.get("kind") != Some(&json!("veth")) {
            continue;
        }
        let addresses = at(one, "/addresses").as_array().cloned().unwrap_or_default();
        let addresses: Vec<_> =
            addresses.into_iter().filter(|a| a.as_str().is_some_and(|a| a.contains('.'))).collect();
        kept.insert(name.clone(), json!({ "up": one.get("up"), "addresses": addresses }));
    }
    kept.into()
}

fn routes(all: &Value) -> Value {
    keep(all, |to, _| !to.contains(':') && !to.contains("IPv6"))
}
