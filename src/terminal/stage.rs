//! How does one stage look? First what it asks, what is about to be called and why; then what was called and what
//! the kernel says has changed. Functions from a trace's events and a width to text, nothing else.
//!
//! Next: `changes`, the most telling of what changed, and `report`, all that is said less often.

use super::group::{self, Group};
use super::palette::{self, BOLD, DIM, KERNEL};
use super::text::{Line, clean, join_lines, list, wrap};
use crate::diff::Diff;
use crate::engine::wire::Outcome;
use crate::kernel::call::{Call, Returned};
use crate::plan::{PrintedMove, PrintedStage};
use crate::stage::Side;
use anstyle::Style;
use std::collections::BTreeMap;

/// One step as it was made.
#[derive(Clone, Debug)]
pub struct Stepped {
    pub planned: PrintedMove,
    pub calls: Vec<Call>,
    pub outcome: Outcome,
    pub micros: u64,
}

/// From here on there is room for two columns.
pub const WIDE: usize = 150;
/// Prose longer than this is hard to read.
const PROSE: usize = 100;
/// So many kinds of calls before the rest is counted.
const KINDS: usize = 9;
/// So many calls are listed one by one.
const FEW: usize = 8;

/// Lines of text, made of words, at most `width` wide.
pub fn prose(style: Style, indent: usize, text: &str, width: usize) -> Vec<Line> {
    let columns = width.min(PROSE).saturating_sub(indent).max(10);
    // Between words alone: `CVE-2024-21626` and `/proc/sys` stay whole.
    let options = textwrap::Options::new(columns)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(&clean(text), options).iter().map(|part| indented(indent, style, part)).collect()
}

pub fn indented(indent: usize, style: Style, text: &str) -> Line {
    let mut line = Line::default();
    line.pad(indent);
    line.push(style, text);
    line
}

pub fn heading(text: &str) -> Line {
    indented(1, BOLD, text)
}

/// Where one is: `3/16 ●●◉○○○ cgroup`; with room for it, every stage by name.
pub fn strip(number: usize, ids: &[String], width: usize) -> Line {
    let mut line = Line::default();
    line.push(BOLD, &format!(" stage {} of {} ", number + 1, ids.len()));
    let names: usize = ids.iter().map(|id| id.len() + 3).sum();
    let named = line.columns + names < width;
    for (at, id) in ids.iter().enumerate() {
        let (mark, style) = match at.cmp(&number) {
            std::cmp::Ordering::Less => ("●", KERNEL),
            std::cmp::Ordering::Equal => ("◉", KERNEL.bold()),
            std::cmp::Ordering::Greater => ("○", DIM),
        };
        if named {
            line.push(style, &format!(" {mark} {}", clean(id)));
        } else {
            line.push(style, mark);
        }
    }
    if !named {
        line.push(BOLD, &format!(" {}", ids.get(number).map_or(String::new(), |id| clean(id))));
    }
    line
}

pub fn rule(width: usize) -> Line {
    indented(0, DIM, &"─".repeat(width))
}

/// What is to be said before a stage is played.
pub fn before(number: usize, ids: &[String], stage: &PrintedStage, width: usize) -> String {
    let mut lines = vec![Line::default(), rule(width)];
    let strip = strip(number, ids, width);
    match strip.columns <= width {
        true => lines.push(strip),
        false => lines.extend(prose(BOLD, 1, &format!("stage {} of {}", number + 1, ids.len()), width)),
    }
    lines.push(Line::default());
    lines.extend(prose(BOLD, 1, &format!("{}: {}", stage.stage, stage.title), width));
    lines.extend(prose(Style::new(), 1, &stage.question, width));
    for note in &stage.notes {
        lines.extend(prose(DIM, 1, &format!("note: {note}"), width));
    }
    if !stage.moves.is_empty() {
        lines.push(Line::default());
        lines.extend(prose(BOLD, 1, "will be called, and why", width));
        lines.extend(will(&stage.moves, width));
    }
    join_lines(lines)
}

/// The moves, those of one kind together.
fn will(moves: &[PrintedMove], width: usize) -> Vec<Line> {
    let groups = group::moves(moves);
    let mut lines = Vec::new();
    let room = column(groups.iter().map(|group| group.first), width);
    let hidden = groups.len().saturating_sub(KINDS);
    for (at, one) in groups.iter().enumerate() {
        // The last is what the stage comes to, so it is never among those left out.
        if hidden > 1 && at + 1 < groups.len() && at + 2 > KINDS {
            if at + 1 == KINDS {
                let more = format!("… {hidden} more kinds of call; key a shows each");
                lines.extend(prose(DIM, 9, &more, width));
            }
            continue;
        }
        lines.extend(kind(one, room, width));
    }
    lines
}

/// How wide the calls' column is: all of the width where there is no room for a second one.
pub fn column<'a>(calls: impl Iterator<Item = &'a str>, width: usize) -> usize {
    let longest = calls.map(|call| call.chars().count() + 10).max().unwrap_or(0);
    if width < WIDE { width } else { longest.clamp(width * 2 / 5, width * 3 / 5) }
}

fn kind(one: &Group, room: usize, width: usize) -> Vec<Line> {
    let wide = room < width;
    let mut lines = call_lines(one.side, one.first, room);
    if one.count > 1 {
        let others: Vec<String> = one.others.iter().map(|other| clean(other)).collect();
        let also = match others.is_empty() {
            true => format!("×{}", one.count),
            false => format!("×{}: also {}", one.count, list(others, ", ", if wide { 8 } else { 4 })),
        };
        lines.extend(wrap(&also, room.saturating_sub(11)).iter().map(|part| indented(9, DIM, part)));
    }
    match wide {
        true => beside(lines, prose(DIM, 0, &one.why, width - room - 2), room + 1),
        false => {
            lines.extend(prose(DIM, 9, &one.why, width));
            lines
        }
    }
}

/// A call after the side that makes it, continued below itself.
pub fn call_lines(side: Side, call: &str, width: usize) -> Vec<Line> {
    let parts = wrap(&clean(call), width.saturating_sub(10));
    let mut lines = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let mut line = Line::default();
        line.pad(2);
        line.push(palette::side(side), if at == 0 { palette::word(side) } else { "     " });
        line.pad(if at == 0 { 8 } else { 10 });
        line.push(Style::new(), part);
        lines.push(line);
    }
    lines
}

/// Two columns, the right one from `column` on.
pub fn beside(left: Vec<Line>, right: Vec<Line>, column: usize) -> Vec<Line> {
    let count = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let mut lines = Vec::with_capacity(count);
    for _ in 0..count {
        let mut line = left.next().unwrap_or_default();
        if let Some(right) = right.next().filter(|right| right.columns > 0) {
            line.pad(column);
            line.styled.push_str(&right.styled);
            line.columns += right.columns;
        }
        lines.push(line);
    }
    lines
}

/// What is to be said after a stage was played.
pub fn after(steps: &[Stepped], micros: u64, diff: Option<&Diff>, seen: bool, width: usize) -> String {
    let wide = width >= WIDE;
    let column = if wide { width * 3 / 5 } else { width };
    let mut called = vec![Line::default(), heading("was called")];
    called.extend(calls(steps, column));
    called.extend(prose(DIM, 2, &time(steps, micros), column));
    let mut changed = vec![Line::default()];
    changed.extend(prose(BOLD, 1, "what the kernel says now", width));
    changed.extend(super::changes::telling(diff, seen, if wide { width - column - 1 } else { width }));
    let lines = match wide {
        true => beside(called, changed, column + 1),
        false => called.into_iter().chain(changed).collect(),
    };
    join_lines(lines)
}

/// Few calls one by one; of many, how many of each.
fn calls(steps: &[Stepped], width: usize) -> Vec<Line> {
    let made = || steps.iter().flat_map(|step| step.calls.iter().map(|call| (step.planned.side, call)));
    let mut lines = Vec::new();
    if made().count() <= FEW {
        for step in steps {
            lines.extend(step_calls(step, width));
        }
    } else {
        for side in [Side::Host, Side::Child] {
            lines.extend(counted(side, made().filter(|(of, _)| *of == side).map(|(_, call)| call), width));
        }
    }
    lines.extend(noted(steps, width));
    lines
}

/// Every call of a step with its answer. Who executed another program could not say so any more.
pub fn step_calls(step: &Stepped, width: usize) -> Vec<Line> {
    let side = step.planned.side;
    if !step.calls.is_empty() {
        return step.calls.iter().flat_map(|call| call_lines(side, &call.to_string(), width)).collect();
    }
    // What has a note instead of a call was not needed, and not called.
    if matches!(step.outcome, Outcome::Noted(_)) {
        return Vec::new();
    }
    let end = match &step.outcome {
        Outcome::Refused(errno) => format!(" = -1 {errno}"),
        Outcome::Noted(_) | Outcome::Done | Outcome::Forked { .. } => " = 0".to_owned(),
    };
    call_lines(side, &format!("{}{end}", step.planned.step), width)
}

fn counted<'a>(side: Side, calls: impl Iterator<Item = &'a Call>, width: usize) -> Vec<Line> {
    let mut names: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    for call in calls {
        let count = counts.entry(&call.name).or_insert_with(|| {
            names.push(&call.name);
            Default::default()
        });
        count.0 += 1;
        if let Returned::Refused(errno) = call.returned {
            *count.1.entry(errno.name()).or_default() += 1;
        }
    }
    let told = names.iter().filter_map(|name| {
        let (count, refused) = counts.get(name)?;
        let refused: Vec<String> = refused.iter().map(|(errno, count)| format!("{count} {errno}")).collect();
        let refused = if refused.is_empty() { String::new() } else { format!(" ({})", refused.join(", ")) };
        Some(format!("{name} ×{count}{refused}"))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { Vec::new() } else { call_lines(side, &told.join(", "), width) }
}

/// What steps had to say, each once.
fn noted(steps: &[Stepped], width: usize) -> Vec<Line> {
    let mut notes: Vec<(String, usize)> = Vec::new();
    for step in steps {
        let note = match &step.outcome {
            Outcome::Noted(note) => note.clone(),
            Outcome::Forked { pid } => format!("{} made process {pid}", group::name(&step.planned.step)),
            Outcome::Done | Outcome::Refused(_) => continue,
        };
        match notes.iter_mut().find(|(known, _)| *known == note) {
            Some((_, count)) => *count += 1,
            None => notes.push((note, 1)),
        }
    }
    let told = |(note, count): &(String, usize)| match count {
        1 => note.clone(),
        count => format!("{note} (×{count})"),
    };
    notes.iter().flat_map(|note| prose(DIM, 2, &format!("note: {}", told(note)), width)).collect()
}

/// How long it took, and where most of it went.
fn time(steps: &[Stepped], micros: u64) -> String {
    let calls: usize = steps.iter().map(|step| step.calls.len()).sum();
    let all = if calls > FEW { format!("{calls} calls, key a shows each; ") } else { String::new() };
    let slowest = steps.iter().max_by_key(|step| step.micros);
    let slowest = slowest.filter(|step| micros > 1000 && step.micros * 2 > micros && steps.len() > 1);
    match slowest {
        Some(step) => {
            let part = cut(&step.planned.step, 60);
            format!("{all}{}, of which {} in {part}", duration(micros), duration(step.micros))
        }
        None => format!("{all}{}", duration(micros)),
    }
}

/// The beginning, up to the end of a word.
fn cut(text: &str, most: usize) -> String {
    let Some((at, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let head = text.get(..at).unwrap_or(text);
    let end = head.rfind(' ').map(|space| space + 1).or_else(|| Some(head.find('(')? + 1));
    format!("{}…", end.and_then(|end| head.get(..end)).unwrap_or(head))
}

pub fn duration(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..100_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{} ms", micros / 1000),
    }
}

/// Every step with its reason, and every call that it came to.
pub fn all(steps: &[Stepped], width: usize) -> String {
    let mut lines = Vec::new();
    for step in steps {
        lines.extend(call_lines(step.planned.side, &step.planned.step, width));
        lines.extend(prose(DIM, 8, &step.planned.why, width));
        for call in &step.calls {
            let parts = wrap(&clean(&call.to_string()), width.saturating_sub(14));
            lines.extend(parts.iter().map(|part| indented(12, KERNEL, part)));
        }
        let note = match &step.outcome {
            Outcome::Noted(note) => format!("{note}; "),
            Outcome::Forked { pid } => format!("process {pid}; "),
            Outcome::Refused(errno) => format!("refused: {errno}; "),
            Outcome::Done => String::new(),
        };
        lines.extend(prose(DIM, 12, &format!("{note}{}", duration(step.micros)), width));
    }
    join_lines(lines)
}
