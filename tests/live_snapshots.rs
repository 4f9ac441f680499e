//! What does the kernel say after each stage, what has changed by it, and what breaks without it? Recorded from
//! real sessions, made canonical, and kept as `view@ID`, `diff@ID` and `skip@ID`; `@v2` where a machine with
//! cgroup v2 alone says something else.
//!
//! Next: `lessons/`, which tell of it in words.

#[path = "common/canonical.rs"]
mod canonical;

use canonical::Names;
use learnctr::host::{Cgroups, Mode};
use learnctr::stages;
use serde_json::Value;
use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The stages that only this plan has.
const APART: [&str; 6] = ["userns", "clone-mnt", "clone-uts", "clone-ipc", "clone-net", "clone-pid"];
const ONE_BY_ONE: [&str; 2] = ["--one-by-one", "--userns=private"];

/// One recorded session.
struct Recorded {
    events: Vec<Value>,
    said: String,
    id: String,
    names: Names,
}

fn record(options: &[&str]) -> Recorded {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live");
    let made = Command::new(env!("CARGO_BIN_EXE_learnctr"))
        .arg("step")
        .arg("--json")
        .args(options)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LEARNCTR_DATA", data.join("data"))
        .env("LEARNCTR_STATE", data.join("state"))
        .output()
        .unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let id =
        events.iter().find_map(|event| event.pointer("/plan/container")?.as_str()).unwrap_or("?").to_owned();
    let names = Names::new(&id, &data.display().to_string());
    Recorded { events, said: String::from_utf8_lossy(&made.stderr).into_owned(), id, names }
}

/// The default container's, and the one that has every stage. The images are made before: they stay.
fn sessions() -> (Recorded, Recorded) {
    record(&["--until=image"]);
    record(&["--until=image", "--userns=private"]);
    (record(&[]), record(&ONE_BY_ONE))
}

impl Recorded {
    fn of<'a>(&'a self, event: &str, stage: &str) -> Option<&'a Value> {
        self.events.iter().find(|one| one["event"] == *event && one["stage"] == *stage)
    }

    fn view(&self, stage: &str) -> Option<Value> {
        let view = self.of("left", stage)?.get("view").filter(|view| !view.is_null())?;
        Some(canonical::view(view, &self.names, &self.id))
    }

    /// The view of the stage before, which the diff was made from; its own is the first stage's.
    fn before(&self, stage: &str) -> Option<Value> {
        let left: Vec<_> = self.events.iter().filter(|one| one["event"] == "left").collect();
        let at = left.iter().position(|one| one["stage"] == *stage)?;
        let before = left[..at].iter().rev().find(|one| !one["view"].is_null())?;
        // What was recorded is what the two views say, before anything is made canonical.
        if let (Some(diff), view) = (left[at].get("diff").filter(|diff| !diff.is_null()), &left[at]["view"]) {
            let made = learnctr::diff::values(&before["view"], view);
            assert_eq!(serde_json::to_value(made).unwrap(), *diff, "the diff of {stage}");
        }
        Some(canonical::view(&before["view"], &self.names, &self.id))
    }
}

/// Each change as one line, in the diff's own names.
fn lines(before: &Value, after: &Value) -> String {
    let mut text = String::new();
    for change in learnctr::diff::values(before, after).changes {
        let change = serde_json::to_value(change).unwrap();
        let path: Vec<&str> =
            change["path"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let place =
            [&[change["vantage"].as_str().unwrap_or(""), change["probe"].as_str().unwrap_or("")], &path[..]]
                .concat();
        let _ = write!(text, "{} {}", change["sign"].as_str().unwrap_or("?"), place.join(" "));
        let _ = match (change.get("before"), change.get("after")) {
            (Some(before), Some(after)) => writeln!(text, ": {before} → {after}"),
            (Some(one), None) | (None, Some(one)) => writeln!(text, ": {one}"),
            (None, None) => writeln!(text),
        };
    }
    text
}

/// Compare with what is kept: with the one of every machine, else with this machine's own.
fn keep(kind: &str, id: &str, text: &str, wrong: &mut Vec<String>) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let path =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("snapshots/{kind}@{name}.snap"));
    let kept = |path: PathBuf| {
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.splitn(3, "---\n").nth(2)?.trim_end().to_owned())
    };
    let mut name = id.to_owned();
    if Cgroups::look().mode == Mode::V2 {
        let own = format!("{id}@v2");
        if kept(path(id)).as_deref() != Some(text.trim_end()) {
            name = own;
        } else if path(&own).exists() {
            wrong.push(format!("{kind}@{own}: is the same as {kind}@{id} now: remove it"));
        }
    }
    settings.set_snapshot_suffix(name.clone());
    let same = std::panic::catch_unwind(AssertUnwindSafe(|| {
        settings.bind(|| insta::assert_snapshot!(kind, text));
    }));
    if same.is_err() {
        wrong.push(format!("{kind}@{name}"));
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn each_stage_leaves_what_it_left() {
    if !is_root() {
        println!("skipped: the default container is root's");
        return;
    }
    let (plain, apart) = sessions();
    let mut wrong = Vec::new();
    for stage in stages::TABLE {
        let recorded = if APART.contains(&stage.id) { &apart } else { &plain };
        assert!(recorded.of("left", stage.id).is_some(), "{}: {}", stage.id, recorded.said);
        let view = recorded.view(stage.id);
        let before = recorded.before(stage.id);
        let (seen, changed) = match (&view, &before) {
            (Some(now), Some(before)) => (serde_json::to_string_pretty(now).unwrap(), lines(before, now)),
            (Some(now), None) => (serde_json::to_string_pretty(now).unwrap(), "the first view\n".to_owned()),
            (None, _) => ("there is no process\n".to_owned(), "there is no process\n".to_owned()),
        };
        let changed = if changed.is_empty() { "nothing changed\n".to_owned() } else { changed };
        keep("view", stage.id, &seen, &mut wrong);
        keep("diff", stage.id, &changed, &mut wrong);
    }
    assert!(wrong.is_empty(), "INSTA_UPDATE=always keeps what is so now:\n  {}", wrong.join("\n  "));
}

#[test]
fn each_stage_breaks_what_it_broke() {
    if !is_root() {
        println!("skipped: the default container is root's");
        return;
    }
    let (plain, apart) = sessions();
    let mut wrong = Vec::new();
    for stage in stages::TABLE {
        let is_apart = APART.contains(&stage.id);
        let (with, options) = if is_apart { (&apart, &ONE_BY_ONE[..]) } else { (&plain, &[][..]) };
        let without = record(&[options, &["--skip", stage.id]].concat());
        let mut text = String::new();
        for failed in without.events.iter().filter(|event| event["event"] == "failed") {
            let call = &failed["diagnosis"];
            let _ = writeln!(
                text,
                "refused at {}: {}",
                failed["stage"].as_str().unwrap_or("?"),
                call["errno"].as_str().unwrap_or("?")
            );
            let _ = writeln!(text, "{}", without.names.text(call["step"].as_str().unwrap_or("?")));
            for cause in call["causes"].as_array().into_iter().flatten() {
                let found = if cause["found"] == true { "cause" } else { "candidate" };
                let _ = writeln!(
                    text,
                    "  {found}: {}",
                    without.names.text(cause["cause"].as_str().unwrap_or("?"))
                );
                let _ =
                    writeln!(text, "  next: {}", without.names.text(cause["mend"].as_str().unwrap_or("?")));
            }
        }
        if without.events.is_empty() {
            let _ = writeln!(text, "it cannot be left out: {}", without.names.text(&without.said));
        } else if let (true, Some(with), Some(without)) =
            (text.is_empty(), with.view("exec"), without.view("exec"))
        {
            let differs = lines(&with, &without);
            text.push_str("nothing is refused; what the command has then, against what it has with it:\n");
            text.push_str(if differs.is_empty() { "the same\n" } else { &differs });
        }
        keep("skip", stage.id, &text, &mut wrong);
    }
    assert!(wrong.is_empty(), "INSTA_UPDATE=always keeps what is so now:\n  {}", wrong.join("\n  "));
}
