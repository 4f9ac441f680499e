//! Where do all requests look? At one board: the run as it is known by now, what the builder is doing, and bells for
//! those who wait for news. Only the latest state counts: who was slow has missed nothing.
//!
//! Next: `stream`, which waits for the bell.

use super::site::Site;
use super::tail::News;
use super::wire::State;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The board.
pub struct Board {
    shown: Mutex<Shown>,
    bells: Mutex<Vec<UnixStream>>,
}

/// What is on it.
pub struct Shown {
    pub site: Site,
    pub state: State,
    walk: u64,
    lines: u64,
}

impl Default for Board {
    fn default() -> Board {
        let shown = Shown { site: Site::new(), state: State::Busy, walk: 0, lines: 0 };
        Board { shown: Mutex::new(shown), bells: Mutex::new(Vec::new()) }
    }
}

impl Shown {
    /// Names this state, the same for another process that has read the same memory.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.walk, self.lines, self.state.name())
    }
}

impl Board {
    pub fn look(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take(&self, news: News) {
        let mut shown = self.look();
        if news.anew {
            shown.site.restart();
            shown.lines = 0;
        }
        for line in &news.lines {
            shown.site.take(line);
        }
        shown.lines += news.lines.len() as u64;
        (shown.walk, shown.state) = (news.walk, news.state);
        drop(shown);
        self.ring();
    }

    /// Tell all who wait; how many there are.
    pub fn ring(&self) -> usize {
        // A bell that cannot be rung has been rung already, or nobody is there.
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain_mut(|bell| match bell.write(&[1]) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        });
        bells.len()
    }

    /// Becomes readable when there is news.
    pub fn bell(&self) -> std::io::Result<UnixStream> {
        let (rung, heard) = UnixStream::pair()?;
        rung.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).push(rung);
        Ok(heard)
    }
}
