//! What is a drawing, before it is drawn? Boxes with rows, each on the side that it belongs to, and the links between
//! them. The picture and the table are both made of this, so they cannot say different things.
//!
//! Next: [`super::drawings`], which make scenes, and [`super::layout`], which gives each thing its place.

use crate::kernel::Errno;
use crate::probes::Reading;
use crate::terminal::text::clean;
use std::fmt::Display;

/// Whose it is: the shape, the colour and the word follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Host,
    Container,
    Kernel,
    /// Nobody's: words around a drawing.
    Neutral,
}

impl Side {
    pub fn word(self) -> &'static str {
        match self {
            Side::Host => "host",
            Side::Container => "container",
            Side::Kernel => "kernel",
            Side::Neutral => "neutral",
        }
    }
}

/// One drawing of one stage.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// What is seen here, in one sentence, with what was measured.
    pub says: String,
    /// From left to right; in each column boxes from top to bottom.
    pub columns: Vec<Vec<Panel>>,
    pub links: Vec<Link>,
    /// How wide each column is against the others; the same where nothing is said.
    pub widths: Vec<u8>,
    /// Boxes that stand beside each other begin at one height, and their rows are as high as the highest of them.
    pub aligned: bool,
    /// Columns below the columns.
    pub below: Vec<Vec<Panel>>,
}

impl Scene {
    /// All boxes, as they are read.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.columns.iter().chain(&self.below).flatten()
    }
}

#[derive(Clone, Debug)]
pub struct Panel {
    /// Names the box among those of its scene.
    pub id: String,
    pub side: Side,
    pub title: String,
    pub rows: Vec<Row>,
    pub state: State,
    /// Labels stand above their values, which have the whole width: for narrow boxes and long lists.
    pub stacked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Plain,
    /// Where one is now.
    Lit,
    /// Not there yet, or not any more.
    Off,
}

#[derive(Clone, Debug, Default)]
pub struct Row {
    pub label: String,
    pub value: String,
    /// Where in the view the value is, as a JSON pointer (RFC 6901): `/outside/pids/value/0`.
    pub fact: Option<String>,
    /// The object that this row is about: what has the same key is the same thing.
    pub same: Option<String>,
    pub tone: Tone,
    /// How deep it is in a tree.
    pub indent: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    /// It is the container's own.
    Own,
    /// It is the host's, shared.
    Shared,
    /// Taken away, refused, hidden.
    Refused,
    /// Not there yet, or not asked.
    Off,
    /// It is another one on the other side.
    Differs,
}

impl Tone {
    pub fn word(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Own => "own",
            Tone::Shared => "shared",
            Tone::Refused => "refused",
            Tone::Off => "off",
            Tone::Differs => "differs",
        }
    }

    /// Whose it is, in a word: colour alone tells nobody anything.
    pub fn mark(self) -> &'static str {
        match self {
            Tone::Own => "● own",
            Tone::Shared => "■ host’s",
            Tone::Refused => "✕",
            Tone::Differs => "≠ other",
            Tone::Plain | Tone::Off => "",
        }
    }
}

/// A line from one thing to another: each end is `PANEL`, or `PANEL/KEY` for the row with that `same`.
#[derive(Clone, Debug)]
pub struct Link {
    pub from: String,
    pub to: String,
    pub label: String,
    /// An arrow has a direction; without, both ends are the same thing or a pair.
    pub arrow: bool,
    pub same: Option<String>,
}

impl Panel {
    pub fn new(id: impl Into<String>, side: Side, title: impl Into<String>) -> Panel {
        Panel {
            id: id.into(),
            side,
            title: title.into(),
            rows: Vec::new(),
            state: State::Plain,
            stacked: false,
        }
    }

    pub fn state(mut self, state: State) -> Panel {
        self.state = state;
        self
    }

    pub fn stacked(mut self) -> Panel {
        self.stacked = true;
        self
    }

    pub fn row(mut self, row: Row) -> Panel {
        self.rows.push(row);
        self
    }

    pub fn rows(mut self, rows: impl IntoIterator<Item = Row>) -> Panel {
        self.rows.extend(rows);
        self
    }
}

impl Row {
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Row {
        // What a container names is hostile text: nothing in it may turn the writing round or hide.
        Row { label: clean(&label.into()), value: clean(&value.into()), ..Row::default() }
    }

    /// A reading's value, told by `say`; what was refused is told as the errno that it gave.
    pub fn read<T>(label: &str, at: &str, reading: &Reading<T>, say: impl FnOnce(&T) -> String) -> Row {
        match reading.get() {
            Ok(value) => Row::new(label, say(value)).fact(format!("{at}/value")),
            Err(errno) => Row::refused(label, errno).fact(format!("{at}/refused")),
        }
    }

    pub fn refused(label: &str, errno: Errno) -> Row {
        Row::new(label, errno.name()).tone(Tone::Refused)
    }

    pub fn fact(mut self, pointer: impl Into<String>) -> Row {
        self.fact = Some(pointer.into());
        self
    }

    pub fn same(mut self, kind: &str, id: impl Display) -> Row {
        self.same = Some(format!("{kind}:{id}"));
        self
    }

    pub fn tone(mut self, tone: Tone) -> Row {
        self.tone = tone;
        self
    }

    pub fn indent(mut self, depth: u8) -> Row {
        self.indent = depth;
        self
    }
}

impl Link {
    pub fn new(from: impl Into<String>, to: impl Into<String>, label: impl Into<String>) -> Link {
        Link { from: from.into(), to: to.into(), label: label.into(), arrow: false, same: None }
    }

    pub fn arrow(mut self) -> Link {
        self.arrow = true;
        self
    }

    pub fn same(mut self, key: impl Into<String>) -> Link {
        self.same = Some(key.into());
        self
    }
}

/// A name as a part of a JSON pointer (RFC 6901).
pub fn part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
