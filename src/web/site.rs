//! What is at which path? Every piece of the page, made of the run as far as it is known. The live page asks for a piece
//! at a time, the page without a script puts the same pieces together, the exported file holds them all.
//!
//! | path | piece |
//! |---|---|
//! | `run` | the stages and how far they are, as JSON |
//! | `drawing/STAGE/VIEW` | a drawing of a stage, with its table |
//! | `panel/STAGE` | why it is there, its calls, what changed since the stage before |
//! | `changes/STAGE/BASE` | what changed between any two |
//! | `all` | all of these, as an exported file holds them |

use super::drawings::{self, Draw, Drawing, Shown};
use super::export;
use super::layout::place;
use super::run::{self, Played, Progress, Run};
use super::scene::Scene;
use super::template::{Again, Changes, Empty, Figure, Panel, Plain, Shell, Step};
use crate::diff::Diff;
use crate::engine::wire::Outcome;
use crate::terminal::diff::told;
use crate::terminal::stage::duration;
use crate::terminal::text::clean;
use crate::trace::Record;
use askama::Template;
use serde::Serialize;

/// The run and all that can be asked of it.
#[derive(Default)]
pub struct Site {
    run: Run,
    version: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Html,
    Json,
}

/// One piece of the page.
#[derive(Clone, Debug)]
pub struct Fragment {
    pub kind: Kind,
    pub body: String,
}

/// How far a run is: what the list of stages, the scrubber and the buttons are drawn from.
#[derive(Serialize)]
struct Summary<'a> {
    version: u64,
    container: &'a str,
    kernel: &'a str,
    time: u64,
    /// The session is over: what is seen was recorded.
    over: bool,
    current: usize,
    paused: Option<usize>,
    exited: Option<i32>,
    stages: Vec<Stage<'a>>,
    views: Vec<View>,
}

#[derive(Serialize)]
struct Stage<'a> {
    id: &'a str,
    title: &'a str,
    state: &'static str,
    micros: u64,
    /// How many things changed.
    changes: usize,
    /// How often it was looked at again, and how many things had changed by then.
    looks: u32,
    news: usize,
}

#[derive(Serialize)]
struct View {
    id: &'static str,
    title: &'static str,
}

impl Site {
    pub fn new() -> Site {
        Site::default()
    }

    /// The next line of the trace; one that is none is passed over.
    pub fn take(&mut self, line: &[u8]) {
        if let Ok(record) = serde_json::from_slice::<Record>(line) {
            self.add(record);
        }
    }

    pub fn add(&mut self, record: Record) {
        self.run.take(record);
        self.version += 1;
    }

    /// The run is built anew.
    pub fn restart(&mut self) {
        self.run = Run::default();
        self.version += 1;
    }

    /// Grows with everything that is taken.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The piece at this path.
    pub fn get(&self, path: &str) -> Option<Fragment> {
        let html = |body: Option<String>| body.map(|body| Fragment { kind: Kind::Html, body });
        let mut parts = path.split('/');
        let fragment = match (parts.next()?, parts.next(), parts.next()) {
            ("run", None, None) => Some(Fragment { kind: Kind::Json, body: self.summary() }),
            ("all", None, None) => Some(Fragment { kind: Kind::Json, body: export::pieces(self) }),
            ("drawing", Some(stage), Some(view)) => {
                html(self.drawing(self.stage(stage)?, drawings::find(view)?))
            }
            ("panel", Some(stage), None) => html(self.panel(self.stage(stage)?)),
            ("changes", Some(stage), Some(base)) => {
                html(self.changes(self.stage(base)?, self.stage(stage)?).and_then(|one| one.render().ok()))
            }
            _ => None,
        };
        fragment.filter(|_| parts.next().is_none())
    }

    fn stage(&self, id: &str) -> Option<usize> {
        self.run.position(id)
    }

    /// How far the run is, as JSON.
    pub fn summary(&self) -> String {
        let run = &self.run;
        let begun = run.begun.as_ref();
        let count = |diff: &Diff| told(diff).iter().map(|probe| probe.rows.len()).sum();
        let stages = run.stages.iter().map(|stage| Stage {
            id: &stage.planned.stage,
            title: &stage.planned.title,
            state: stage.state.word(),
            micros: stage.micros,
            changes: stage.diff.as_ref().map_or(0, count),
            looks: stage.again.as_ref().map_or(0, |again| again.times),
            news: stage.since().as_ref().map_or(0, count),
        });
        let summary = Summary {
            version: self.version,
            container: begun.map_or("", |begun| &begun.plan.container),
            kernel: begun.map_or("", |begun| &begun.kernel),
            time: begun.map_or(0, |begun| begun.time),
            over: run.ended.is_some(),
            current: run.current(),
            paused: run.paused,
            exited: run.exited,
            stages: stages.collect(),
            views: drawings::TABLE.iter().map(|one| View { id: one.id, title: one.title }).collect(),
        };
        serde_json::to_string(&summary).unwrap_or_default()
    }

    /// A drawing of a stage, as data; none where there is nothing to look at.
    pub fn scene(&self, number: usize, drawing: &Drawing) -> Option<Scene> {
        let stage = self.run.stages.get(number)?;
        let shown = |view| Shown { run: &self.run, stage, view, apart: stage.pid.is_some() };
        match drawing.draw {
            Draw::Process(draw) => Some(draw(&shown(stage.view.as_deref()?))),
            Draw::Run(draw) => draw(&self.run, number),
        }
    }

    /// What is drawn for a stage, and whose view that is: one that was refused has none, and is shown as the one before
    /// has left it.
    pub fn figure(&self, number: usize, drawing: &Drawing) -> Option<(&Played, Scene)> {
        let stage = self.run.stages.get(number)?;
        if let Some(scene) = self.scene(number, drawing) {
            return Some((stage, scene));
        }
        let before = self.run.stages.get(..number).filter(|_| stage.state == Progress::Failed)?;
        let last = before.iter().rposition(|one| one.state == Progress::Done)?;
        let mut scene = self.scene(last, drawing)?;
        let of = before.get(last)?;
        let errno =
            stage.diagnosis.as_ref().map_or(String::new(), |diagnosis| format!(": {}", diagnosis.errno));
        scene.says = format!(
            "The stage {} was refused{errno}. This is what {} has left: {}",
            stage.planned.stage, of.planned.stage, scene.says
        );
        Some((of, scene))
    }

    fn drawing(&self, number: usize, drawing: &Drawing) -> Option<String> {
        let played = self.run.stages.get(number)?;
        let (title, section, stage) = (drawing.title, drawing.section, played.planned.stage.as_str());
        let Some((of, scene)) = self.figure(number, drawing) else {
            let why = why_empty(played, drawing, self.run.ended.is_some());
            return Empty { title, section, stage, why }.render().ok();
        };
        let (picture, of) = (place(&scene), of.planned.stage.as_str());
        Figure { id: drawing.id, title, section, stage, of, scene: &scene, picture: &picture }.render().ok()
    }

    fn panel(&self, number: usize) -> Option<String> {
        let stage = self.run.stages.get(number)?;
        let calls = stage.steps.iter().map(|made| Step {
            made,
            planned: clean(&match stage.pid {
                Some(pid) => made.planned.step.replace("{pid}", &pid.to_string()),
                None => made.planned.step.clone(),
            }),
            calls: made.calls.iter().map(|call| clean(&call.to_string())).collect(),
            outcome: match &made.outcome {
                Outcome::Noted(note) => clean(note),
                _ => String::new(),
            },
            refused: matches!(made.outcome, Outcome::Refused(_)),
        });
        let calls: Vec<Step> = calls.collect();
        let count = calls.iter().map(|step| step.calls.len()).sum();
        let before = number.saturating_sub(1);
        let changes = self.run.made(number).and_then(|diff| self.told(before, number, &diff));
        let again = stage.again.as_ref().map(|again| Again {
            words: looked_again(stage, again),
            told: stage.since().as_ref().map(told).unwrap_or_default(),
        });
        let hand = by_hand(stage, self.run.ended.is_some());
        Panel { stage, calls, count, changes, again, hand }.render().ok()
    }

    fn changes(&self, from: usize, to: usize) -> Option<Changes> {
        self.told(from, to, &self.run.changes(from, to)?)
    }

    fn told(&self, from: usize, to: usize, diff: &Diff) -> Option<Changes> {
        let name = |number: usize| Some(self.run.stages.get(number)?.planned.stage.clone());
        Some(Changes { from: name(from)?, to: name(to)?, told: told(diff) })
    }

    /// The page before there is anything in it.
    pub fn shell(&self) -> String {
        Shell.render().unwrap_or_default()
    }

    /// A whole page without a script: `STAGE/VIEW`, `STAGE/VIEW/BASE` to compare, or nothing for where the run is.
    pub fn plain(&self, path: &str) -> Option<String> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let stage = parts.next().map_or(Some(self.run.current()), |id| self.stage(id))?;
        let view = parts.next().map_or(drawings::TABLE.first(), drawings::find)?;
        let base = parts.next();
        let compared = match base {
            Some(base) => Some(self.changes(self.stage(base)?, stage)?.render().ok()?),
            None => None,
        };
        if parts.next().is_some() {
            return None;
        }
        let id = |number: usize| Some(self.run.stages.get(number)?.planned.stage.as_str());
        let page = Plain {
            run: &self.run,
            at: self.run.stages.get(stage)?,
            view,
            views: &drawings::TABLE,
            // Links are relative, so that the token for reading is in none of them.
            up: "../".repeat(path.matches('/').count()),
            before: stage.checked_sub(1).and_then(id),
            after: id(stage + 1),
            drawing: self.drawing(stage, view)?,
            panel: self.panel(stage)?,
            compared,
            bases: (0..self.run.stages.len())
                .filter(|other| *other != stage && self.run.changes(*other, stage).is_some())
                .filter_map(id)
                .collect(),
        };
        page.render().ok()
    }
}

/// That the drawings show a later look.
fn looked_again(stage: &Played, again: &run::Again) -> String {
    let times = if again.times == 1 { "once".to_owned() } else { format!("{} times", again.times) };
    let after = duration(again.at.saturating_sub(stage.left.unwrap_or_default()));
    let what = match again.gone {
        true => "there was no process any more, and the drawings show the look before",
        false => "the drawings show what there was then",
    };
    format!("This stage was looked at again {times}, the last time {after} after it was done: {what}.")
}

/// What a learner types to see the same: where, and the command.
fn by_hand(stage: &Played, over: bool) -> Vec<(&'static str, String)> {
    let observe: Vec<String> = stage.planned.observe.iter().map(|word| shell_word(&clean(word))).collect();
    let observe = Some(observe.join(" ")).filter(|command| !command.is_empty() && command != "true");
    let mut hand: Vec<_> = observe.iter().map(|command| ("on the host", command.clone())).collect();
    if let Some(pid) = stage.pid.filter(|_| stage.view.is_some()) {
        // After the end the number may be another process's, and on another machine it always is.
        let pid = if over { "PID".to_owned() } else { pid.to_string() };
        // nsenter(1) joins namespaces: of what belongs to one process alone it would show its own.
        let alone = ["status", "limits", "cgroup", "uid_map"].map(|file| format!("/proc/self/{file}"));
        hand.extend(observe.map(|command| match alone.iter().any(|file| command.contains(file)) {
            true => (
                "of the container",
                format!("sudo {}", command.replace("/proc/self/", &format!("/proc/{pid}/"))),
            ),
            false => ("in the container", format!("sudo nsenter -t {pid} -a {command}")),
        }));
        hand.push(("everything that is drawn here", format!("sudo learnctr view {pid}")));
    }
    hand
}

/// A word as a shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Before a stage has run, who will fill the drawing; after, why there is nothing to see.
fn why_empty(stage: &Played, drawing: &Drawing, over: bool) -> String {
    let id = &stage.planned.stage;
    match stage.state {
        Progress::Waiting if over => format!("The run ended before the stage {id} was reached."),
        Progress::Waiting => {
            format!(
                "The stage {id} has not run yet. This drawing is filled by: {}.",
                drawing.stages.join(", ")
            )
        }
        Progress::Entered => format!("The stage {id} is being played."),
        Progress::Failed => {
            format!("The stage {id} was refused; beside this is what the kernel said and why.")
        }
        Progress::Done => {
            "There is no process any more to look at: it has ended, and what was its own has gone with it."
                .to_owned()
        }
    }
}
