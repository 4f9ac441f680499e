//! Do the drawings show what the trace says? Every value that a drawing names a place for is held against what the kernel
//! said there, at every stage of real runs; the picture and the table hold the same words.

mod sandbox;

use learnctr::terminal::text::clean;
use learnctr::trace;
use learnctr::web::drawings::{self, Drawing};
use learnctr::web::scene::{Row, Scene};
use learnctr::web::site::Site;
use sandbox::Place;
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufReader;

/// A real run, recorded.
fn recorded(options: &[&str]) -> Option<Site> {
    let place = Place::new();
    if let Some(reason) = place.refuses() {
        println!("skipped: no container here: {reason}");
        return None;
    }
    let file = place.path().join("trace.jsonl");
    let shown = file.display().to_string();
    place.says(&[&["step", "--auto", "--trace", &shown], options].concat());
    let mut site = Site::new();
    for record in trace::read(BufReader::new(File::open(&file).unwrap())).unwrap() {
        site.add(record);
    }
    Some(site)
}

/// All that a pointer can point into.
fn truth(site: &Site, number: usize) -> Value {
    let stage = &site.run().stages[number];
    let mut all = serde_json::to_value(&stage.view).unwrap();
    if !all.is_object() {
        all = json!({});
    }
    all["filter"] = serde_json::to_value(site.run().filter(stage)).unwrap();
    let begun = site.run().begun.as_ref().unwrap();
    all["regular"] = serde_json::to_value(&begun.regular).unwrap();
    all
}

/// Whether a text has in it what the kernel said.
fn tells(text: &str, fact: &Value) -> bool {
    match fact {
        Value::String(one) => text.contains(clean(one.trim()).as_str()),
        Value::Bool(yes) => text.contains(if *yes { "yes" } else { "no" }),
        Value::Number(number) => {
            text.split(|c: char| !c.is_ascii_digit() && c != '-').any(|word| word == number.to_string())
        }
        Value::Array(items) => items.iter().all(|item| tells(text, item)),
        Value::Null | Value::Object(_) => false,
    }
}

fn rows(scene: &Scene) -> impl Iterator<Item = &Row> {
    scene.panels().flat_map(|panel| &panel.rows)
}

fn wrong(site: &Site, options: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut facts = 0;
    for number in 0..site.run().stages.len() {
        let truth = truth(site, number);
        let id = &site.run().stages[number].planned.stage;
        for drawing in &drawings::TABLE {
            let Some(scene) = site.scene(number, drawing) else { continue };
            for row in rows(&scene) {
                let Some(at) = &row.fact else { continue };
                facts += 1;
                match truth.pointer(at) {
                    Some(fact) if tells(&row.value, fact) => {}
                    other => found.push(format!(
                        "{options:?} {id} {}: {at}: {:?} for {other:?}",
                        drawing.id, row.value
                    )),
                }
            }
            found.extend(unequal(site, id, drawing, &scene));
        }
    }
    assert!(facts > 100, "{options:?}: {facts} facts only");
    found
}

/// The piece that is sent has every value twice, in the picture and in the table, and nothing unescaped.
fn unequal(site: &Site, id: &str, drawing: &Drawing, scene: &Scene) -> Option<String> {
    let piece = site.get(&format!("drawing/{id}/{}", drawing.id)).unwrap().body;
    let count = rows(scene).count();
    let (picture, table) =
        (piece.matches("<text class=\"value\"").count(), piece.matches("<tr class").count());
    (picture != count || table != count)
        .then(|| format!("{id} {}: {picture} in the picture, {table} in the table, of {count}", drawing.id))
}

fn hold(options: &[&str]) {
    let Some(site) = recorded(options) else { return };
    let wrong = wrong(&site, options);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_shown_fact_is_the_traces() {
    hold(&[]);
}

#[test]
fn without_a_network() {
    hold(&["--network", "none"]);
}

#[test]
fn with_the_hosts_network_and_processes() {
    hold(&["--network", "host", "--pid", "host"]);
}

#[test]
fn with_a_user_namespace() {
    hold(&["--userns", "private"]);
}

#[test]
fn with_a_stage_left_out() {
    hold(&["--skip", "seccomp", "--read-only"]);
}
