//! How does a whole run go into one file? Every piece of the page by its path, each line of them once: neighbouring stages
//! differ in few lines. The file's script reads them where the live page asks the server.
//!
//! Next: `crate::cli::export`, which writes it.

use super::drawings;
use super::layout::{place, wrap};
use super::site::Site;
use super::template::{Export, Slide};
use crate::web::assets;
use askama::Template;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Lines, and by path those that a piece is made of: the number of a first line and how many follow on from it, again and
/// again.
#[derive(Default, Serialize)]
struct Pieces {
    lines: Vec<String>,
    pieces: BTreeMap<String, Vec<usize>>,
    #[serde(skip)]
    known: HashMap<String, usize>,
}

impl Pieces {
    fn put(&mut self, path: String, body: &str) {
        let mut runs: Vec<usize> = Vec::new();
        let mut next = None;
        for line in body.split('\n') {
            let number = match self.known.get(line) {
                Some(number) => *number,
                None => {
                    self.known.insert(line.to_owned(), self.lines.len());
                    self.lines.push(line.to_owned());
                    self.lines.len() - 1
                }
            };
            match runs.last_mut().filter(|_| next == Some(number)) {
                Some(count) => *count += 1,
                None => runs.extend([number, 1]),
            }
            next = Some(number + 1);
        }
        self.pieces.insert(path, runs);
    }

    fn add(&mut self, site: &Site, path: String) {
        if let Some(fragment) = site.get(&path) {
            self.put(path, &fragment.body);
        }
    }
}

/// Every piece by its path, as JSON.
pub fn pieces(site: &Site) -> String {
    let mut pieces = Pieces::default();
    pieces.add(site, "run".to_owned());
    let ids: Vec<&str> = site.run().stages.iter().map(|stage| stage.planned.stage.as_str()).collect();
    // What is alike stands side by side: a compressor looks back no further than 32 KiB.
    for id in &ids {
        pieces.add(site, format!("panel/{id}"));
    }
    for (number, id) in ids.iter().enumerate() {
        for base in ids.iter().take(number) {
            pieces.add(site, format!("changes/{id}/{base}"));
        }
    }
    for drawing in &drawings::TABLE {
        for id in &ids {
            pieces.add(site, format!("drawing/{id}/{}", drawing.id));
        }
    }
    serde_json::to_string(&pieces).unwrap_or_default()
}

/// The run as one page that works alone. `nonce` is what the page's own script is known by.
pub fn page(site: &Site, nonce: &str) -> String {
    // Within a script nothing may look like the end of it.
    let data = pieces(site).replace('<', "\\u003c");
    let text = |name| assets::find(name).map_or("", |asset| asset.text);
    Export { nonce, style: text("page.css"), script: text("page.js"), data }.render().unwrap_or_default()
}

/// Each drawing of each stage as a picture that needs nothing else: `pivot-root.anatomy.svg`.
pub fn pictures(site: &Site) -> Vec<(String, String)> {
    let style = assets::find("page.css").map_or(String::new(), |asset| standing_alone(asset.text));
    let mut found = Vec::new();
    for (number, stage) in site.run().stages.iter().enumerate() {
        let id = &stage.planned.stage;
        for drawing in &drawings::TABLE {
            let Some((_, scene)) = site.figure(number, drawing) else { continue };
            let picture = place(&scene);
            // A face with letters of different widths: so many fit for sure.
            let lines = wrap(&scene.says, 120);
            let above = 70 + 26 * lines.len() as i32;
            let said = lines.into_iter().enumerate().map(|(n, line)| (76 + 26 * n as i32 - above, line));
            let slide = Slide {
                title: drawing.title,
                stage: id,
                scene: &scene,
                picture: &picture,
                style: &style,
                above,
                height: above + picture.height + 24,
                said: said.collect(),
            };
            found.extend(slide.render().ok().map(|picture| (format!("{id}.{}.svg", drawing.id), picture)));
        }
    }
    found
}

/// The rules of the style sheet that are about pictures, with the light theme's colours put in: programs that show
/// slides know no variables.
fn standing_alone(style: &str) -> String {
    let rules: String =
        style.lines().filter(|line| line.starts_with(".picture")).collect::<Vec<_>>().join("\n");
    let light =
        style.split_once(":root{").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(light, _)| light);
    let variables = light.split(';').filter_map(|one| one.trim().strip_prefix("--")?.split_once(':'));
    variables.fold(rules, |rules, (name, value)| rules.replace(&format!("var(--{name})"), value.trim()))
}
