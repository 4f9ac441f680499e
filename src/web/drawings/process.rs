//! Is a container just a process? A regular process and the containerized one, row by row (5.3.2): both asked the same
//! questions at the kernel, and where the answers differ it is marked.
//!
//! Next: `lifecycle`.

use super::budget::RESOURCES;
use super::{Draw, Drawing, Shown};
use crate::kernel::Errno;
use crate::probes::capabilities;
use crate::probes::ids::Ids;
use crate::terminal::text::list;
use crate::view::KernelView;
use crate::web::scene::{Panel, Row, Scene, Side, Tone, part};

pub const DRAWING: Drawing = Drawing {
    id: "process",
    title: "Process or container",
    section: "5.3.2",
    stages: &["clone", "cgroup", "pivot-root", "limits", "seccomp", "caps", "exec"],
    draw: Draw::Process(draw),
};

/// Each question gives one row for any process.
static QUESTIONS: [fn(&KernelView) -> Row; 21] = [
    program,
    |view| number(view, "pid, outside", |_| 0),
    |view| number(view, "pid, to itself", |last| last),
    processes,
    interfaces,
    root,
    entries,
    mounts,
    devices,
    hostname,
    |view| {
        let uid = |ids: &Ids| format!("uid {}", ids.uid.effective);
        Row::read("user, outside", "/outside/ids", &view.outside.ids, uid)
            .fact("/outside/ids/value/uid/effective")
    },
    user,
    namespaces,
    capabilities,
    |view| {
        Row::read("seccomp", "/outside/seccomp", &view.outside.seccomp, |seccomp| seccomp.mode.clone())
            .fact("/outside/seccomp/value/mode")
    },
    |view| {
        let yes = |one: &bool| if *one { "yes" } else { "no" }.to_owned();
        Row::read("no_new_privs", "/outside/no_new_privs", &view.outside.no_new_privs, yes)
    },
    |view| lsm(view, "LSM label"),
    cgroup,
    |view| resource(view, 0),
    |view| resource(view, 1),
    |view| resource(view, 2),
];

fn draw(shown: &Shown) -> Scene {
    let mut theirs = ask(shown.view);
    let regular = shown.run.begun.as_ref().and_then(|begun| begun.regular.as_deref());
    let Some(regular) = regular else {
        let says = "The trace was recorded without a regular process beside it; this is the process alone.";
        let columns = vec![vec![second(shown).rows(theirs)]];
        return Scene { says: says.to_owned(), columns, ..Scene::default() };
    };
    let mut plain = ask(regular);
    for (left, right) in plain.iter_mut().zip(&mut theirs) {
        if left.value != right.value {
            (left.tone, right.tone) = (Tone::Differs, Tone::Differs);
        }
        left.fact = left.fact.take().map(|fact| format!("/regular{fact}"));
    }
    let differing = theirs.iter().filter(|row| row.tone == Tone::Differs).count();
    let all = theirs.len();
    let says = match shown.apart {
        true => format!("The same {all} questions, asked of both: {differing} answers differ."),
        false => format!(
            "There is no container yet: both are learnctr itself, at two moments, and {differing} of {all} answers differ."
        ),
    };
    let first = Panel::new("regular", Side::Host, "A regular process").rows(plain);
    Scene {
        says,
        columns: vec![vec![first], vec![second(shown).rows(theirs)]],
        aligned: true,
        ..Scene::default()
    }
}

fn second(shown: &Shown) -> Panel {
    match shown.apart {
        true => Panel::new("container", Side::Container, "The containerized process"),
        false => Panel::new("container", Side::Host, "Not yet a container"),
    }
}

fn ask(view: &KernelView) -> Vec<Row> {
    QUESTIONS.iter().map(|question| question(view)).collect()
}

/// What only a look from the inside can tell.
fn unseen(label: &str) -> Row {
    Row::new(label, "the inside was not looked at").tone(Tone::Off)
}

fn program(view: &KernelView) -> Row {
    Row::read("program", "/outside/executable", &view.outside.executable, String::clone)
}

fn number(view: &KernelView, label: &str, which: fn(usize) -> usize) -> Row {
    let pids = &view.outside.pids;
    let at = which(pids.value().map_or(0, |pids| pids.len().saturating_sub(1)));
    let row =
        Row::read(label, "/outside/pids", pids, |pids| pids.get(at).map(i32::to_string).unwrap_or_default());
    match pids.value() {
        Some(_) => row.fact(format!("/outside/pids/value/{at}")).same("process", view.pid),
        None => row,
    }
}

fn processes(view: &KernelView) -> Row {
    let label = "processes seen";
    let Some(inside) = &view.inside else { return unseen(label) };
    let row = Row::read(label, "/inside/processes", &inside.processes, |seen| match seen.named.is_empty() {
        true => seen.count.to_string(),
        false => {
            let names = seen.named.iter().map(|(pid, name)| format!("{pid} {name}"));
            format!("{}: {}", seen.count, list(names, ", ", 4))
        }
    });
    match inside.processes.value() {
        Some(_) => row.fact("/inside/processes/value/count"),
        None => row,
    }
}

fn interfaces(view: &KernelView) -> Row {
    let label = "interfaces seen";
    let Some(inside) = &view.inside else { return unseen(label) };
    match inside.interfaces.get() {
        Ok(all) => {
            let told = all.iter().map(|(name, one)| match one.addresses.first() {
                Some(address) => format!("{name} {address}"),
                None => name.clone(),
            });
            Row::new(label, format!("{}: {}", all.len(), list(told, ", ", 4)))
        }
        Err(errno) => Row::refused(label, errno).fact("/inside/interfaces/refused"),
    }
}

fn root(view: &KernelView) -> Row {
    match view.outside.root.get() {
        Ok(root) => match &root.on_host {
            Some(path) => Row::new(
                if root.filesystem.as_deref() == Some("overlay") {
                    "/ is written at"
                } else {
                    "its / outside"
                },
                path,
            )
            .fact("/outside/root/value/on_host"),
            None => Row::new("its / outside", "at no path of the host’s"),
        },
        Err(errno) => Row::refused("its / outside", errno).fact("/outside/root/refused"),
    }
}

fn entries(view: &KernelView) -> Row {
    let label = "in its /";
    let Some(inside) = &view.inside else { return unseen(label) };
    match inside.root.get() {
        Ok(root) => {
            let count = root.entries.len();
            let more = if root.more { "more than " } else { "" };
            Row::new(label, format!("{more}{count}: {}", list(root.entries.keys(), " ", 9)))
        }
        Err(errno) => Row::refused(label, errno).fact("/inside/root/refused"),
    }
}

fn mounts(view: &KernelView) -> Row {
    match view.outside.mounts.get() {
        Ok(mounts) => Row::new("mounts", mounts.len().to_string()),
        Err(errno) => Row::refused("mounts", errno).fact("/outside/mounts/refused"),
    }
}

fn devices(view: &KernelView) -> Row {
    let label = "devices in /dev";
    let Some(inside) = &view.inside else { return unseen(label) };
    match inside.devices.get() {
        Ok(dev) => {
            let is_device = |kind: &str| kind.ends_with(" device");
            let names: Vec<&String> =
                dev.entries.iter().filter(|(_, one)| is_device(&one.kind)).map(|(name, _)| name).collect();
            let more = if dev.more { "more than " } else { "" };
            Row::new(label, format!("{more}{}: {}", names.len(), list(names, " ", 7)))
        }
        Err(errno) => Row::refused(label, errno).fact("/inside/devices/refused"),
    }
}

fn hostname(view: &KernelView) -> Row {
    match &view.inside {
        Some(inside) => Row::read("hostname", "/inside/hostname", &inside.hostname, String::clone),
        None => unseen("hostname"),
    }
}

fn user(view: &KernelView) -> Row {
    let label = "user, to itself";
    let Some(inside) = &view.inside else { return unseen(label) };
    let row = Row::read(label, "/inside/ids", &inside.ids, |ids| format!("uid {}", ids.uid.effective));
    match inside.ids.value() {
        Some(_) => row.fact("/inside/ids/value/uid/effective"),
        None => row,
    }
}

fn namespaces(view: &KernelView) -> Row {
    let kinds = view.outside.namespaces.iter().filter(|(kind, _)| !kind.ends_with("_for_children"));
    let own: Vec<&String> =
        kinds.filter(|(_, one)| one.value().is_some_and(|ns| !ns.host)).map(|(kind, _)| kind).collect();
    match own.len() {
        0 => Row::new("own namespaces", "none"),
        count => Row::new("own namespaces", format!("{count}: {}", list(own, " ", 10))),
    }
}

fn capabilities(view: &KernelView) -> Row {
    let all = capabilities::names((1 << 41) - 1).len();
    match view.outside.capabilities.get() {
        Ok(sets) => match sets.get("effective") {
            Some(set) => Row::new("capabilities", format!("{} of {all} ({})", set.names.len(), set.hex))
                .fact("/outside/capabilities/value/effective/hex"),
            None => Row::new("capabilities", "not recorded").tone(Tone::Off),
        },
        Err(errno) => Row::refused("capabilities", errno).fact("/outside/capabilities/refused"),
    }
}

/// EINVAL is what a kernel says that has no LSM which labels processes.
pub fn lsm(view: &KernelView, label: &str) -> Row {
    let row = Row::read(label, "/outside/lsm_label", &view.outside.lsm_label, String::clone);
    match view.outside.lsm_label.get() {
        Err(Errno::EINVAL) => Row { value: "none (EINVAL)".to_owned(), ..row.tone(Tone::Plain) },
        _ => row,
    }
}

fn cgroup(view: &KernelView) -> Row {
    let groups = match view.outside.cgroups.get() {
        Ok(groups) => groups,
        Err(errno) => return Row::refused("cgroup", errno).fact("/outside/cgroups/refused"),
    };
    match super::telling(groups) {
        Some((key, group)) => Row::new("cgroup", &group.path)
            .fact(format!("/outside/cgroups/value/{}/path", part(key)))
            .same("cgroup", &group.path),
        None => Row::new("cgroup", "none").tone(Tone::Off),
    }
}

fn resource(view: &KernelView, which: usize) -> Row {
    RESOURCES.get(which).map_or_else(|| Row::new("", ""), |one| one.limit(view))
}
