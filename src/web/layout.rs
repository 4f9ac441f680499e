//! Where does each thing of a scene stand? Columns beside each other, boxes below each other, rows as high as their text,
//! in the units of an SVG that is 1200 wide. Text is set in a fixed-width face, so that its width is known here.
//!
//! Next: [`super::template`], which writes it down.

use super::scene::{Link, Panel, Row, Scene, Side, State};

pub const WIDTH: i32 = 1200;
const EDGE: i32 = 4;
/// Between columns, without and with links to be read there.
const GAP: i32 = 28;
const WIDE_GAP: i32 = 96;
/// Between boxes of one column.
const BELOW: i32 = 34;
/// How far an arrow back is from the arrow there.
const ASIDE: i32 = 22;
const PAD: i32 = 18;
const TITLE: i32 = 40;
pub const LINE: i32 = 21;
const ROW_GAP: i32 = 7;
/// The width of a character at 15 units, of any face with a fixed width.
const CHAR: i32 = 9;
const STEP: i32 = 18;

/// Everything with its place.
pub struct Picture {
    pub height: i32,
    pub boxes: Vec<Box>,
    pub links: Vec<Line>,
}

pub struct Box {
    pub id: String,
    pub class: String,
    /// The outline, as an SVG path.
    pub outline: String,
    pub title: String,
    pub x: i32,
    pub y: i32,
    width: i32,
    height: i32,
    pub rows: Vec<RowAt>,
}

pub struct RowAt {
    pub class: &'static str,
    pub same: String,
    pub fact: String,
    /// How far down it is. All else of it is measured from there: a row that only moves is otherwise the same.
    pub down: i32,
    pub label: String,
    pub label_x: i32,
    pub x: i32,
    pub y: i32,
    /// The band behind it.
    pub left: i32,
    pub width: i32,
    pub height: i32,
    /// The value's first line, and those below it.
    pub first: String,
    pub more: Vec<String>,
    /// A word at the right edge: whose it is.
    pub mark: &'static str,
    pub mark_x: i32,
}

pub struct Line {
    pub path: String,
    pub label: String,
    pub x: i32,
    pub y: i32,
    pub arrow: bool,
    pub same: String,
}

/// One box before it has a height.
struct Measured<'a> {
    panel: &'a Panel,
    label_width: i32,
    rows: Vec<Vec<String>>,
    heights: Vec<i32>,
    /// What is left free, so that the next box begins where its neighbour's does.
    spare: i32,
}

pub fn place(scene: &Scene) -> Picture {
    let longest = scene.links.iter().map(|link| link.label.chars().count() as i32).max();
    let gap = match longest {
        None => GAP,
        Some(0) => 2 * GAP,
        Some(longest) => (longest * CHAR + GAP).min(WIDE_GAP),
    };
    let mut boxes = Vec::new();
    let bottom = tier(&scene.columns, &scene.widths, gap, scene.aligned, EDGE, &mut boxes);
    let bottom = match scene.below.is_empty() {
        true => bottom,
        false => tier(&scene.below, &[], GAP, false, bottom + BELOW, &mut boxes),
    };
    let links = scene.links.iter().filter_map(|link| connect(link, &boxes)).collect();
    Picture { height: bottom + EDGE, boxes, links }
}

/// Columns beside each other from `top` on; says where the longest of them ends.
fn tier(
    columns: &[Vec<Panel>],
    widths: &[u8],
    gap: i32,
    aligned: bool,
    top: i32,
    boxes: &mut Vec<Box>,
) -> i32 {
    let places = across(columns.len(), widths, gap);
    let mut measured: Vec<Vec<Measured>> = Vec::new();
    for (column, (_, width)) in columns.iter().zip(&places) {
        measured.push(column.iter().map(|panel| measure(panel, *width)).collect());
    }
    if aligned {
        align(&mut measured);
    }
    let mut bottom = top;
    for (column, (x, width)) in measured.iter().zip(&places) {
        let mut y = top;
        for measured in column {
            boxes.push(put(measured, *x, y, *width));
            y += measured.height() + BELOW;
        }
        bottom = bottom.max(y - BELOW);
    }
    bottom
}

/// Where each column begins, and how wide it is.
fn across(count: usize, widths: &[u8], gap: i32) -> Vec<(i32, i32)> {
    let weight = |number: usize| i32::from(widths.get(number).copied().unwrap_or(1).max(1));
    let all: i32 = (0..count).map(weight).sum();
    let room = WIDTH - 2 * EDGE - gap * (count as i32 - 1);
    let mut x = EDGE;
    let mut places = Vec::new();
    for number in 0..count {
        let width = room * weight(number) / all.max(1);
        places.push((x, width));
        x += width + gap;
    }
    places
}

impl Measured<'_> {
    fn height(&self) -> i32 {
        let end = if self.heights.is_empty() { 0 } else { PAD - ROW_GAP };
        TITLE + self.heights.iter().sum::<i32>() + end + self.spare
    }
}

fn measure(panel: &Panel, width: i32) -> Measured<'_> {
    let longest = panel.rows.iter().map(label_width).max().unwrap_or(0);
    // Values get the room that they need before long names do, up to half.
    let values = panel.rows.iter().map(|row| row.value.chars().count() as i32 * CHAR).max().unwrap_or(0);
    let marks = panel.rows.iter().map(mark_width).max().unwrap_or(0);
    let room = width - 2 * PAD;
    let label_width = match panel.stacked {
        true => 0,
        false => longest.min((room - marks - values).max(room * 2 / 5)),
    };
    let rows: Vec<Vec<String>> = panel
        .rows
        .iter()
        .map(|row| {
            let mark = if above(panel, row, width) > 0 { 0 } else { mark_width(row) };
            let beside = if panel.stacked { beside(panel, row, width) } else { label_width };
            let room = (width - 2 * PAD - beside - mark) / CHAR;
            wrap(&row.value, room.max(8) as usize)
        })
        .collect();
    let height = |(row, lines): (&Row, &Vec<String>)| {
        let above = above(panel, row, width);
        let lines = if row.value.is_empty() && above > 0 { 0 } else { lines.len().max(1) as i32 };
        above + lines * LINE + ROW_GAP
    };
    let heights = panel.rows.iter().zip(&rows).map(height).collect();
    Measured { panel, label_width, rows, heights, spare: 0 }
}

/// What a label takes that stands above its value: one that is short enough, with it, stands before it.
fn above(panel: &Panel, row: &Row, width: i32) -> i32 {
    let both = label_width(row) + row.value.chars().count() as i32 * CHAR + mark_width(row);
    match panel.stacked && !row.label.is_empty() && (row.value.is_empty() || both > width - 2 * PAD) {
        true => LINE,
        false => 0,
    }
}

/// Where the value begins in a box whose labels stand above.
fn beside(panel: &Panel, row: &Row, width: i32) -> i32 {
    if above(panel, row, width) > 0 { i32::from(row.indent) * STEP } else { label_width(row) }
}

/// Room for the word behind a value.
fn mark_width(row: &Row) -> i32 {
    match row.tone.mark().chars().count() as i32 {
        0 => 0,
        letters => letters * CHAR + 10,
    }
}

fn label_width(row: &Row) -> i32 {
    if row.label.is_empty() {
        i32::from(row.indent) * STEP
    } else {
        row.label.chars().count() as i32 * CHAR + 14 + i32::from(row.indent) * STEP
    }
}

/// Boxes of the same number begin at the same height; rows of the same number in them are as high as the highest.
fn align(columns: &mut [Vec<Measured>]) {
    for at in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
        let mut beside: Vec<&mut Measured> =
            columns.iter_mut().filter_map(|column| column.get_mut(at)).collect();
        for number in 0..beside.iter().map(|one| one.heights.len()).max().unwrap_or(0) {
            let highest = beside.iter().filter_map(|one| one.heights.get(number)).max().copied();
            for one in &mut beside {
                if let (Some(height), Some(highest)) = (one.heights.get_mut(number), highest) {
                    *height = highest;
                }
            }
        }
        let highest = beside.iter().map(|one| one.height()).max().unwrap_or(0);
        for one in beside {
            one.spare = highest - one.height();
        }
    }
}

fn put(measured: &Measured, x: i32, y: i32, width: i32) -> Box {
    let panel = measured.panel;
    let mut rows = Vec::new();
    let mut top = y + TITLE;
    for ((row, lines), height) in panel.rows.iter().zip(&measured.rows).zip(&measured.heights) {
        let indent = i32::from(row.indent) * STEP;
        let above = above(panel, row, width);
        let room = match panel.stacked {
            true => width - 2 * PAD - indent,
            false => measured.label_width - indent - 8,
        };
        rows.push(RowAt {
            class: row.tone.word(),
            same: row.same.clone().unwrap_or_default(),
            fact: row.fact.clone().unwrap_or_default(),
            down: top,
            label: clip(&row.label, (room / CHAR).max(1) as usize),
            label_x: x + PAD + indent,
            x: x + PAD + if panel.stacked { beside(panel, row, width) } else { measured.label_width },
            y: above + 15,
            left: x + PAD - 8,
            width: width - 2 * PAD + 16,
            height: height - 3,
            first: lines.first().cloned().unwrap_or_default(),
            more: lines.iter().skip(1).cloned().collect(),
            mark: row.tone.mark(),
            mark_x: x + width - PAD,
        });
        top += height;
    }
    let state = match panel.state {
        State::Plain => "",
        State::Lit => " lit",
        State::Off => " off",
    };
    Box {
        id: panel.id.clone(),
        class: format!("{}{state}", panel.side.word()),
        outline: outline(panel.side, x, y, width, measured.height()),
        title: panel.title.clone(),
        x: x + PAD,
        y: y + 26,
        width,
        height: measured.height(),
        rows,
    }
}

/// Square for the host, rounded for the container, a hexagon for the kernel.
fn outline(side: Side, x: i32, y: i32, w: i32, h: i32) -> String {
    match side {
        Side::Host => format!("M{x} {y}h{w}v{h}h-{w}z"),
        Side::Container => {
            let (r, across, down) = (16, w - 32, h - 32);
            format!(
                "M{} {y}h{across}a{r} {r} 0 0 1 {r} {r}v{down}a{r} {r} 0 0 1 -{r} {r}h-{across}a{r} {r} 0 0 1 -{r} -{r}v-{down}a{r} {r} 0 0 1 {r} -{r}z",
                x + r
            )
        }
        Side::Kernel => {
            let (left, right, far) = (x + 14, x + w - 14, x + w);
            let (middle, bottom) = (y + h / 2, y + h);
            format!("M{left} {y}H{right}L{far} {middle}L{right} {bottom}H{left}L{x} {middle}z")
        }
        Side::Neutral => format!("M{x} {y}h{w}v{h}h-{w}z"),
    }
}

/// Where a link can begin or end: the left, right and middle of a row or of a whole box.
struct Anchor {
    left: i32,
    right: i32,
    y: i32,
    top: i32,
    bottom: i32,
}

fn anchor(name: &str, boxes: &[Box]) -> Option<Anchor> {
    let (id, key) = name.split_once('/').map_or((name, None), |(id, key)| (id, Some(key)));
    let found = boxes.iter().find(|one| one.id == id)?;
    let (left, top) = (found.x - PAD, found.y - 26);
    let bottom = top + found.height;
    let y = match key {
        Some(key) => found.rows.iter().find(|row| row.same == key).map(|row| row.down + row.y - 5)?,
        None => (top + bottom) / 2,
    };
    Some(Anchor { left, right: left + found.width, y, top, bottom })
}

fn connect(link: &Link, boxes: &[Box]) -> Option<Line> {
    let (from, to) = (anchor(&link.from, boxes)?, anchor(&link.to, boxes)?);
    // There and back are two lines, not one.
    let aside = if link.arrow { ASIDE } else { 0 };
    let (mut path, x, y) = if from.left == to.left {
        let down = from.top < to.top;
        let (a, b) = if down { (from.bottom, to.top) } else { (from.top, to.bottom) };
        let side = if down { -aside } else { aside };
        let x = (from.left + from.right) / 2 + side;
        let beside = (link.label.chars().count() as i32 * CHAR / 2 + 8) * if side < 0 { -1 } else { 1 };
        (format!("M{x} {a}V{b}"), x + beside, (a + b) / 2 + 5)
    } else {
        let ahead = from.left < to.left;
        let (a, b) = if ahead { (from.right, to.left) } else { (from.left, to.right) };
        let side = if ahead { 0 } else { aside };
        let bend = (b - a) / 2;
        // A flow is drawn at the height of the titles: boxes of one row differ in height.
        let height = |end: &str, at: &Anchor| match link.arrow && !end.contains('/') {
            true => at.top + TITLE / 2 + side,
            false => at.y + side,
        };
        let (from_y, to_y) = (height(&link.from, &from), height(&link.to, &to));
        let path = format!("M{a} {from_y}C{} {from_y} {} {to_y} {b} {to_y}", a + bend, b - bend);
        // In the gap: a link that crosses a column passes behind its boxes, and is named where it begins.
        let near = (b - a).abs() <= WIDE_GAP;
        let x = if near { (a + b) / 2 } else { a + (b - a).signum() * WIDE_GAP / 2 };
        (path, x, if near { (from_y + to_y) / 2 } else { from_y } - 8)
    };
    if link.arrow {
        path.push_str(match (from.left == to.left, from.left < to.left, from.top < to.top) {
            (true, _, true) => "m-6 -9l6 9l6 -9",
            (true, _, false) => "m-6 9l6 -9l6 9",
            (_, true, _) => "m-9 -6l9 6l-9 6",
            _ => "m9 -6l-9 6l9 6",
        });
    }
    Some(Line {
        path,
        label: link.label.clone(),
        x,
        y,
        arrow: link.arrow,
        same: link.same.clone().unwrap_or_default(),
    })
}

/// A name that is too long ends in an ellipsis; the table has all of it.
fn clip(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// Lines of at most `room` characters that together are the text: broken behind a space, a slash or a comma where
/// there is one in the line's second half.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = text.chars().collect();
    while rest.len() > room {
        // A line never begins with the space behind a comma.
        let good = |at: &usize| match rest.get(*at) {
            Some(' ') => true,
            Some('/' | ',' | ':' | '|' | '=') => rest.get(at + 1) != Some(&' '),
            _ => false,
        };
        let cut = (room / 3..room).rev().find(good).map_or(room, |at| at + 1);
        let tail = rest.split_off(cut);
        lines.push(rest.into_iter().collect());
        rest = tail;
    }
    lines.push(rest.into_iter().collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wrapped_text_is_the_text(text in "\\PC{0,200}", room in 8usize..60) {
            let lines = wrap(&text, room);
            prop_assert_eq!(lines.concat(), text);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= room));
        }
    }
}
