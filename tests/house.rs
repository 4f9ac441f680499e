//! Is the house kept? The rules that a compiler does not know: what may be called where, how files open and
//! how long they are, that every test is run, and that no page of the book points at nothing.
//!
//! Next: `build/suites`, which says how each file here is run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with this extension, as paths relative to the checkout.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Each line with its number, without what is a comment and without the text of string literals.
fn code(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    text.lines().enumerate().map(|(at, line)| {
        let mut kept = String::new();
        let mut quoted = false;
        let mut before = ' ';
        for c in line.chars() {
            if c == '"' && before != '\\' && before != '\'' {
                quoted = !quoted;
            } else if !quoted && c == '/' && before == '/' {
                kept.pop();
                break;
            } else if !quoted {
                kept.push(c);
            }
            before = c;
        }
        (at + 1, kept)
    })
}

/// Is `word` in `line` with nothing of a name around it?
fn has_word(line: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(in_name)
            && (word.ends_with(':') || !line[at + word.len()..].chars().next().is_some_and(in_name))
    })
}

fn nothing(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn system_calls_are_made_only_in_the_kernel_room() {
    let mut broken = Vec::new();
    for path in files("src", "rs").iter().filter(|path| !path.starts_with("src/kernel")) {
        for (at, line) in code(&read(path)) {
            for word in
                ["nix::", "libc::", "rustix::", "unsafe"].into_iter().filter(|word| has_word(&line, word))
            {
                broken.push(format!("{}:{at}: {word}", path.display()));
            }
        }
    }
    nothing("nix, libc, rustix and unsafe belong into src/kernel/", broken);
}

#[test]
fn every_file_opens_with_the_question_it_answers() {
    let all = [files("src", "rs"), files("tests", "rs")].concat();
    let broken =
        all.iter().filter(|path| !read(path).starts_with("//! ")).map(|path| path.display().to_string());
    nothing("each file opens with `//! `", broken.collect());
}

#[test]
fn files_stay_small() {
    let rust = [files("src", "rs"), files("tests", "rs")].concat();
    let scripts = [files("build", "sh"), files("bench", "sh"), files("bench", "c")].concat();
    let mut broken = Vec::new();
    for path in rust.iter().chain(&scripts) {
        let lines = read(path).lines().count();
        if lines > 500 {
            broken.push(format!("{}: {lines} lines", path.display()));
        }
    }
    nothing("at most 500 lines a file, one idea each", broken);
}

#[test]
fn nothing_is_left_for_later_and_nothing_panics_on_purpose() {
    let later = ["todo", "unimplemented", "dbg", "TODO", "FIXME", "XXX"];
    let panics = [".unwrap()", ".expect(", "panic!(", "unreachable!("];
    let mut broken = Vec::new();
    for path in files("src", "rs") {
        let text = read(&path);
        // Tests, in a file of their own or below a file's code, may panic; that is how they fail.
        if ["test", "tests"].contains(&stem(&path).rsplit('_').next().unwrap()) {
            continue;
        }
        let code_only = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in text.lines().enumerate() {
            let later = ["TODO", "FIXME", "XXX"].into_iter().filter(|word| has_word(line, word));
            broken.extend(later.map(|word| format!("{}:{}: {word}", path.display(), at + 1)));
        }
        for (at, line) in code(code_only) {
            let macros = later.into_iter().filter(|word| has_word(&line, word) && line.contains("!("));
            let panics = panics.into_iter().filter(|word| line.contains(word));
            broken.extend(macros.chain(panics).map(|word| format!("{}:{at}: {word}", path.display())));
        }
    }
    nothing("no input may make it panic, and nothing is a stub", broken);
}

#[test]
fn every_test_file_is_run() {
    let known = ["plain", "root", "user", "lessons", "house", "here"];
    let mut listed = BTreeSet::new();
    let mut broken = Vec::new();
    for line in read("build/suites").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        if !listed.insert(name.to_owned()) {
            broken.push(format!("{name}: has two lines"));
        }
        let groups: Vec<_> = words.collect();
        if groups.is_empty() || groups.iter().any(|group| !known.contains(group)) {
            broken.push(format!("{name}: groups must be of {known:?}, not {groups:?}"));
        }
    }
    let here = files("tests", "rs").into_iter().filter(|path| path.components().count() == 2);
    let mut here: BTreeSet<_> = here.map(|path| stem(&path)).collect();
    here.extend(["lib".to_owned(), "main".to_owned()]);
    broken.extend(
        here.difference(&listed)
            .map(|name| format!("{name}: add a line to build/suites, else nothing runs it")),
    );
    broken.extend(
        listed.difference(&here).map(|name| format!("{name}: has a line, but there is no such test")),
    );
    nothing("build/suites and tests/ must agree", broken);
}

/// The targets of `](…)` and `src="…"` in a page, without what is in code.
fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        // Every second part between backticks is code.
        for part in line.split('`').step_by(2).filter(|_| !fenced) {
            let after = part.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            found.extend(after.map(str::to_owned));
        }
    }
    found
}

/// The anchor that mdBook gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().trim_matches('-').to_owned()
}

fn anchors(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

#[test]
fn every_link_of_the_book_leads_somewhere() {
    let mut broken = Vec::new();
    for path in files("lessons", "md") {
        let page = read(&path);
        for link in
            links(&page).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        {
            let (file, part) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            if !root().join(&target).exists() {
                broken.push(format!("{}: {link}: no such file", path.display()));
            } else if !part.is_empty() && !anchors(&read(&target)).contains(part) {
                broken.push(format!("{}: {link}: no such heading", path.display()));
            }
        }
    }
    nothing("links in lessons/", broken);
}

/// mdBook prints an empty block for a missing anchor and only logs a missing file, and ends with 0 both times.
#[test]
fn every_include_of_the_book_is_there() {
    let mut broken = Vec::new();
    for path in files("lessons", "md") {
        let page = read(&path);
        for (at, include) in page.split("{{#").skip(1).filter_map(|rest| rest.split("}}").next()).enumerate()
        {
            let Some((kind, what)) = include.split_once(' ') else { continue };
            if !["include", "rustdoc_include", "playground"].contains(&kind) {
                continue;
            }
            let (file, part) = what.trim().split_once(':').unwrap_or((what.trim(), ""));
            let target = root().join(path.parent().unwrap()).join(file);
            let Ok(text) = fs::read_to_string(&target) else {
                broken.push(format!("{}: include {}: no file {file}", path.display(), at + 1));
                continue;
            };
            let is_lines = part.chars().all(|c| c.is_ascii_digit() || c == ':');
            let marked =
                |mark: &str| text.lines().any(|line| line.trim_end().ends_with(&format!("{mark}: {part}")));
            if !(is_lines || marked("ANCHOR") && marked("ANCHOR_END")) {
                broken.push(format!("{}: {file} has no anchor {part}", path.display()));
            }
            if is_lines
                && part.split(':').filter_map(|n| n.parse().ok()).any(|n: usize| n > text.lines().count())
            {
                broken.push(format!("{}: {file} has no lines {part}", path.display()));
            }
        }
    }
    nothing("includes in lessons/", broken);
}

/// The list of the summary is the stages in their order; the chapters around them are outside the list.
#[test]
fn every_stage_has_its_lesson_and_every_lesson_its_stage() {
    let summary = read("lessons/SUMMARY.md");
    let listed = summary.lines().filter(|line| line.trim_start().starts_with("- "));
    let listed: Vec<_> = listed.flat_map(links).map(|page| page.trim_end_matches(".md").to_owned()).collect();
    let stages: Vec<_> = learnctr::stages::TABLE.iter().map(|stage| stage.id.to_owned()).collect();
    assert_eq!(listed, stages, "the list in lessons/SUMMARY.md and the table in src/stages/mod.rs");
    let mut broken = Vec::new();
    for stage in learnctr::stages::TABLE {
        let page = read(format!("lessons/{}.md", stage.id));
        let man = stage.man.iter().map(|page| page.rsplit('/').next().unwrap().trim_end_matches(".html"));
        let said = [stage.title, stage.question].into_iter().chain(man);
        let lacks = said.filter(|words| !page.contains(words));
        broken.extend(lacks.map(|words| format!("lessons/{}.md does not say {words:?}", stage.id)));
    }
    nothing("a lesson says its stage's title, question and man pages", broken);
}

/// Snapshots are named KIND@ID, with `@v2` where cgroup v2 alone is another matter. Those of a stage are there for
/// each stage and for nothing else; of the others a test must know the name.
#[test]
fn every_stage_has_its_snapshots_and_every_snapshot_its_stage() {
    let stages: BTreeSet<_> = learnctr::stages::TABLE.iter().map(|stage| stage.id).collect();
    let kinds = ["plan", "view", "diff", "skip"];
    let tests: String = files("tests", "rs").iter().map(read).collect();
    let kept: BTreeSet<_> = files("snapshots", "snap").iter().map(|path| stem(path)).collect();
    let mut broken = Vec::new();
    for name in &kept {
        let (kind, id) = name.split_once('@').unwrap_or((name, ""));
        let of_all = id.strip_suffix("@v2").unwrap_or(id);
        if !kinds.contains(&kind) {
            if !tests.contains(&format!("\"{id}\"")) {
                broken.push(format!("{name}: no test names it"));
            }
        } else if !stages.contains(of_all) {
            broken.push(format!("{name}: there is no such stage"));
        }
    }
    let wanted = kinds.iter().flat_map(|kind| stages.iter().map(move |id| format!("{kind}@{id}")));
    broken.extend(wanted.filter(|name| !kept.contains(name)).map(|name| format!("{name}: is missing")));
    let new = files("snapshots", "new");
    broken.extend(new.iter().map(|path| format!("{}: was never looked at", path.display())));
    nothing("snapshots/ and the table in src/stages/mod.rs must agree", broken);
}

#[test]
fn every_lesson_is_in_the_summary() {
    let listed: BTreeSet<_> = links(&read("lessons/SUMMARY.md")).into_iter().collect();
    let pages = files("lessons", "md").into_iter().filter_map(|path| {
        let page = path.strip_prefix("lessons").unwrap().display().to_string();
        (page != "SUMMARY.md").then_some(page)
    });
    let pages: BTreeSet<_> = pages.collect();
    let lost = pages.difference(&listed).map(|page| format!("{page}: not in SUMMARY.md"));
    let dead = listed.difference(&pages).map(|page| format!("{page}: in SUMMARY.md, and no such page"));
    nothing("lessons/ and its SUMMARY.md must agree", lost.chain(dead).collect());
}
