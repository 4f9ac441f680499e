//! What does a person see? A table by subject: what is there in one line each, what is wanting with its
//! cause, its cost and its mend; and the verdict at the end.

use super::{Answer, Check, Report};
use anstyle::{AnsiColor, Style};
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

impl Answer {
    fn word(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::No => "no",
            Answer::Limited => "limited",
            Answer::NotAsked => "–",
        }
    }

    fn style(self) -> Style {
        let color = match self {
            Answer::Yes => AnsiColor::Green,
            Answer::No => AnsiColor::Red,
            Answer::Limited => AnsiColor::Yellow,
            Answer::NotAsked => return DIM,
        };
        Style::new().fg_color(Some(color.into()))
    }
}

/// From here on there is room for the call beside what it found.
const WIDE: usize = 140;
const ANSWER: usize = 7;
/// Where what belongs to an answer begins.
const INDENT: usize = 2 + ANSWER + 2;

/// The report for a terminal of that many columns; `calls` shows every call that was tried.
pub fn draw(report: &Report, columns: usize, calls: bool) -> String {
    let mut text = String::new();
    let columns = columns.clamp(40, 220);
    let title = report.checks.iter().map(|check| check.title.width()).max().unwrap_or(0).min(columns / 3);
    let room = columns.saturating_sub(2 + ANSWER + 2 + title + 2);
    head(&mut text, report, columns);
    let mut subject = "";
    let mut told: Vec<&Check> = Vec::new();
    for check in &report.checks {
        if check.subject != subject {
            subject = &check.subject;
            _ = writeln!(text, "\n{BOLD}{subject}{BOLD:#}");
        }
        row(&mut text, check, title, room, columns);
        let mut line = |label, words: &str, style| labelled(&mut text, label, words, style, columns);
        if calls {
            check.tried.iter().for_each(|call| line("tried", call, DIM));
        }
        if !matches!(check.answer, Answer::No | Answer::Limited) {
            continue;
        }
        let same = |other: &&&Check| {
            !other.causes.is_empty() && other.causes == check.causes && other.mend == check.mend
        };
        if let Some(other) = told.iter().find(same) {
            line("cause", &format!("as for {}", other.title), Style::new());
            check.costs.iter().for_each(|costs| line("costs", costs, Style::new()));
            continue;
        }
        if let (false, true, Some(call)) = (calls, columns < WIDE, &check.decided_by) {
            line("tried", call, DIM);
        }
        let label = if check.causes.len() > 1 { "perhaps" } else { "cause" };
        check.causes.iter().for_each(|cause| line(label, cause, Style::new()));
        check.costs.iter().for_each(|costs| line("costs", costs, Style::new()));
        if let Some(mend) = &check.mend {
            // Never wrapped: it is there to be copied.
            _ = writeln!(text, "{:INDENT$}{DIM}{:<7}{DIM:#}  {BOLD}{mend}{BOLD:#}", "", "mend");
        }
        told.push(check);
    }
    let style = if report.verdict.can { Answer::Yes.style() } else { Answer::No.style() }.bold();
    text.push('\n');
    for line in wrap(&report.verdict.sentence, columns) {
        _ = writeln!(text, "{style}{line}{style:#}");
    }
    text
}

fn head(text: &mut String, report: &Report, columns: usize) {
    let user = report.user.clone().unwrap_or_else(|| format!("uid {}", report.uid));
    let distribution = report.distribution.as_deref().unwrap_or("an unknown distribution");
    let machine = format!("Linux {} on {}, {distribution}, as {user}", report.kernel, report.arch);
    let sign =
        report.outer_container.as_ref().map(|sign| format!("in a container already, it seems: {sign}"));
    for line in [Some(machine), sign].into_iter().flatten().flat_map(|line| wrap(&line, columns)) {
        _ = writeln!(text, "{line}");
    }
}

/// One check: its answer, its title and what was found; the deciding call too, where there is room.
fn row(text: &mut String, check: &Check, title: usize, room: usize, columns: usize) {
    let style = check.answer.style();
    let says_room = if columns >= WIDE { room * 2 / 5 } else { room };
    let says = wrap(&check.says, says_room);
    let pad = |part: &str, width: usize| " ".repeat(width.saturating_sub(part.width()));
    for (index, line) in says.iter().enumerate() {
        let (word, name) = if index == 0 { (check.answer.word(), check.title.as_str()) } else { ("", "") };
        let (word_pad, name_pad) = (pad(word, ANSWER), pad(name, title));
        _ = write!(text, "  {style}{word}{style:#}{word_pad}  {name}{name_pad}  {line}");
        if let (0, true, Some(call)) = (index, columns >= WIDE, &check.decided_by) {
            let rest = room.saturating_sub(says_room + 2);
            _ = write!(text, "{}  {DIM}{}{DIM:#}", pad(line, says_room), cut(call, rest));
        }
        text.push('\n');
    }
}

/// A call's end says how it went, so it is its middle that is left out.
fn cut(call: &str, room: usize) -> String {
    if call.width() <= room {
        return call.to_owned();
    }
    let tail = call.rfind(") = ").map_or("", |at| call.get(at..).unwrap_or_default());
    let tail = if tail.width() + 8 > room { "" } else { tail };
    let keep = room.saturating_sub(tail.width() + 1);
    let mut head = String::new();
    for letter in call.chars() {
        if head.width() + letter.len_utf8() > keep {
            break;
        }
        head.push(letter);
    }
    format!("{head}…{tail}")
}

fn labelled(text: &mut String, label: &str, words: &str, style: Style, columns: usize) {
    for (index, line) in wrap(words, columns.saturating_sub(INDENT + 9)).iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        _ = writeln!(text, "{:INDENT$}{DIM}{label:<7}{DIM:#}  {style}{line}{style:#}", "");
    }
}

/// Lines are broken at spaces only: what has a hyphen is a name or an option.
fn wrap(words: &str, room: usize) -> Vec<String> {
    let options = textwrap::Options::new(room.max(20))
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(words, options).into_iter().map(|line| line.into_owned()).collect()
}
