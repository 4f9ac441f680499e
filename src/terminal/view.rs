//! How does a view look? Two vantages: side by side where the terminal is wide enough, else one below the other.
//!
//! Next: `outside` and `inside`, the rows of each; `layers`, what the host has of them.

pub mod inside;
pub mod layers;
pub mod outside;

use super::text::{Line, Row, Tone, block, clean, join_lines};
use crate::kernel::Errno;
use crate::probes::{Answer, Reading};
use crate::view::KernelView;
use anstyle::Style;

/// From this many columns on there are two.
const WIDE: usize = 120;

/// Rows under a heading.
pub type Section = (&'static str, Vec<Row>);

/// The view as a table of `width` columns, with styles.
pub fn render(view: &KernelView, width: usize) -> String {
    let width = width.max(40);
    let mut lines = vec![title(view), Line::default()];
    match &view.inside {
        Some(inside) if width >= WIDE => {
            let column = (width - 3) / 2;
            let left =
                column_lines("OUTSIDE", "what the host reads about it", outside::sections(view), column);
            let right = column_lines("INSIDE", "what it sees itself", inside::sections(inside), column);
            lines.extend(side_by_side(left, right, column));
        }
        inside => {
            lines.extend(column_lines(
                "OUTSIDE",
                "what the host reads about it",
                outside::sections(view),
                width,
            ));
            if let Some(inside) = inside {
                lines.extend(column_lines("INSIDE", "what it sees itself", inside::sections(inside), width));
            }
        }
    }
    while lines.last().is_some_and(|line| line.columns == 0) {
        lines.pop();
    }
    join_lines(lines)
}

fn title(view: &KernelView) -> Line {
    let name = view.outside.name.value().map_or("?", String::as_str);
    let mut line = Line::default();
    line.push(Style::new().bold(), &format!("process {} {}", view.pid, clean(name)));
    line
}

fn column_lines(head: &str, what: &str, sections: Vec<Section>, width: usize) -> Vec<Line> {
    let mut heading = Line::default();
    heading.push(Style::new().bold().underline(), head);
    heading.push(Tone::Dim.style(), &format!("  {what}"));
    let mut lines = vec![heading, Line::default()];
    for (title, rows) in sections {
        lines.extend(block(title, &rows, width));
    }
    lines
}

fn side_by_side(left: Vec<Line>, right: Vec<Line>, column: usize) -> Vec<Line> {
    let count = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let both = |_| {
        let mut line = left.next().unwrap_or_default();
        line.pad(column);
        line.push(Tone::Dim.style(), " │ ");
        let right = right.next().unwrap_or_default();
        line.styled.push_str(&right.styled);
        line.columns += right.columns;
        line
    };
    (0..count).map(both).collect()
}

/// One row of a reading: its text and tone, or the errno that it gave and where.
fn row<T>(label: &str, reading: &Reading<T>, say: impl FnOnce(&T) -> (Tone, String)) -> Row {
    match &reading.answer {
        Answer::Value(value) => {
            let (tone, text) = say(value);
            Row::new(tone, label, text)
        }
        Answer::Refused(errno) => refused(label, &reading.source, *errno),
    }
}

/// Several rows of a reading, or the one that says what it gave instead.
fn rows<T>(label: &str, reading: &Reading<T>, say: impl FnOnce(&T) -> Vec<Row>) -> Vec<Row> {
    match &reading.answer {
        Answer::Value(value) => say(value),
        Answer::Refused(errno) => vec![refused(label, &reading.source, *errno)],
    }
}

fn refused(label: &str, source: &str, errno: Errno) -> Row {
    Row::new(Tone::Refused, label, format!("{errno}: {source}"))
}

fn plain(text: impl Into<String>) -> (Tone, String) {
    (Tone::Plain, text.into())
}

/// Something said only where it is true of containers and rarely else.
fn own(is_own: bool, text: impl Into<String>) -> (Tone, String) {
    (if is_own { Tone::Own } else { Tone::Plain }, text.into())
}
