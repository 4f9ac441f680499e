//! What is recorded of a session? Events, one JSON line each, after a first line that says the schema's
//! version. Terminal, page, lessons and tests read only this, so it can be replayed without root, on
//! another machine, next year; an event can be shown without looking at its neighbours.
//!
//! Next: `terminal`, which shows events to a person.

use crate::decode::filter::Filter;
use crate::diff::Diff;
use crate::engine::wire::Outcome;
use crate::kernel::call::Call;
use crate::plan::{Printed, PrintedMove, PrintedStage};
use crate::refusal::Diagnosis;
use crate::view::KernelView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Read};

/// The version of this format; it changes when a reader of the old one would misread the new one.
/// 2: a stage can be looked at again ([`Event::Looked`]).
pub const SCHEMA: u32 = 2;
/// The oldest that is read: all that it says means the same now.
const OLDEST: u32 = 1;

/// One line of a trace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Microseconds since the session began.
    pub at: u64,
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The session begins: what is going to be done.
    Started {
        /// The version of this format.
        schema: u32,
        learnctr: String,
        /// The kernel's release (uname(2)).
        kernel: String,
        /// Seconds since 1970.
        time: u64,
        plan: Printed,
        /// A process that is in no container, at the same moment: the one that conducts this session. What its
        /// caller gave it (arguments, environment, open files) is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        regular: Option<Box<KernelView>>,
    },
    /// A stage is about to be played.
    Entered { number: usize, stage: PrintedStage },
    /// One step was made, or refused.
    Stepped {
        stage: String,
        /// Which of the stage's moves.
        number: usize,
        #[serde(flatten)]
        planned: PrintedMove,
        /// Every system call of the step, as it was made.
        calls: Vec<Call>,
        outcome: Outcome,
        /// How long it took, in microseconds.
        micros: u64,
    },
    /// A stage is done.
    Left {
        stage: String,
        /// The process that becomes, or is, the container; `None` before there is one.
        pid: Option<i32>,
        /// How long the stage's steps took together, in microseconds.
        micros: u64,
        /// What the kernel says now, and what changed since the stage before.
        view: Option<Box<KernelView>>,
        diff: Option<Diff>,
        /// What the filter decides that the stage has loaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<Box<Filter>>,
    },
    /// The kernel was asked once more while the session stood still after this stage: a shell inside may have changed what
    /// there is. From here on this is the stage's view; the one in `left` is what the stage itself came to.
    Looked {
        stage: String,
        /// What the kernel says now; none when there is no process any more.
        view: Option<Box<KernelView>>,
        /// What changed since the look before.
        diff: Option<Diff>,
    },
    /// The session waits for the learner.
    Paused { stage: String },
    /// A step was refused, and why.
    Failed { stage: String, diagnosis: Diagnosis },
    /// The command has ended: its exit status, 128 and the signal's number after a signal.
    Exited { status: i32 },
    /// The session is over, and what it made is gone; what could not be undone is said.
    Ended { refused: Vec<String> },
}

/// Why a trace could not be read.
#[derive(Debug)]
pub enum Unreadable {
    Io(std::io::Error),
    /// The line's number, and what serde_json says of it.
    Line(usize, String),
    Schema(u32),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Unreadable::Io(error) => write!(f, "{error}"),
            Unreadable::Line(number, error) => {
                write!(f, "line {number} is not an event of a trace: {error}; `learnctr schema` says what is")
            }
            Unreadable::Schema(found) => {
                write!(
                    f,
                    "the trace is of schema {found}, this learnctr reads {OLDEST} to {SCHEMA}: record it again"
                )
            }
        }
    }
}

impl std::error::Error for Unreadable {}

/// The longest line that is read: a view of a process with very many mounts.
const LONGEST_LINE: u64 = 64 << 20;

/// Read a recorded trace. Any bytes give an error that names the line, never a panic; a last line that was cut is left out,
/// and then there is no [`Event::Ended`] either.
pub fn read(mut from: impl BufRead) -> Result<Vec<Record>, Unreadable> {
    let mut records = Vec::new();
    for number in 1.. {
        let mut line = Vec::new();
        let got = from.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(Unreadable::Io)?;
        if got == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record: Record = match serde_json::from_slice(&line) {
            Ok(record) => record,
            // A line without its end was being written when its writer died, or the disk was full.
            Err(error) if error.is_eof() && !line.ends_with(b"\n") && !records.is_empty() => break,
            Err(error) => return Err(Unreadable::Line(number, error.to_string())),
        };
        if let Event::Started { schema, .. } = record.event
            && !(OLDEST..=SCHEMA).contains(&schema)
        {
            return Err(Unreadable::Schema(schema));
        }
        records.push(record);
    }
    Ok(records)
}

/// The JSON Schema of one line.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_that_was_cut_is_left_out_and_no_other() {
        let whole = b"{\"at\":1,\"event\":\"exited\",\"status\":0}\n";
        let count = |text: Vec<u8>| read(text.as_slice()).map(|records| records.len());
        assert_eq!(count([&whole[..], &whole[..20]].concat()).unwrap(), 1);
        assert!(matches!(count([&whole[..20], b"\n", whole].concat()), Err(Unreadable::Line(1, _))));
        assert!(matches!(count(whole[..20].to_vec()), Err(Unreadable::Line(1, _))));
        assert!(matches!(count([whole, &b"nonsense"[..]].concat()), Err(Unreadable::Line(2, _))));
        // One that was ended was written as it is.
        assert!(matches!(count([whole, &whole[..20], b"\n"].concat()), Err(Unreadable::Line(2, _))));
        assert_eq!(count([b" \t\r\n\n", &whole[..], b" \n"].concat()).unwrap(), 1);
    }

    #[test]
    fn another_schema_is_refused_by_its_number() {
        let begun = |schema: u32| {
            let plan = r#"{"container":"x","stages":[]}"#;
            let line = format!(
                r#"{{"at":0,"event":"started","schema":{schema},"learnctr":"","kernel":"","time":0,"plan":{plan}}}"#
            );
            read(line.as_bytes())
        };
        assert!((OLDEST..=SCHEMA).all(|known| begun(known).is_ok_and(|records| records.len() == 1)));
        for unknown in [OLDEST - 1, SCHEMA + 1] {
            assert!(matches!(begun(unknown), Err(Unreadable::Schema(found)) if found == unknown));
        }
    }
}
