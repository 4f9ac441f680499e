//! How does a piece of the page look? The templates in web/templates, each with what it is filled with. askama escapes
//! everything that is put in: what a container names is hostile text.
//!
//! Next: [`super::site`], which fills them.

use super::drawings::Drawing;
use super::layout::Picture;
use super::run::{Made, Played, Run};
use super::scene::Scene;
use crate::stage::Side;
use crate::terminal::diff::Told;
use askama::Template;

/// A drawing with its sentence, its picture and its table.
#[derive(Template)]
#[template(path = "drawing.html")]
pub struct Figure<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub section: &'a str,
    /// The stage that is shown, and that whose view is drawn: one that was refused has none.
    pub stage: &'a str,
    pub of: &'a str,
    pub scene: &'a Scene,
    pub picture: &'a Picture,
}

/// The picture alone, for a slide: with its own heading and ground.
#[derive(Template)]
#[template(path = "slide.svg")]
pub struct Slide<'a> {
    pub title: &'a str,
    pub stage: &'a str,
    pub scene: &'a Scene,
    pub picture: &'a Picture,
    pub style: &'a str,
    /// What the heading takes above the picture, and all of it together.
    pub above: i32,
    pub height: i32,
    /// The sentence, line by line.
    pub said: Vec<(i32, String)>,
}

/// A drawing for which there is nothing yet, or nothing any more: who will fill it.
#[derive(Template)]
#[template(path = "empty.html")]
pub struct Empty<'a> {
    pub title: &'a str,
    pub section: &'a str,
    pub stage: &'a str,
    pub why: String,
}

/// What stands beside the drawing: the stage, its calls, what changed, what to do by hand.
#[derive(Template)]
#[template(path = "panel.html")]
pub struct Panel<'a> {
    pub stage: &'a Played,
    pub calls: Vec<Step<'a>>,
    /// How many calls that is together.
    pub count: usize,
    pub changes: Option<Changes>,
    pub again: Option<Again>,
    /// Where, and the command to look with.
    pub hand: Vec<(&'static str, String)>,
}

impl Panel<'_> {
    /// Who makes a step, by the class that has its shape.
    fn side(side: &Side) -> &'static str {
        match side {
            Side::Host => "host",
            Side::Child => "container",
        }
    }
}

/// One step with what was really called.
pub struct Step<'a> {
    pub made: &'a Made,
    /// As it was planned, for one of which no call is recorded.
    pub planned: String,
    pub calls: Vec<String>,
    pub outcome: String,
    pub refused: bool,
}

/// What has changed since a stage was done, by hand or by itself.
pub struct Again {
    pub words: String,
    pub told: Vec<Told>,
}

/// What turned one stage's view into another's.
#[derive(Template)]
#[template(path = "changes.html")]
pub struct Changes {
    pub from: String,
    pub to: String,
    pub told: Vec<Told>,
}

/// The page itself, without a fact in it: those come with the token.
#[derive(Template)]
#[template(path = "shell.html")]
pub struct Shell;

/// A whole page without a script.
#[derive(Template)]
#[template(path = "plain.html")]
pub struct Plain<'a> {
    pub run: &'a Run,
    pub at: &'a Played,
    pub view: &'a Drawing,
    pub views: &'a [Drawing],
    /// From this page to where the stages are.
    pub up: String,
    pub before: Option<&'a str>,
    pub after: Option<&'a str>,
    pub drawing: String,
    pub panel: String,
    /// What changed from another stage, if one was asked for.
    pub compared: Option<String>,
    /// The stages that it can be compared with.
    pub bases: Vec<&'a str>,
}

/// A whole run in one file.
#[derive(Template)]
#[template(path = "export.html")]
pub struct Export<'a> {
    pub nonce: &'a str,
    pub style: &'a str,
    pub script: &'a str,
    pub data: String,
}
