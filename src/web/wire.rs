//! What do the builder and the page's process say to each other? The way there is memory that the page can only
//! read; the way back is one of six commands, in which no text is free.
//!
//! Next: `feed`, the builder's side, and `process`, the page's.

use crate::kernel::Errno;
use crate::stages;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// What the page may ask of the builder. Both sides parse it by this type, so that what the page's process has
/// let through is checked once more by the one with privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    // With braces: of a variant without them serde ignores fields that it does not know.
    Next {},
    Continue {},
    Back {},
    Quit {},
    /// Ask the kernel once more, without going on.
    Look {},
    /// Go on until this stage has run, or back to before it if it has.
    RunLessonStep {
        id: StageId,
    },
}

impl Command {
    /// One JSON object; serde_json would take an array of its fields too.
    pub fn parse(text: &[u8]) -> Option<Command> {
        let is_object = text.trim_ascii_start().starts_with(b"{");
        is_object.then(|| serde_json::from_slice(text).ok()).flatten()
    }
}

/// The id of a stage, out of the table of stages and not out of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StageId(pub Name);

// By this name, since serde would otherwise borrow it from what is parsed.
type Name = &'static str;

impl TryFrom<String> for StageId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<StageId, &'static str> {
        let known = stages::TABLE.iter().find(|stage| stage.id == text);
        known.map(|stage| StageId(stage.id)).ok_or("there is no such stage")
    }
}

impl From<StageId> for String {
    fn from(id: StageId) -> String {
        id.0.to_owned()
    }
}

/// What the builder tells over the channel: first who may come in, then only that there is something new.
#[derive(Serialize, Deserialize)]
pub enum Told {
    Hello {
        token: String,
        read_token: String,
        /// What to become in place of root.
        become_ids: Option<(u32, u32)>,
    },
    Look,
}

/// What the page's process says: once how its start went, then commands.
#[derive(Serialize, Deserialize)]
pub enum Said {
    Ready,
    /// A step of its own confinement was refused, by its number; it serves nothing.
    Refused {
        step: usize,
        errno: Errno,
    },
    Do(Command),
}

/// What the builder is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Building, or running on.
    Busy,
    /// Standing still: a command is heard.
    Waiting,
    /// Nothing more comes.
    Recorded,
    /// Standing still, but the terminal is a pager's or a shell's: nothing is heard until that is left.
    Held,
    /// The builder ends: what was recorded can be had as a whole now, and soon nothing can.
    Over,
}

impl State {
    const NAMES: [(State, &'static str); 5] = [
        (State::Busy, "busy"),
        (State::Waiting, "waiting"),
        (State::Recorded, "recorded"),
        (State::Held, "held"),
        (State::Over, "over"),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(state, _)| *state == self).map_or("busy", |(_, name)| name)
    }
}

/// The memory's first bytes: which walk through the stages this is, and what the builder is doing. The lines follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub walk: u64,
    pub state: State,
}

impl Head {
    pub const LENGTH: u64 = 16;

    pub fn write(self, memory: &File) -> std::io::Result<()> {
        let mut bytes = [0; 16];
        let (walk, state) = bytes.split_at_mut(8);
        walk.copy_from_slice(&self.walk.to_le_bytes());
        state.copy_from_slice(&(self.state as u64).to_le_bytes());
        memory.write_all_at(&bytes, 0)
    }

    pub fn read(memory: &File) -> std::io::Result<Head> {
        let mut bytes = [0; 16];
        memory.read_exact_at(&mut bytes, 0)?;
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let (walk, state) = bytes.split_at(8);
        let state = State::NAMES.iter().find(|(known, _)| *known as u64 == number(state));
        Ok(Head { walk: number(walk), state: state.map_or(State::Recorded, |(known, _)| *known) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Command> {
        Command::parse(text.as_bytes())
    }

    #[test]
    fn a_command_is_one_of_six_and_nothing_more() {
        assert_eq!(parse(r#"{"do":"next"}"#), Some(Command::Next {}));
        let id = StageId("pivot-root");
        assert_eq!(
            parse(r#"{"do":"run_lesson_step","id":"pivot-root"}"#),
            Some(Command::RunLessonStep { id })
        );
        for wrong in [
            r#"{}"#,
            r#"{"do":"reset"}"#,
            r#"{"do":"next","id":"pivot-root"}"#,
            r#"{"do":"next","do":"quit"}"#,
            r#"{"do":"run_lesson_step"}"#,
            r#"{"do":"run_lesson_step","id":"pivot_root"}"#,
            r#"{"do":"run_lesson_step","id":"../pivot-root"}"#,
            r#"{"do":"run_lesson_step","id":"pivot-root","args":["sh"]}"#,
            r#"{"do":"run_lesson_step","id":["pivot-root"]}"#,
            r#"{"do":"next"} {"do":"quit"}"#,
            r#"["next"]"#,
            r#""next""#,
            "",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_command_survives_the_way_back() {
        let id = StageId("caps");
        for command in [Command::Next {}, Command::Quit {}, Command::Look {}, Command::RunLessonStep { id }] {
            let text = serde_json::to_string(&Said::Do(command)).unwrap();
            assert!(matches!(serde_json::from_str(&text), Ok(Said::Do(read)) if read == command), "{text}");
        }
    }
}
