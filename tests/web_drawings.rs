//! Do the drawings show what the trace says? Every value that a drawing names a place for is held against what the kernel
//! said there, at every stage of real runs; the picture and the table hold the same words.

mod sandbox;

use learnctr::terminal::text::clean;
use learnctr::web::drawings::{self, Drawing};
use learnctr::web::export;
use learnctr::web::run::Progress;
use learnctr::web::scene::{Row, Scene};
use learnctr::web::site::Site;
use serde_json::{Value, json};

/// A real run, recorded.
fn recorded(options: &[&str]) -> Option<Site> {
    Some(played(&lines(options)?))
}

fn played(lines: &[String]) -> Site {
    let mut site = Site::new();
    lines.iter().for_each(|line| site.take(line.as_bytes()));
    site
}

/// The lines of its trace.
fn lines(options: &[&str]) -> Option<Vec<String>> {
    let place = sandbox::prepared()?;
    let file = place.path().join("trace.jsonl");
    let shown = file.display().to_string();
    place.run(&[&["step", "--auto", "--trace", &shown], options].concat());
    let lines: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    assert!(lines.len() > 20, "{options:?}: {} lines", lines.len());
    Some(lines)
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
        let id = &site.run().stages[number].planned.stage;
        for drawing in &drawings::TABLE {
            let Some((of, scene)) = site.figure(number, drawing) else { continue };
            let truth = truth(site, site.run().position(&of.planned.stage).unwrap());
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
    assert!(site.run().stages.iter().all(|stage| stage.state == Progress::Done), "{options:?}");
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
    // The app would ask for the host's port 80, which an ordinary user does not get.
    hold(&["--network", "host", "--pid", "host", "--", "sleep", "600"]);
}

#[test]
fn with_a_user_namespace() {
    hold(&["--userns", "private"]);
}

#[test]
fn with_a_stage_left_out() {
    hold(&["--skip", "seccomp", "--read-only"]);
}

/// A stage that the kernel refused is shown as the one before has left it, and the sentence says so.
#[test]
fn what_was_refused_stands_on_what_was_there() {
    let options = ["--network", "none", "--", "/no/such/program"];
    let Some(site) = recorded(&options) else { return };
    let wrong = wrong(&site, &options);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let run = site.run();
    let refused = run.position("exec").unwrap();
    let before = &run.stages[refused - 1].planned.stage;
    for view in ["anatomy", "net", "lifecycle"] {
        let (of, scene) = site.figure(refused, drawings::find(view).unwrap()).unwrap();
        assert_eq!(&of.planned.stage, before);
        assert!(scene.says.starts_with("The stage exec was refused: ENOENT"), "{}", scene.says);
        let piece = site.get(&format!("drawing/exec/{view}")).unwrap().body;
        assert!(piece.contains(&format!("data-of=\"{before}\"")), "{view}");
    }
    // What comes after it is not there at all.
    assert!(site.get("drawing/stop/anatomy").unwrap().body.contains("class=\"drawing empty\""));
}

/// A picture is put among slides: it says what it is, of which stage, and has a ground.
#[test]
fn a_picture_alone_says_what_it_is() {
    let Some(site) = recorded(&["--network", "none"]) else { return };
    let pictures = export::pictures(&site);
    assert!(pictures.len() > 100, "{}", pictures.len());
    for (name, picture) in &pictures {
        let (stage, rest) = name.split_once('.').unwrap();
        let drawing = drawings::find(rest.strip_suffix(".svg").unwrap()).unwrap();
        let number = site.run().position(stage).unwrap();
        let (_, scene) = site.figure(number, drawing).unwrap();
        let between = |from: &str, to: &str| {
            let rest = picture.split_once(from).map_or("", |(_, rest)| rest);
            rest.split_once(to).map_or("", |(text, _)| text).to_owned()
        };
        assert_eq!(between("<title id=\"title\">", "</title>"), format!("{}: {stage}", drawing.title));
        let plain = |text: String| text.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&");
        let quotes = |text: String| text.replace("&#34;", "\"").replace("&#39;", "'");
        assert_eq!(quotes(plain(between("<desc id=\"desc\">", "</desc>"))), scene.says, "{name}");
        let lines = picture.split("<text class=\"said\"").skip(1);
        let seen: String = lines.map(|line| line.split(['>', '<']).nth(1).unwrap().to_owned()).collect();
        assert_eq!(quotes(plain(seen)), scene.says, "{name}");
        assert!(picture.contains("fill=\"#fff\"") && !picture.contains("var(--"), "{name}");
    }
}

/// On a machine without a freezer there is no stage for it: the drawing says that, and why.
#[test]
fn what_is_not_in_the_plan_is_told() {
    let Some(mut lines) = lines(&["--network", "none"]) else { return };
    let told = |site: &Site| {
        let scene = site.scene(site.run().position("exec").unwrap(), drawings::find("lifecycle").unwrap());
        let scene = scene.unwrap();
        let paused = scene.panels().find(|panel| panel.id == "paused").unwrap();
        paused.rows.iter().map(|row| row.value.clone()).collect::<String>()
    };
    let mut first: Value = serde_json::from_str(&lines[0]).unwrap();
    // An ordinary user without a group of its own has no freezer.
    match first["plan"]["stages"].as_array().unwrap().iter().any(|stage| stage["stage"] == "freeze") {
        true => assert_eq!(told(&played(&lines)), "freeze brings it here"),
        false => println!("no freezer here: what is said with one is not seen"),
    }
    let stages = first["plan"]["stages"].as_array_mut().unwrap();
    stages.retain(|stage| !["freeze", "thaw"].contains(&stage["stage"].as_str().unwrap()));
    lines[0] = first.to_string();
    assert_eq!(told(&played(&lines)), "there is no stage freeze: it was given no group with a freezer");
    first["plan"]["left_out"] = json!(["freeze"]);
    lines[0] = first.to_string();
    assert_eq!(told(&played(&lines)), "the stage freeze was left out");
}

/// Without a script there is no empty list of stages to compare with.
#[test]
fn the_first_stage_is_compared_with_nothing() {
    let Some(lines) = lines(&["--network", "none"]) else { return };
    let left = |line: &String| line.contains("\"event\":\"left\"");
    let first = lines.iter().position(left).unwrap();
    let alone = played(&lines[..=first]).plain("image/net").unwrap();
    assert!(!alone.contains("Compare image with"), "{alone}");
    let all = played(&lines);
    assert!(all.plain("image/net").unwrap().contains("Compare image with"));
    let stop = all.plain("stop/lifecycle").unwrap();
    assert!(!stop.contains("Compare stop with"), "a stage without a view");
}

/// What 5.6 and 5.7 speak of has a place, whether or not it is here.
#[test]
fn a_network_and_its_guards_are_told_in_full() {
    let Some(site) = recorded(&["--network", "none"]) else { return };
    let exec = site.run().position("exec").unwrap();
    let scene = |view| site.scene(exec, drawings::find(view).unwrap()).unwrap();
    let security = scene("security");
    for label in ["memory", "processor", "processes", "I/O", "rlimits", "CapEff", "CapBnd"] {
        assert!(rows(&security).any(|row| row.label == label), "{label}");
    }
    let net = scene("net");
    let docker = net.panels().find(|panel| panel.id == "docker").unwrap();
    assert!(docker.title.starts_with("Not seen here") && docker.rows.iter().all(|row| row.fact.is_none()));
    let commands = docker.rows.iter().filter(|row| row.value.starts_with("$ ")).count();
    let named = docker.rows.iter().filter(|row| !row.label.is_empty() && row.label != "together").count();
    assert!(commands == named && named >= 2, "{commands} {named}");
}
