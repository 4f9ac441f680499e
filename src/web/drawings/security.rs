//! What holds it? Six layers (5.7.1), each with what it really has: namespaces, control groups, capabilities by name, the
//! calls that seccomp refuses by name, the LSM's label, the user namespace's maps.
//!
//! Next: `many`.

use super::budget::RESOURCES;
use super::process::lsm;
use super::{Draw, Drawing, Shown};
use crate::decode::filter::{ByArguments, Filter};
use crate::decode::seccomp::Answer;
use crate::plan::{PrintedMove, PrintedStage};
use crate::probes::Reading;
use crate::probes::capabilities::{self, Capabilities};
use crate::probes::ids::Range;
use crate::web::run::Progress;
use crate::web::scene::{Panel, Row, Scene, Side, State, Tone, part};
use std::collections::BTreeMap;

pub const DRAWING: Drawing = Drawing {
    id: "security",
    title: "Six layers of security",
    section: "5.7.1",
    stages: &["userns", "clone", "cgroup", "caps", "seccomp"],
    draw: Draw::Process(draw),
};

fn draw(shown: &Shown) -> Scene {
    let left = vec![namespaces(shown), groups(shown), capabilities(shown)];
    let right = vec![seccomp(shown), label(shown), user(shown)];
    let there = left.iter().chain(&right).filter(|panel| panel.state != State::Off).count();
    let says = match (shown.apart, there) {
        (false, _) => {
            "There is no container yet: this is what holds learnctr itself, an ordinary process.".to_owned()
        }
        (true, 6) => {
            "All six layers hold this process, each for itself: what one lets through, another may refuse."
                .to_owned()
        }
        (true, 1) => "One of the six layers holds this process; the others are not in place.".to_owned(),
        (true, there) => format!("{there} of the six layers hold this process; the others are not in place."),
    };
    Scene { says, columns: vec![left, right], ..Scene::default() }
}

fn panel(id: &str, title: &str) -> Panel {
    Panel::new(id, Side::Kernel, title)
}

/// Why a layer is not in place, from the plan: a stage is still to come, was left out, or is not in it.
fn missing(shown: &Shown, stages: &[&str]) -> Row {
    let run = shown.run;
    let now = run.position(&shown.stage.planned.stage).unwrap_or(0);
    let wanted = |id: &str| stages.contains(&id);
    // A filter that refuses what steps are waited for with is loaded by exec.
    let brings = |stage: &PrintedStage| {
        let loads = |one: &PrintedMove| wanted("seccomp") && one.step.starts_with("seccomp(");
        wanted(&stage.stage) || stage.moves.iter().any(loads)
    };
    let coming = run
        .stages
        .iter()
        .enumerate()
        .find(|(at, stage)| brings(&stage.planned) && (*at > now || stage.state != Progress::Done));
    let left_out = run.begun.as_ref().and_then(|begun| begun.plan.left_out.iter().find(|id| wanted(id)));
    let why = match (coming, left_out) {
        (Some((_, stage)), _) => format!("not yet: the stage {} brings it", stage.planned.stage),
        (None, Some(id)) => format!("not in place: the stage {id} was left out"),
        (None, None) => match run.stages.iter().find(|stage| brings(&stage.planned)) {
            Some(stage) => match stage.planned.notes.first() {
                Some(note) => format!("not in place: {note}"),
                None => format!("not in place: the stage {} did not bring it", stage.planned.stage),
            },
            None => "not in place, and no stage of this plan brings it".to_owned(),
        },
    };
    Row::new("state", why).tone(Tone::Off)
}

fn namespaces(shown: &Shown) -> Panel {
    let mut panel = panel("namespaces", "1  Namespaces: what can be seen");
    let mut own = 0;
    for (kind, reading) in &shown.view.outside.namespaces {
        if kind.ends_with("_for_children") {
            continue;
        }
        let at = format!("/outside/namespaces/{}", part(kind));
        panel.rows.push(match reading.get() {
            Ok(ns) => {
                own += usize::from(!ns.host);
                Row::new(kind, ns.id.to_string())
                    .fact(format!("{at}/value/id"))
                    .same("ns", ns.id)
                    .tone(if ns.host { Tone::Shared } else { Tone::Own })
            }
            Err(errno) => Row::refused(kind, errno).fact(format!("{at}/refused")),
        });
    }
    if own > 0 {
        return panel;
    }
    panel
        .rows
        .insert(0, missing(shown, &["userns", "clone", "clone-mnt", "clone-uts", "clone-ipc", "clone-net"]));
    panel.state(State::Off)
}

fn groups(shown: &Shown) -> Panel {
    let mut panel = panel("cgroups", "2  Control groups: how much can be used");
    let mut limited = false;
    for resource in &RESOURCES {
        let limit = resource.limit(shown.view);
        limited |= limit.fact.is_some();
        panel.rows.push(limit);
        panel.rows.extend(resource.used(shown.view).into_iter().map(|row| row.indent(1)));
    }
    if let Some((key, path, _)) = shown.group() {
        let fact = format!("/outside/cgroups/value/{}/path", part(key));
        panel.rows.push(Row::new("group", path).fact(fact).same("cgroup", path).tone(shown.group_tone()));
    }
    if shown.run.position("limits").is_some() {
        let told = "are another thing, each process has its own: the stage limits";
        panel.rows.push(Row::new("rlimits", told).tone(Tone::Off));
    }
    if limited && shown.group_tone() != Tone::Shared {
        return panel;
    }
    panel.rows.insert(0, missing(shown, &["cgroup"]));
    panel.state(State::Off)
}

/// Each capability by the sets that it is in: those in none are dropped.
fn capabilities(shown: &Shown) -> Panel {
    let mut panel = panel("capabilities", "3  Capabilities: what root may do").stacked();
    let at = "/outside/capabilities";
    let sets = match shown.view.outside.capabilities.get() {
        Ok(sets) => sets,
        Err(errno) => return panel.row(Row::refused("the five sets", errno).fact(format!("{at}/refused"))),
    };
    let regular =
        shown.run.begun.as_ref().and_then(|begun| begun.regular.as_ref()?.outside.capabilities.value());
    // A new user namespace gives all of them again: then more is there than before.
    let names = |sets: &BTreeMap<String, Capabilities>| sets.get("bounding").map(|set| set.names.clone());
    let untouched = match (regular.and_then(names), names(sets)) {
        (Some(before), Some(now)) => before.iter().all(|name| now.contains(name)),
        _ => false,
    };
    let gone = if untouched { "in none of the five sets" } else { "dropped, in none of the five sets" };
    panel.rows.extend(by_sets(sets).into_iter().map(|(names_of_sets, names)| {
        let label = match names_of_sets.as_slice() {
            [] => format!("{gone}: {}", names.len()),
            sets => format!("{}: {}", sets.join(", "), names.len()),
        };
        let row = Row::new(label, names.join(" "));
        let whole = |name: &&&str| sets.get(**name).is_some_and(|set| set.names == names);
        match (names_of_sets.is_empty(), names_of_sets.iter().find(whole)) {
            (true, _) => row.tone(Tone::Refused),
            (_, Some(name)) => row.fact(format!("{at}/value/{name}/names")),
            _ => row,
        }
    }));
    panel.rows.extend(hexadecimal(at, sets));
    panel.rows.extend(regular.and_then(|sets| sets.get("effective")).map(|set| {
        Row::new("CapEff of a process in no container", &set.hex)
            .fact("/regular/outside/capabilities/value/effective/hex")
            .tone(Tone::Off)
    }));
    if untouched {
        panel.rows.insert(0, missing(shown, &["caps"]));
        panel.state = State::Off;
    }
    panel
}

/// As /proc/PID/status has them.
fn hexadecimal(at: &str, sets: &BTreeMap<String, Capabilities>) -> Vec<Row> {
    let lines = [
        ("CapInh", "inheritable"),
        ("CapPrm", "permitted"),
        ("CapEff", "effective"),
        ("CapBnd", "bounding"),
        ("CapAmb", "ambient"),
    ];
    let row = |(line, name): (&str, &str)| {
        Some(Row::new(line, &sets.get(name)?.hex).fact(format!("{at}/value/{name}/hex")))
    };
    lines.into_iter().filter_map(row).collect()
}

/// The names of capabilities by the names of the sets that they are in, those in most sets first.
fn by_sets(sets: &BTreeMap<String, Capabilities>) -> Vec<(Vec<&'static str>, Vec<String>)> {
    const ORDER: [&str; 5] = ["effective", "permitted", "inheritable", "bounding", "ambient"];
    let mut all = capabilities::names((1 << 41) - 1);
    for name in sets.values().flat_map(|set| &set.names) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    let mut found: Vec<(Vec<&'static str>, Vec<String>)> = Vec::new();
    for name in all {
        let has = |set: &&&'static str| sets.get(**set).is_some_and(|set| set.names.contains(&name));
        let within: Vec<&'static str> = ORDER.iter().filter(has).copied().collect();
        match found.iter_mut().find(|(sets, _)| *sets == within) {
            Some((_, names)) => names.push(name),
            None => found.push((within, vec![name])),
        }
    }
    found.sort_by_key(|(sets, _)| std::cmp::Reverse(sets.len()));
    found
}

fn seccomp(shown: &Shown) -> Panel {
    let mut panel = panel("seccomp", "4  seccomp: which calls reach the kernel").stacked();
    let outside = &shown.view.outside;
    let is_on = outside.seccomp.value().is_some_and(|seccomp| seccomp.mode != "disabled");
    if !is_on {
        panel.rows.push(missing(shown, &["seccomp"]));
        panel.state = State::Off;
    }
    let mode = Row::read("mode", "/outside/seccomp", &outside.seccomp, |seccomp| seccomp.mode.clone());
    panel.rows.push(match outside.seccomp.value() {
        Some(_) => mode.fact("/outside/seccomp/value/mode"),
        None => mode,
    });
    match shown.run.filter(shown.stage).filter(|_| is_on) {
        Some(filter) => panel.rows.extend(decides(filter)),
        None if is_on => {
            panel.rows.push(Row::new("refused", "what it decides was not recorded").tone(Tone::Off))
        }
        None => {}
    }
    let yes = |one: &bool| if *one { "yes" } else { "no" }.to_owned();
    panel.rows.push(Row::read("no_new_privs", "/outside/no_new_privs", &outside.no_new_privs, yes));
    panel
}

fn decides(filter: &Filter) -> Vec<Row> {
    let mut rows = Vec::new();
    for (with, names) in &filter.refused {
        let label = format!("refused, {with}: {}", names.len());
        let row = Row::new(label, names.join(" ")).fact(format!("/filter/refused/{}", part(with)));
        rows.push(row.tone(Tone::Refused));
    }
    for (with, names) in &filter.otherwise {
        let row = Row::new(format!("{with}: {}", names.len()), names.join(" "));
        rows.push(row.fact(format!("/filter/otherwise/{}", part(with))));
    }
    for (name, decided) in &filter.by_arguments {
        rows.push(Row::new(format!("{name}, by its arguments"), by_arguments(name, decided)));
    }
    if !filter.unknown.is_empty() {
        let row = Row::new("too many ways through the filter to be told", filter.unknown.join(" "));
        rows.push(row.fact("/filter/unknown"));
    }
    let beyond = match &filter.beyond {
        Answer::Allowed => "allowed",
        Answer::Refused { with } | Answer::Otherwise { with } => with,
        Answer::Depends { .. } | Answer::Unknown { .. } => "by their arguments",
    };
    let told = format!("{} calls; numbers without a name: {beyond}", filter.allowed);
    rows.push(Row::new("allowed", told).fact("/filter/allowed"));
    rows.push(Row::new("how that is known", &filter.source).fact("/filter/source"));
    rows
}

fn by_arguments(call: &str, decided: &ByArguments) -> String {
    let told = decided.actions.iter().map(|one| match &one.when {
        Some(when) => format!("{} when {when}{}", one.action, flags(call, when)),
        None => format!("else {}", one.action),
    });
    told.collect::<Vec<_>>().join("; ")
}

/// What a mask over the flags of clone(2) stands for.
fn flags(call: &str, when: &str) -> String {
    let is_none = call == "clone" && [") == 0", ") == 0x0"].iter().any(|end| when.ends_with(end));
    let mask = when.split("& ").nth(1).and_then(|rest| rest.split(')').next()).filter(|_| is_none);
    let flags = mask.and_then(|mask| crate::decode::flags::clone(mask).ok());
    let names = flags.map(|flags| flags.bits.into_iter().map(|bit| bit.name).collect::<Vec<_>>());
    names.map_or(String::new(), |names| format!(": none of {}", names.join(" ")))
}

fn label(shown: &Shown) -> Panel {
    let panel = panel("lsm", "5  LSM: the policy of AppArmor or SELinux");
    let row = lsm(shown.view, "label");
    let is_labelled = shown.view.outside.lsm_label.value().is_some_and(|label| label != "unconfined");
    let regular =
        shown.run.begun.as_ref().and_then(|begun| begun.regular.as_ref()?.outside.lsm_label.value());
    let is_shared = regular.is_some_and(|regular| Some(regular) == shown.view.outside.lsm_label.value());
    match (is_labelled, is_shared) {
        (true, true) => panel.row(row.tone(Tone::Shared)),
        (true, false) => panel.row(row.tone(Tone::Own)),
        (false, _) => {
            let why = "the kernel confines this process by no label";
            panel.row(row).row(Row::new("state", why).tone(Tone::Off)).state(State::Off)
        }
    }
}

fn user(shown: &Shown) -> Panel {
    let outside = &shown.view.outside;
    let mut panel = panel("user", "6  User namespace: whose root it is");
    let is_own = outside.namespaces.get("user").and_then(|one| one.value()).is_some_and(|ns| !ns.host);
    if !is_own {
        panel.rows.push(missing(shown, &["userns"]));
        panel.state = State::Off;
    }
    panel.rows.push(match outside.uid_map.value().map(|ranges| outside_of(ranges, 0)) {
        Some(Some(0)) => Row::new("root inside", "is root outside, uid 0").tone(Tone::Shared),
        Some(Some(uid)) => Row::new("root inside", format!("is uid {uid} outside")).tone(Tone::Own),
        _ => Row::new("root inside", "is nobody outside").tone(Tone::Off),
    });
    panel.rows.extend(map("uid_map", &outside.uid_map));
    panel.rows.extend(map("gid_map", &outside.gid_map));
    panel.rows.push(Row::read("setgroups", "/outside/setgroups", &outside.setgroups, String::clone));
    panel
}

fn outside_of(ranges: &[Range], inside: u32) -> Option<u32> {
    let range = ranges.iter().find(|one| inside.checked_sub(one.inside).is_some_and(|at| at < one.count))?;
    range.outside.checked_add(inside - range.inside)
}

fn map(name: &str, ranges: &Reading<Vec<Range>>) -> Vec<Row> {
    let at = format!("/outside/{name}");
    match ranges.get() {
        Ok(ranges) if ranges.is_empty() => vec![Row::new(name, "empty: no id is anybody outside")],
        Ok(ranges) => {
            let told = ranges.iter().take(6).enumerate().map(|(number, one)| {
                let (inside, outside, count) = (one.inside, one.outside, one.count);
                let told = match count {
                    1 => format!("{inside} is {outside} outside"),
                    _ => format!("{count} ids: {inside}… are {outside}… outside"),
                };
                Row::new(name, told).fact(format!("{at}/value/{number}/outside"))
            });
            told.collect()
        }
        Err(errno) => vec![Row::refused(name, errno).fact(format!("{at}/refused"))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_capability_is_told_once() {
        let set = |bits: u64| Capabilities { hex: format!("{bits:016x}"), names: capabilities::names(bits) };
        let sets = [
            ("effective", set(0x4)),
            ("permitted", set(0x6)),
            ("inheritable", set(0)),
            ("bounding", set(0x8000_0000_0000_0007)),
            ("ambient", set(0)),
        ];
        let told = by_sets(&sets.into_iter().map(|(name, set)| (name.to_owned(), set)).collect());
        let sets: Vec<&[&str]> = told.iter().map(|(sets, _)| sets.as_slice()).collect();
        assert_eq!(
            sets,
            [&["effective", "permitted", "bounding"][..], &["permitted", "bounding"], &["bounding"], &[]]
        );
        let mut names: Vec<&String> = told.iter().flat_map(|(_, names)| names).collect();
        assert_eq!(names.len(), 42);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 42);
    }

    #[test]
    fn an_id_outside_is_found_in_its_range() {
        let range = |inside, outside, count| Range { inside, outside, count };
        let ranges = [range(0, 1001, 1), range(1, 100_000, 65_536)];
        assert_eq!(outside_of(&ranges, 0), Some(1001));
        assert_eq!(outside_of(&ranges, 65_536), Some(165_535));
        assert_eq!(outside_of(&ranges, 65_537), None);
        assert_eq!(outside_of(&[range(0, u32::MAX, 2)], 1), None);
    }
}
