//! What becomes of one container when there are many (5.8.1)? The one is this run's, with its real numbers; pods, a service,
//! a load balancer and who keeps them alive are ideas, from web/data/many.json: this program makes none of them.
//!
//! Next: `timeline`.

use super::{Draw, Drawing};
use crate::web::run::Run;
use crate::web::scene::{Link, Panel, Row, Scene, Side, State, Tone, part};
use serde::Deserialize;

pub const DRAWING: Drawing = Drawing {
    id: "many",
    title: "One container and many",
    section: "5.8.1",
    stages: &[],
    draw: Draw::Run(draw),
};

const DATA: &str = include_str!("../../../web/data/many.json");

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    /// What one container alone cannot do.
    lacks: Vec<Line>,
    panels: Vec<Idea>,
    links: Vec<Tie>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Idea {
    column: usize,
    id: String,
    side: Whose,
    title: String,
    rows: Vec<Line>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Whose {
    Host,
    Container,
    Kernel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    label: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tie {
    from: String,
    to: String,
}

fn data() -> Data {
    // That it is right is a test; a page without it is better than none.
    serde_json::from_str(DATA).unwrap_or_default()
}

fn line(line: &Line) -> Row {
    Row::new(&line.label, &line.value)
}

fn draw(run: &Run, stage: usize) -> Option<Scene> {
    let data = data();
    let lacks = Panel::new("lacks", Side::Neutral, "What it lacks alone").rows(data.lacks.iter().map(line));
    let mut scene = Scene {
        says: "On the left is the container of this run; all the rest is what an orchestrator would add: ideas, nothing of it was made here."
            .to_owned(),
        columns: vec![vec![one(run, stage), lacks]],
        ..Scene::default()
    };
    for idea in &data.panels {
        let side = match idea.side {
            Whose::Host => Side::Host,
            Whose::Container => Side::Container,
            Whose::Kernel => Side::Kernel,
        };
        scene.columns.resize_with(scene.columns.len().max(idea.column + 1), Vec::new);
        if let Some(column) = scene.columns.get_mut(idea.column) {
            column.push(Panel::new(&idea.id, side, &idea.title).rows(idea.rows.iter().map(line)));
        }
    }
    scene.links = data.links.iter().map(|tie| Link::new(&tie.from, &tie.to, "").arrow()).collect();
    Some(scene)
}

/// This run's own container, as far as it is there.
fn one(run: &Run, stage: usize) -> Panel {
    let mut panel = Panel::new("one", Side::Container, "The one of this run");
    if let Some(begun) = &run.begun {
        panel.rows.push(Row::new("id", &begun.plan.container));
    }
    let played = run.stages.get(stage);
    let Some(view) = played.and_then(|stage| stage.view.as_deref().filter(|_| stage.pid.is_some())) else {
        return panel.state(State::Off).row(Row::new("process", "none at this stage").tone(Tone::Off));
    };
    let outside = &view.outside;
    panel.rows.push(
        Row::read("pid", "/outside/pids", &outside.pids, |pids| {
            pids.first().map(i32::to_string).unwrap_or_default()
        })
        .fact("/outside/pids/value/0")
        .same("process", view.pid),
    );
    panel.rows.push(Row::read("name", "/outside/name", &outside.name, String::clone));
    for (kind, reading) in &outside.namespaces {
        if let Some(ns) = reading.value().filter(|ns| !ns.host && !kind.ends_with("_for_children")) {
            panel.rows.push(
                Row::new(kind, ns.id.to_string())
                    .fact(format!("/outside/namespaces/{}/value/id", part(kind)))
                    .same("ns", ns.id)
                    .tone(Tone::Own),
            );
        }
    }
    let interfaces = view.inside.as_ref().and_then(|inside| inside.interfaces.value());
    for (name, interface) in interfaces.into_iter().flatten().filter(|(name, _)| *name != "lo").take(4) {
        if let Some(address) = interface.addresses.first() {
            let at = format!("/inside/interfaces/value/{}/addresses/0", part(name));
            panel.rows.push(Row::new(name, address).fact(at));
        }
    }
    panel
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_link_has_both_its_ends_and_every_box_its_words() {
        let data: Data = serde_json::from_str(DATA).unwrap();
        let ids: BTreeSet<&str> = data.panels.iter().map(|idea| idea.id.as_str()).collect();
        assert_eq!(ids.len(), data.panels.len());
        for tie in &data.links {
            assert!(
                ids.contains(tie.from.as_str()) && ids.contains(tie.to.as_str()),
                "{} {}",
                tie.from,
                tie.to
            );
        }
        for idea in &data.panels {
            assert!((1..=2).contains(&idea.column) && !idea.rows.is_empty(), "{}", idea.id);
        }
        for line in data.panels.iter().flat_map(|idea| &idea.rows).chain(&data.lacks) {
            assert!(
                !line.label.is_empty() && !line.value.is_empty() && !line.value.ends_with('.'),
                "{}",
                line.value
            );
        }
    }
}
