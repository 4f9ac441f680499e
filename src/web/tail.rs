//! How does the page's process read what the builder writes? From memory, line by line from where it stopped;
//! a walk that began anew is seen by its number, whatever of it was written meanwhile.
//!
//! Next: `board`, which takes the lines.

use super::wire::{Head, State};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The reading end.
pub struct Tail {
    memory: File,
    walk: u64,
    at: u64,
    /// How much is read at once: what was written before this process came need not fit into it as a whole.
    room: usize,
}

const ROOM: usize = 256 * 1024;

/// What is new since the last look.
#[derive(Debug, PartialEq)]
pub struct News {
    /// Another walk has begun: what was told of the one before is over.
    pub anew: bool,
    /// Whole lines, without their ends.
    pub lines: Vec<Vec<u8>>,
    /// There may be more to be read at once.
    pub more: bool,
    pub walk: u64,
    pub state: State,
}

impl Tail {
    pub fn new(memory: File) -> Tail {
        Tail { memory, walk: 0, at: Head::LENGTH, room: ROOM }
    }

    pub fn look(&mut self) -> std::io::Result<News> {
        let mut anew = false;
        loop {
            let before = Head::read(&self.memory)?;
            if before.walk != self.walk {
                (self.walk, self.at, anew) = (before.walk, Head::LENGTH, true);
            }
            let bytes = self.rest()?;
            // The number changes before the lines of the old walk go, so that none of the new is taken for old.
            let after = Head::read(&self.memory)?;
            if after.walk != self.walk {
                continue;
            }
            let more = bytes.len() == self.room;
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            if more && end == 0 {
                self.room *= 2;
                continue;
            }
            self.room = ROOM;
            self.at += end as u64;
            let whole = bytes.get(..end).unwrap_or_default();
            let lines = whole.split_inclusive(|byte| *byte == b'\n');
            let lines = lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec()).collect();
            return Ok(News { anew, lines, more, walk: after.walk, state: after.state });
        }
    }

    fn rest(&self) -> std::io::Result<Vec<u8>> {
        let length = self.memory.metadata()?.len().saturating_sub(self.at);
        let mut bytes = vec![0; usize::try_from(length).map_or(self.room, |length| length.min(self.room))];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.memory.read_at(room, self.at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(news: &News) -> Vec<&str> {
        news.lines.iter().map(|line| std::str::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn half_a_line_waits_and_a_new_walk_is_told_from_the_old() {
        let file = tempfile::tempfile().unwrap();
        let head = |walk, state| Head { walk, state }.write(&file).unwrap();
        head(1, State::Busy);
        let mut tail = Tail::new(file.try_clone().unwrap());
        assert!(tail.look().unwrap().anew);
        file.write_all_at(b"one\ntw", Head::LENGTH).unwrap();
        assert_eq!(lines(&tail.look().unwrap()), ["one"]);
        file.write_all_at(b"o\n", Head::LENGTH + 6).unwrap();
        head(1, State::Waiting);
        let news = tail.look().unwrap();
        assert_eq!((lines(&news), news.anew, news.state), (vec!["two"], false, State::Waiting));
        // As long as before, so that only the number tells.
        head(2, State::Busy);
        file.set_len(Head::LENGTH).unwrap();
        file.write_all_at(b"ONE\nTWO\n", Head::LENGTH).unwrap();
        let news = tail.look().unwrap();
        assert_eq!((lines(&news), news.anew), (vec!["ONE", "TWO"], true));
        assert_eq!(lines(&tail.look().unwrap()), Vec::<&str>::new());
    }
}
