//! How does a whole run go into one file? Every piece of the page by its path, each line of them once: neighbouring stages
//! differ in few lines. The file's script reads them where the live page asks the server.
//!
//! Next: `crate::cli::export`, which writes it.

use super::drawings;
use super::site::Site;
use super::template::Export;
use crate::web::assets;
use askama::Template;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Lines, and by path the numbers of those that a piece is made of.
#[derive(Default, Serialize)]
struct Pieces {
    lines: Vec<String>,
    pieces: BTreeMap<String, Vec<usize>>,
    #[serde(skip)]
    known: HashMap<String, usize>,
}

impl Pieces {
    fn put(&mut self, path: String, body: &str) {
        let mut numbers = Vec::new();
        for line in body.split('\n') {
            let number = match self.known.get(line) {
                Some(number) => *number,
                None => {
                    self.known.insert(line.to_owned(), self.lines.len());
                    self.lines.push(line.to_owned());
                    self.lines.len() - 1
                }
            };
            numbers.push(number);
        }
        self.pieces.insert(path, numbers);
    }

    fn add(&mut self, site: &Site, path: String) {
        if let Some(fragment) = site.get(&path) {
            self.put(path, &fragment.body);
        }
    }
}

/// The run as one page that works alone. `nonce` is what the page's own script is known by.
pub fn export(site: &Site, nonce: &str) -> String {
    let mut pieces = Pieces::default();
    pieces.add(site, "run".to_owned());
    let ids: Vec<&str> = site.run().stages.iter().map(|stage| stage.planned.stage.as_str()).collect();
    for (number, id) in ids.iter().enumerate() {
        pieces.add(site, format!("panel/{id}"));
        for drawing in &drawings::TABLE {
            pieces.add(site, format!("drawing/{id}/{}", drawing.id));
        }
        for base in ids.iter().take(number) {
            pieces.add(site, format!("changes/{id}/{base}"));
        }
    }
    // Within a script nothing may look like the end of it.
    let data = serde_json::to_string(&pieces).unwrap_or_default().replace('<', "\\u003c");
    let text = |name| assets::find(name).map_or("", |asset| asset.text);
    Export { nonce, style: text("page.css"), script: text("page.js"), data }.render().unwrap_or_default()
}
