//! What does /proc/PID/status say? Lines of a name, a colon, a tab and words (proc_pid_status(5)); several
//! probes take theirs from it, and so does the helper inside, to whom it shows other ids.
//!
//! /proc/PID/stat is read for what `status` lacks: session, terminal and start (proc_pid_stat(5)). The crate
//! procfs is not used for either: one missing line fails all of its `Status`, and its `Stat` panics on
//! bytes that begin with a parenthesis.

use crate::kernel::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The lines of a `status`, to be asked by name.
pub struct Status<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Status<'a> {
    pub fn parse(text: &'a str) -> Status<'a> {
        Status(text.lines().filter_map(|line| line.split_once(':')).collect())
    }

    /// What follows `NAME:`, or ENODATA when this kernel has no such line.
    pub fn line(&self, name: &str) -> Result<&'a str, Errno> {
        let found = self.0.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.trim_matches(['\t', ' '])).ok_or(Errno::ENODATA)
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, Errno> {
        self.line(name)?.parse().map_err(|_| Errno::ENODATA)
    }

    pub fn numbers<T: std::str::FromStr>(&self, name: &str) -> Result<Vec<T>, Errno> {
        self.line(name)?.split_whitespace().map(|word| word.parse().map_err(|_| Errno::ENODATA)).collect()
    }

    pub fn mask(&self, name: &str) -> Result<u64, Errno> {
        u64::from_str_radix(self.line(name)?, 16).map_err(|_| Errno::ENODATA)
    }
}

/// What a name in `status` was before the kernel wrote it there: `\n` and `\\` are written so.
pub fn unescape_name(name: &str) -> String {
    // From the left, so that in `\\n` the n is a letter.
    let mut letters = name.chars();
    let mut plain = String::with_capacity(name.len());
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => letters.next().map_or('\\', |next| if next == 'n' { '\n' } else { next }),
            other => other,
        });
    }
    plain
}

/// Of /proc/PID/stat: the fields that no other file has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub process_group: i32,
    pub session: i32,
    /// The controlling terminal; none is the rule in a container without `-t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    pub nice: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
}

/// The name, between the first `(` and the last `)`, may itself hold both.
pub fn parse_stat(text: &str) -> Result<(String, Session), Errno> {
    let (head, rest) = text.rsplit_once(')').ok_or(Errno::ENODATA)?;
    let (_, name) = head.split_once('(').ok_or(Errno::ENODATA)?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Field 3 of proc_pid_stat(5), the state, is the first one here.
    let field = |number: usize| fields.get(number - 3).copied().ok_or(Errno::ENODATA);
    let signed = |number| field(number)?.parse::<i32>().map_err(|_| Errno::ENODATA);
    let session = Session {
        process_group: signed(5)?,
        session: signed(6)?,
        terminal: terminal(signed(7)?),
        nice: signed(19)?,
        start_ticks: field(22)?.parse().map_err(|_| Errno::ENODATA)?,
    };
    Ok((name.to_owned(), session))
}

/// `tty_nr` holds the minor number in bits 31 to 20 and 7 to 0, the major in 15 to 8.
fn terminal(number: i32) -> Option<String> {
    let number = number as u32;
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xf_ff00));
    match (major, minor) {
        (0, 0) => None,
        (136..=143, _) => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        (4, 0..64) => Some(format!("tty{minor}")),
        (4, _) => Some(format!("ttyS{}", minor - 64)),
        (5, 1) => Some("console".into()),
        _ => Some(format!("{major}:{minor}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = "7 (a) S) (x) S 1 7 9 34817 7 4194560 1 2 3 4 5 6 7 8 20 -5 1 0 12345 99";
        let (name, session) = parse_stat(line).unwrap();
        assert_eq!(name, "a) S) (x");
        assert_eq!((session.process_group, session.session, session.nice), (7, 9, -5));
        assert_eq!(session.terminal.as_deref(), Some("pts/1"));
        assert_eq!(session.start_ticks, 12345);
        assert_eq!(parse_stat(") ("), Err(Errno::ENODATA));
        assert_eq!(parse_stat("(a) S 1"), Err(Errno::ENODATA));
    }

    #[test]
    fn a_line_that_is_missing_is_enodata() {
        let status = Status::parse("Name:\tsh\nUid:\t1\t2\t3\t4\nSigBlk:\t00000000000000ff\nbroken\n");
        assert_eq!(status.line("Name"), Ok("sh"));
        assert_eq!(status.numbers("Uid"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(status.mask("SigBlk"), Ok(255));
        assert_eq!(status.line("NStgid"), Err(Errno::ENODATA));
        assert_eq!(status.number::<u32>("Name"), Err(Errno::ENODATA));
    }
}
