//! How does a plan look before anything is done? Every call in order, by whom, why, and how the host is made as it was.
//!
//! Next: `show`, the same stages while they are played.

use super::palette::{BOLD, DIM};
use super::stage::{beside, call_lines, column, indented, prose};
use super::text::{Line, clean, join_lines};
use crate::plan::{Printed, PrintedMove, PrintedStage};
use anstyle::Style;

/// The plan as text; `first` is the number of its first stage, where not all of it is shown.
pub fn render(plan: &Printed, first: usize, width: usize) -> String {
    let mut lines = Vec::new();
    for (number, stage) in plan.stages.iter().enumerate() {
        lines.extend(head(first + number, stage, width));
        let room = column(stage.moves.iter().map(|one| one.step.as_str()), width);
        let mut before = None;
        for one in &stage.moves {
            // What is said once holds for all that follow it.
            let told = before == Some(&one.why);
            lines.extend(step(one, told, room, width));
            before = Some(&one.why);
        }
        lines.push(Line::default());
    }
    let calls: usize = plan.stages.iter().map(|stage| stage.moves.len()).sum();
    let undone = plan.stages.iter().flat_map(|stage| &stage.moves).filter(|one| one.undo.is_some()).count();
    let sum = format!(
        "{} stages, {calls} steps; of these undone at the end: {undone}. Nothing was done: this is the plan of container {}.",
        plan.stages.len(),
        plan.container
    );
    lines.extend(prose(DIM, 1, &sum, width));
    join_lines(lines)
}

fn head(number: usize, stage: &PrintedStage, width: usize) -> Vec<Line> {
    let mut title = indented(1, BOLD, &format!("{:>2} {}", number + 1, clean(&stage.stage)));
    title.push(Style::new(), &format!("  {}", clean(&stage.title)));
    let mut lines = vec![title];
    lines.extend(prose(Style::new(), 4, &stage.question, width));
    for note in &stage.notes {
        lines.extend(prose(DIM, 4, &format!("note: {note}"), width));
    }
    lines
}

fn step(one: &PrintedMove, told: bool, room: usize, width: usize) -> Vec<Line> {
    let wide = room < width;
    let (indent, columns) = if wide { (0, width - room - 2) } else { (9, width) };
    let mut why = if told { Vec::new() } else { prose(DIM, indent, &one.why, columns) };
    if let Some(undo) = &one.undo {
        why.extend(prose(DIM, indent, &format!("undone by {undo}"), columns));
    }
    let lines = call_lines(one.side, &one.step, room);
    if wide { beside(lines, why, room + 1) } else { lines.into_iter().chain(why).collect() }
}
