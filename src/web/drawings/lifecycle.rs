//! Where in its life is it? Created, running, paused, stopped, removed (5.4.1): the state is what the kernel says of the
//! process and of its group, not what the stage is called; where there is no process any more, what the run has done.
//!
//! Next: `files`.

use super::{Draw, Drawing};
use crate::engine::wire::Outcome;
use crate::probes::processes::Child;
use crate::terminal::text::clean;
use crate::view::KernelView;
use crate::web::run::{Made, Played, Progress, Run};
use crate::web::scene::{Link, Panel, Row, Scene, Side, State, Tone, part};
use std::collections::BTreeMap;

pub const DRAWING: Drawing = Drawing {
    id: "lifecycle",
    title: "From birth to death",
    section: "5.4.1",
    stages: &["image", "clone", "exec", "freeze", "thaw", "stop", "remove"],
    draw: Draw::Run(draw),
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    /// What it will stand on is there, no process yet.
    Prepared,
    /// Its process is there and waits; the command has not been executed.
    Created,
    Running,
    Paused,
    Stopped,
    Removed,
}

/// A box: which stage leads there first, and by which of its calls.
struct Place {
    id: &'static str,
    title: &'static str,
    stage: &'static str,
    calls: &'static [&'static str],
}

const CREATED: Place = Place {
    id: "created",
    title: "Created",
    stage: "image",
    calls: &["clone", "unshare", "setns", "execve"],
};
const RUNNING: Place = Place { id: "running", title: "Running", stage: "exec", calls: &["execve", "write"] };
const PAUSED: Place = Place { id: "paused", title: "Paused", stage: "freeze", calls: &["write"] };
const STOPPED: Place = Place { id: "stopped", title: "Stopped", stage: "stop", calls: &["kill"] };
const REMOVED: Place =
    Place { id: "removed", title: "Removed", stage: "remove", calls: &["rmdir", "unlinkat"] };

impl Life {
    fn place(self) -> &'static Place {
        match self {
            Life::Prepared | Life::Created => &CREATED,
            Life::Running => &RUNNING,
            Life::Paused => &PAUSED,
            Life::Stopped => &STOPPED,
            Life::Removed => &REMOVED,
        }
    }
}

/// The state in which a stage has left it.
fn life(run: &Run, number: usize) -> Option<Life> {
    let stage = run.stages.get(number).filter(|stage| stage.state == Progress::Done)?;
    let until = run.stages.get(..=number)?;
    let was = |id: &str| until.iter().any(|one| one.planned.stage == id && one.state == Progress::Done);
    if stage.pid.is_none() {
        return Some(Life::Prepared);
    }
    let Some(view) = stage.view.as_deref() else {
        return Some(if was("remove") { Life::Removed } else { Life::Stopped });
    };
    let ended = view.outside.state.value().is_some_and(|state| state.starts_with(['Z', 'X']));
    Some(match (ended, is_frozen(view)) {
        (true, _) => Life::Stopped,
        (false, true) => Life::Paused,
        // With an init the program is still this one: then only the plan knows that the command is there.
        (false, false) if was("exec") || executes_another(run, view) => Life::Running,
        (false, false) => Life::Created,
    })
}

fn is_frozen(view: &KernelView) -> bool {
    let groups = view.outside.cgroups.value();
    groups.is_some_and(|groups| groups.values().any(|group| group.frozen == Some(true)))
}

/// Whether its program is another than the one with which its process began.
fn executes_another(run: &Run, view: &KernelView) -> bool {
    let first = run.stages.iter().find(|stage| stage.pid.is_some()).and_then(|stage| stage.view.as_deref());
    let program = |view: &KernelView| view.outside.executable.value().cloned();
    match (first.and_then(program), program(view)) {
        (Some(first), Some(now)) => first != now,
        _ => false,
    }
}

/// Each stage that has brought it into another state.
fn turns(run: &Run, number: usize) -> Vec<(Life, &Played)> {
    let mut turns: Vec<(Life, &Played)> = Vec::new();
    for (at, stage) in run.stages.iter().enumerate().take(number + 1) {
        if let Some(life) = life(run, at)
            && turns.last().is_none_or(|(before, _)| *before != life)
        {
            // A short command has run and ended before it could be looked at.
            let ran = life == Life::Stopped && stage.planned.stage == RUNNING.stage;
            if ran && turns.last().is_none_or(|(before, _)| *before != Life::Running) {
                turns.push((Life::Running, stage));
            }
            turns.push((life, stage));
        }
    }
    turns
}

fn draw(run: &Run, number: usize) -> Option<Scene> {
    let stage = run.stages.get(number)?;
    let now = life(run, number)?;
    let turns = turns(run, number);
    let place = |place: &'static Place| {
        let is_now = now.place().id == place.id;
        let title = if is_now { format!("{} (now)", place.title) } else { place.title.to_owned() };
        let mut panel = Panel::new(place.id, Side::Container, title).stacked();
        for (_, stage) in turns.iter().filter(|(life, _)| life.place().id == place.id) {
            panel.rows.push(brought(stage, place.calls));
        }
        let state = match (is_now, panel.rows.is_empty()) {
            (true, _) => State::Lit,
            (false, true) => State::Off,
            (false, false) => State::Plain,
        };
        if panel.rows.is_empty() {
            let told = match run.position(place.stage) {
                Some(at) if at > number => format!("{} brings it here", place.stage),
                Some(_) => "it did not come here".to_owned(),
                None => not_planned(run, place.stage),
            };
            panel.rows.push(Row::new("", told).tone(Tone::Off));
        }
        panel.state(state)
    };
    let link = |from: &Place, to: &Place, label: &str| Link::new(from.id, to.id, label).arrow();
    Some(Scene {
        says: says(run, stage, now, &turns),
        columns: vec![
            vec![place(&CREATED)],
            vec![place(&RUNNING), place(&PAUSED)],
            vec![place(&STOPPED)],
            vec![place(&REMOVED)],
        ],
        links: vec![
            link(&CREATED, &RUNNING, "exec"),
            link(&RUNNING, &PAUSED, "freeze"),
            link(&PAUSED, &RUNNING, "thaw"),
            link(&RUNNING, &STOPPED, "stop"),
            link(&STOPPED, &REMOVED, "remove"),
        ],
        below: below(stage, now),
        ..Scene::default()
    })
}

/// Why no stage of the plan leads there.
fn not_planned(run: &Run, stage: &str) -> String {
    let mut left_out = run.begun.iter().flat_map(|begun| &begun.plan.left_out);
    match left_out.any(|id| id == stage) {
        true => format!("the stage {stage} was left out"),
        false if stage == PAUSED.stage => {
            format!("there is no stage {stage}: it was given no group with a freezer")
        }
        false => "no stage of this plan brings it here".to_owned(),
    }
}

fn says(run: &Run, stage: &Played, now: Life, turns: &[(Life, &Played)]) -> String {
    let since = turns.last().map_or(stage, |(_, turn)| *turn);
    let when = since.left.map(|at| format!(", {} after the start", after(at))).unwrap_or_default();
    let by = &since.planned.stage;
    match now {
        Life::Prepared => {
            format!("What it will stand on was made by {by}{when}; there is no process of its own yet.")
        }
        Life::Created => format!(
            "Created by {by}{when}: its process is there, and waits; its command has not been executed."
        ),
        Life::Running => {
            let again = turns.iter().filter(|(life, _)| *life == Life::Running).count() > 1;
            format!("Running{} since {by}{when}.", if again { " again" } else { "" })
        }
        Life::Paused => format!("Paused by {by}{when}: its group is frozen, its processes are all there."),
        Life::Stopped if by == RUNNING.stage => {
            let status = run.exited.map(|status| format!(", with status {status}")).unwrap_or_default();
            format!("Its command has run and ended by itself{status}.")
        }
        Life::Stopped => match run.exited {
            Some(status) => format!("Stopped by {by}{when}: its process has ended, with status {status}."),
            None => format!("Stopped by {by}{when}: its process has ended."),
        },
        Life::Removed => format!("Removed by {by}{when}: what had a name of its own on the host is gone."),
    }
}

fn after(micros: u64) -> String {
    match micros {
        0..1_000_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

/// When a stage brought it here, and with which call.
fn brought(stage: &Played, calls: &[&str]) -> Row {
    let told = calls.iter().find_map(|name| {
        stage.steps.iter().find(|made| {
            made.planned.step.starts_with(name)
                && matches!(made.outcome, Outcome::Done | Outcome::Forked { .. })
        })
    });
    let made = told.or(stage.steps.first());
    let at = made.map(|made| made.at).or(stage.left);
    let when = at.map_or_else(String::new, |at| format!(", {}", after(at)));
    Row::new(
        format!("{}{when}", stage.planned.stage),
        made.map_or_else(String::new, |made| call(made, stage.pid)),
    )
}

/// As it was made; a step that is none or several calls is told as it was planned.
fn call(made: &Made, pid: Option<i32>) -> String {
    match made.calls.as_slice() {
        [call] if !matches!(made.outcome, Outcome::Noted(_)) => clean(&call.to_string()),
        _ => made.planned.step.replace("{pid}", &pid.map(|pid| pid.to_string()).unwrap_or_default()),
    }
}

/// What there is of it now: on the host, in the kernel, inside.
fn below(stage: &Played, now: Life) -> Vec<Vec<Panel>> {
    let Some(view) = stage.view.as_deref().filter(|_| now != Life::Prepared) else {
        return vec![vec![steps(stage, now)]];
    };
    vec![vec![processes(view)], vec![kernel(view)], vec![inside(view)]]
}

/// Without a process there is only what was done.
fn steps(stage: &Played, now: Life) -> Panel {
    let title = match now {
        Life::Prepared => "There is no process of its own yet: what was made for it",
        _ => "There is no process any more: what was done",
    };
    let mut panel = Panel::new("done", Side::Host, title);
    for made in stage.steps.iter().take(16) {
        let row = Row::new("", call(made, stage.pid));
        panel.rows.push(match &made.outcome {
            Outcome::Done | Outcome::Forked { .. } => row,
            Outcome::Noted(note) => Row::new("", format!("{}: {note}", row.value)),
            Outcome::Refused(_) => row.tone(Tone::Refused),
        });
    }
    if let Some(more) = stage.steps.len().checked_sub(16).filter(|more| *more > 0) {
        panel.rows.push(Row::new("", format!("and {more} more")).tone(Tone::Off));
    }
    panel
}

fn processes(view: &KernelView) -> Panel {
    let outside = &view.outside;
    let mut panel = Panel::new("host", Side::Host, "The host’s processes of it").row(
        Row::read(&view.pid.to_string(), "/outside/name", &outside.name, String::clone)
            .same("process", view.pid),
    );
    if let Some(tree) = outside.processes.value() {
        panel.rows.extend(children(&tree.children, "/outside/processes/value/children"));
    }
    panel
}

fn children(tree: &BTreeMap<String, Child>, at: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (pid, child) in tree.iter().take(12) {
        let at = format!("{at}/{}", part(pid));
        rows.push(Row::new(pid, &child.name).fact(format!("{at}/name")).same("process", pid).indent(1));
        rows.extend(children(&child.children, &format!("{at}/children")));
    }
    rows
}

fn kernel(view: &KernelView) -> Panel {
    let outside = &view.outside;
    let mut panel = Panel::new("kernel", Side::Kernel, "The kernel")
        .row(Row::read("state", "/outside/state", &outside.state, String::clone))
        .row(Row::read("program", "/outside/executable", &outside.executable, String::clone));
    for (key, group) in outside.cgroups.value().into_iter().flatten() {
        if let Some(frozen) = group.frozen {
            let at = format!("/outside/cgroups/value/{}", part(key));
            let row = Row::new(format!("frozen ({key})"), if frozen { "yes" } else { "no" });
            panel.rows.push(row.fact(format!("{at}/frozen")).same("cgroup", &group.path));
        }
    }
    let own = outside.namespaces.iter().filter(|(kind, reading)| {
        !kind.ends_with("_for_children") && reading.value().is_some_and(|ns| !ns.host)
    });
    let own: Vec<&str> = own.map(|(kind, _)| kind.as_str()).collect();
    let told = if own.is_empty() { "none".to_owned() } else { own.join(" ") };
    panel.rows.push(Row::new("own namespaces", told));
    panel
}

fn inside(view: &KernelView) -> Panel {
    let mut panel = Panel::new("inside", Side::Container, "It sees itself as");
    match view.inside.as_ref().map(|inside| inside.processes.get()) {
        Some(Ok(seen)) => {
            for (pid, name) in seen.named.iter().take(12) {
                let fact = format!("/inside/processes/value/named/{}", part(pid));
                panel.rows.push(Row::new(pid, name).fact(fact));
            }
            if seen.named.len() < seen.count as usize || seen.named.len() > 12 {
                let row = Row::new("", format!("{} processes in all", seen.count));
                panel.rows.push(row.fact("/inside/processes/value/count"));
            }
        }
        Some(Err(errno)) => {
            panel.rows.push(Row::refused("processes", errno).fact("/inside/processes/refused"))
        }
        None => panel.rows.push(Row::new("", "the inside was not looked at").tone(Tone::Off)),
    }
    panel
}
