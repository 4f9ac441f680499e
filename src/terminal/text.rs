//! How does text that others chose come safely and in measure to a terminal? Names of processes, files and
//! variables may hold escape sequences: nothing reaches the terminal that could move its cursor.
//!
//! Next: `view` and `diff`, which are made of these rows.

use anstyle::{AnsiColor, Style};
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

/// The text with everything that a terminal would obey, or hide, written out as Rust writes it.
pub fn clean(text: &str) -> String {
    let hidden = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    let mut cleaned = String::with_capacity(text.len());
    for letter in text.chars() {
        match hidden(letter) {
            true => cleaned.extend(letter.escape_default()),
            false => cleaned.push(letter),
        }
    }
    cleaned
}

/// What a row is about, and so how it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Of this process alone: what makes it a container.
    Own,
    Dim,
    Refused,
    Added,
    Removed,
    Changed,
}

impl Tone {
    /// Its name in a page's style sheet.
    pub fn word(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Own => "own",
            Tone::Dim => "dim",
            Tone::Refused => "refused",
            Tone::Added => "added",
            Tone::Removed => "removed",
            Tone::Changed => "changed",
        }
    }

    pub fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Own => AnsiColor::Cyan.on_default(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Refused => AnsiColor::Yellow.on_default(),
            Tone::Added => AnsiColor::Green.on_default(),
            Tone::Removed => AnsiColor::Red.on_default(),
            Tone::Changed => AnsiColor::Yellow.on_default(),
        }
    }
}

/// A label and what there is to say.
#[derive(Clone, Debug)]
pub struct Row {
    pub label: String,
    pub text: String,
    pub tone: Tone,
}

impl Row {
    /// Both texts may be anything: they are cleaned here.
    pub fn new(tone: Tone, label: impl AsRef<str>, text: impl AsRef<str>) -> Row {
        Row { label: clean(label.as_ref()), text: clean(text.as_ref()), tone }
    }
}

/// One line on the terminal: with its styles, and how many columns it takes.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub styled: String,
    pub columns: usize,
}

impl Line {
    pub fn push(&mut self, style: Style, text: &str) {
        let _ = write!(self.styled, "{style}{text}{style:#}");
        self.columns += text.width();
    }

    pub fn pad(&mut self, columns: usize) {
        let missing = columns.saturating_sub(self.columns);
        self.styled.push_str(&" ".repeat(missing));
        self.columns += missing;
    }
}

/// A heading and its rows, the labels in one column, the texts wrapped beside it.
pub fn block(title: &str, rows: &[Row], width: usize) -> Vec<Line> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut heading = Line::default();
    heading.push(Style::new().bold(), title);
    let mut lines = vec![heading];
    let widest = rows.iter().map(|row| row.label.width()).filter(|columns| *columns <= width / 3).max();
    let indent = 2 + widest.unwrap_or(0) + 2;
    for row in rows {
        lines.extend(row_lines(row, indent, width));
    }
    lines.push(Line::default());
    lines
}

fn row_lines(row: &Row, indent: usize, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    // Where a second column has no room, it is below the first.
    let indent = if width < indent + LEAST { 4 } else { indent };
    let mut line = Line::default();
    line.pad(2);
    if row.label.width() + 4 > indent {
        let mut parts = wrap(&row.label, width.saturating_sub(2)).into_iter();
        line.push(Style::new(), &parts.next().unwrap_or_default());
        for part in parts {
            lines.push(std::mem::take(&mut line));
            line.pad(2);
            line.push(Style::new(), &part);
        }
        if !row.text.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
    } else {
        line.push(Style::new(), &row.label);
    }
    for part in wrap(&row.text, width.saturating_sub(indent)) {
        line.pad(indent);
        line.push(row.tone.style(), &part);
        lines.push(std::mem::take(&mut line));
    }
    if line.columns > 0 {
        lines.push(line);
    }
    lines
}

/// Narrower than this nothing can be read.
const LEAST: usize = 10;

pub fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let options = textwrap::Options::new(width.max(LEAST)).break_words(true);
    textwrap::wrap(text, options).into_iter().map(|line| line.into_owned()).collect()
}

/// A list as one text; of a long one the beginning, and how much more there is.
pub fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>, separator: &str, most: usize) -> String {
    let items: Vec<T> = items.into_iter().collect();
    let shown: Vec<&str> = items.iter().take(most).map(AsRef::as_ref).collect();
    match items.len().saturating_sub(most) {
        0 => shown.join(separator),
        more => format!("{}{separator}… and {more} more", shown.join(separator)),
    }
}

pub fn join_lines(lines: impl IntoIterator<Item = Line>) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line.styled.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_would_obey_gets_through() {
        assert_eq!(clean("a\x1b[2Jb\nc\u{9b}d\u{202e}e"), "a\\u{1b}[2Jb\\nc\\u{9b}d\\u{202e}e");
        assert_eq!(clean("naïve 容器"), "naïve 容器");
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        let row = Row::new(
            Tone::Own,
            "/a/rather/long/mount/point/indeed",
            "one two three 容器容器容器容器容器容器 ".repeat(9),
        );
        for width in [20, 40, 80] {
            for line in block("title", std::slice::from_ref(&row), width) {
                assert!(line.columns <= width, "{} > {width}", line.columns);
            }
        }
    }
}
