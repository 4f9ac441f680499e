//! What else is said of a session? Its beginning, its keys, why a stage exists, what went wrong, where the time went.
//!
//! Next: `show`, which says it.

use super::diff;
use super::palette::{BOLD, DIM, KERNEL};
use super::stage::{duration, heading, indented, prose};
use super::text::{Line, Row, Tone, block, join_lines};
use crate::diff::Diff;
use crate::plan::Printed;
use crate::refusal::Diagnosis;
use crate::stage::Stage;
use anstyle::Style;

/// The first words.
pub fn intro(plan: &Printed, interactive: bool, width: usize) -> String {
    let stages = plan.stages.len();
    let first = plan.stages.first().map_or("", |stage| stage.stage.as_str());
    let last = plan.stages.last().map_or("", |stage| stage.stage.as_str());
    let pause =
        if interactive { " After each it stands still until you press a key; ? lists the keys." } else { "" };
    let text =
        format!("Container {} is built in {stages} stages, from {first} to {last}.{pause}", plan.container);
    let left_out = match plan.left_out.as_slice() {
        [] => String::new(),
        some => format!(" Left out: {}; see what that breaks.", some.join(", ")),
    };
    let text = text + &left_out;
    let sides = "`host` marks what the host's process calls, `child` what the process calls that becomes the container.";
    let mut lines = prose(BOLD, 1, &text, width);
    lines.extend(prose(DIM, 1, sides, width));
    join_lines(lines)
}

/// A key, and what it does.
pub const KEYS: [(&str, &str, &str); 13] = [
    ("n", "next", "play the next stage (also Enter and the space bar)"),
    ("c", "run", "run on to the end without a pause"),
    ("a", "calls", "every call of this stage with its reason, in the order in which they were made"),
    ("d", "diff", "every change in the kernel's view since the stage before"),
    ("v", "view", "all that the kernel says of the process now"),
    ("h", "why", "why this stage exists, its man pages, and what can go wrong"),
    ("o", "both", "this stage's command on the host and inside, side by side"),
    ("e", "shell", "a shell inside the container as it is now"),
    ("l", "look", "ask the kernel once more: what has changed while it stands still here"),
    ("b", "back", "take everything down and build up to the stage before"),
    ("q", "quit", "take everything down (also Ctrl-C)"),
    ("r", "redraw", "show this stage again"),
    ("?", "help", "this list"),
];

pub fn help(width: usize) -> String {
    let rows: Vec<Row> = KEYS.iter().map(|(key, _, text)| Row::new(Tone::Plain, key, text)).collect();
    join_lines(block(" Keys", &rows, width))
}

/// What a look between two stages has found.
pub fn looked(stage: &str, there: bool, diff: Option<&Diff>, width: usize) -> String {
    let changes = diff.map_or(String::new(), |diff| diff::render(diff, width));
    let words = match (there, changes.is_empty()) {
        (false, _) => "there is no process any more to look at".to_owned(),
        (true, true) => "nothing has changed that a view shows".to_owned(),
        (true, false) => format!("what has changed since {stage} was last looked at"),
    };
    join_lines(prose(BOLD, 1, &format!("looked again: {words}"), width)) + &changes
}

/// Why a stage exists.
pub fn why(stage: &Stage, width: usize) -> String {
    let mut lines = vec![Line::default(), heading(&format!("{}: {}", stage.id, stage.title))];
    lines.extend(prose(Style::new(), 1, stage.question, width));
    lines.push(Line::default());
    lines.extend(prose(Style::new(), 1, stage.why, width));
    lines.push(Line::default());
    lines.extend(prose(DIM, 1, &format!("man pages: {}", stage.man.join(", ")), width));
    if !stage.pitfalls.is_empty() {
        lines.push(Line::default());
        let rows: Vec<Row> = stage
            .pitfalls
            .iter()
            .map(|pitfall| {
                let label = format!("{} = {}", pitfall.call, pitfall.errno.name());
                Row::new(
                    Tone::Plain,
                    label,
                    format!("{}. {}.", in_general(pitfall.cause), in_general(pitfall.mend)),
                )
            })
            .collect();
        lines.extend(block(" what can go wrong", &rows, width.min(120)));
    }
    join_lines(lines)
}

/// A pitfall's sentence before there is a case: `{path}` is written as man pages have it, `PATH`.
fn in_general(text: &str) -> String {
    let mut parts = text.trim_end_matches('.').split('{');
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or(("", part));
        // An ordinary user's prefix.
        if name != "sudo" {
            told.push_str(&name.to_uppercase());
        }
        told.push_str(rest);
    }
    told
}

/// A step was refused: which call, with what, why, and what to do next.
pub fn failed(stage: &str, diagnosis: &Diagnosis, width: usize) -> String {
    let refused = Tone::Refused.style().bold();
    let mut lines =
        vec![Line::default(), indented(1, refused, &format!("the stage {stage} was refused a step"))];
    let call = match &diagnosis.call {
        Some(call) => call.to_string(),
        None => format!("{} = -1 {}", diagnosis.step, diagnosis.errno),
    };
    let mut rows =
        vec![Row::new(Tone::Refused, "call", call), Row::new(Tone::Plain, "step", &diagnosis.step)];
    for cause in &diagnosis.causes {
        let label = if cause.found { "cause" } else { "candidate" };
        rows.push(Row::new(Tone::Plain, label, &cause.cause));
        rows.push(Row::new(Tone::Own, "next", &cause.mend));
    }
    lines.extend(block("", &rows, width.min(120)).into_iter().skip(1));
    join_lines(lines)
}

/// Below this there is no room for columns.
const NARROW: usize = 40;

/// Where the time went, a line a stage: its steps, and all of it with the views that were taken.
pub fn times(rows: &[(String, u64, usize)], width: usize) -> String {
    let total: u64 = rows.iter().map(|(_, micros, _)| micros).sum();
    let longest = rows.iter().map(|(_, micros, _)| *micros).max().unwrap_or(0).max(1);
    let bar = width.saturating_sub(46).min(60) as u64;
    let mut lines = vec![Line::default(), heading("where the time went")];
    for (stage, micros, calls) in rows {
        if width < NARROW {
            lines.extend(prose(
                Style::new(),
                1,
                &format!("{stage} {}, {calls} calls", duration(*micros)),
                width,
            ));
            continue;
        }
        let mut line =
            indented(2, Style::new(), &format!("{stage:<12} {:>9} {calls:>5} calls  ", duration(*micros)));
        line.push(KERNEL, &"▇".repeat((micros * bar / longest) as usize));
        lines.push(line);
    }
    let calls: usize = rows.iter().map(|(.., calls)| calls).sum();
    lines.push(match width < NARROW {
        true => indented(1, BOLD, &format!("in all {}", duration(total))),
        false => indented(2, BOLD, &format!("{:<12} {:>9} {calls:>5} calls", "all stages", duration(total))),
    });
    join_lines(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pitfall_has_no_braces_left() {
        assert_eq!(
            in_general("{path} is on {fstype}. `{sudo}mount {path}`."),
            "PATH is on FSTYPE. `mount PATH`"
        );
        assert_eq!(in_general("an { alone"), "an  alone");
        for stage in crate::stages::TABLE {
            let text = why(stage, 80);
            assert!(!text.contains('{'), "{text}");
        }
    }
}
