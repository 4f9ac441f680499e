//! What is one process, seen from two sides? The host's list and the container's own look (5.1.2): the same object
//! has the same key on both.
//!
//! Next: `illusions`.

use super::{Drawing, Shown};
use crate::web::scene::{Link, Panel, Row, Scene, Side, Tone, part};

pub const DRAWING: Drawing = Drawing {
    id: "anatomy",
    title: "One process, two worlds",
    section: "5.1.2",
    stages: &["clone", "cgroup", "veth", "pivot-root", "hostname", "exec"],
    draw,
};

fn draw(shown: &Shown) -> Scene {
    let mut scene = Scene { says: says(shown), ..Scene::default() };
    scene.columns = vec![vec![host(shown)], vec![kernel(shown)], vec![container(shown)]];
    scene.links =
        vec![Link::new("host/process:1", "container/process:1", "the same process").same("process:1")];
    scene
}

fn says(shown: &Shown) -> String {
    let own =
        shown.view.outside.namespaces.values().filter_map(|ns| ns.value()).filter(|ns| !ns.host).count();
    let pids = shown.view.outside.pids.value().cloned().unwrap_or_default();
    match (pids.first(), pids.last()) {
        (Some(outside), Some(inside)) if pids.len() > 1 => {
            format!(
                "The host counts it as {outside}, it counts itself as {inside}; {own} of its namespaces are its own."
            )
        }
        (Some(pid), _) => {
            format!("Process {pid} has one number everywhere; {own} of its namespaces are its own.")
        }
        _ => "Its numbers could not be read.".to_owned(),
    }
}

fn host(shown: &Shown) -> Panel {
    let outside = &shown.view.outside;
    let mut panel = Panel::new("host", Side::Host, "The host sees")
        .row(
            Row::read("pid", "/outside/pids", &outside.pids, |pids| {
                pids.first().map(i32::to_string).unwrap_or_default()
            })
            .same("process", 1),
        )
        .row(Row::read("name", "/outside/name", &outside.name, String::clone))
        .row(Row::read("user", "/outside/ids", &outside.ids, |ids| format!("uid {}", ids.uid.effective)))
        .row(Row::read("executable", "/outside/executable", &outside.executable, String::clone));
    if let Some(root) = outside.root.value() {
        let on_host = root.on_host.as_deref().unwrap_or("nowhere that the host can name");
        let fact = root.on_host.as_ref().map(|_| "/outside/root/value/on_host".to_owned());
        panel.rows.push(Row { fact, ..Row::new("root", on_host).same("root", 1) });
    }
    if let Some(hostname) = outside.hostname.value() {
        panel.rows.push(Row::new("hostname", hostname).fact("/outside/hostname/value"));
    }
    panel
}

fn kernel(shown: &Shown) -> Panel {
    let rows = shown.view.outside.namespaces.iter().map(|(kind, reading)| {
        let at = format!("/outside/namespaces/{}", part(kind));
        match reading.get() {
            Ok(ns) => Row::new(kind, ns.id.to_string())
                .fact(format!("{at}/value/id"))
                .same("ns", ns.id)
                .tone(if ns.host { Tone::Shared } else { Tone::Own }),
            Err(errno) => Row::refused(kind, errno).fact(format!("{at}/refused")),
        }
    });
    Panel::new("kernel", Side::Kernel, "Namespaces").rows(rows)
}

fn container(shown: &Shown) -> Panel {
    let mut panel = Panel::new("container", Side::Container, "The container sees");
    panel.rows.push(
        Row::read("pid", "/outside/pids", &shown.view.outside.pids, |pids| {
            pids.last().map(i32::to_string).unwrap_or_default()
        })
        .same("process", 1),
    );
    if let Some(inside) = &shown.view.inside {
        panel.rows.push(Row::read("hostname", "/inside/hostname", &inside.hostname, String::clone));
    }
    panel
}
