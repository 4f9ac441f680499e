//! What does the person want next? A line of keys below each stage; what the container prints meanwhile goes above
//! it, and a signal is heard there as well.
//!
//! Next: `crate::cli::step`, which does what was asked for.

use super::palette::{BOLD, CONTAINER, DIM};
use super::report::KEYS;
use super::show::Show;
use super::stage::prose;
use super::text::{Line, clean};
use crate::kernel::libc_flags::{SIGHUP, SIGINT, SIGTERM};
use crate::kernel::tty::{self, Heard, Keys, Signals};
use crate::kernel::{Errno, process};
use crate::web::wire as web;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command};

/// What ends the waiting for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Key(char),
    /// A signal that ends us, or the terminal has gone: SIGHUP.
    End(i32),
    Redraw,
    /// The page asked for it.
    Page(web::Command),
}

/// Where a text was shown.
pub enum Paged {
    /// It stays on the screen.
    Here,
    /// In a pager, which was left.
    Left,
    End(Asked),
}

/// The person at the terminal, and the container's output, which must not run into the prompt.
pub struct Person<'a> {
    keys: Keys,
    signals: &'a Signals,
    output: Option<std::io::PipeReader>,
    /// An unfinished line of the container's.
    line: Vec<u8>,
    typed: VecDeque<u8>,
}

/// A line without an end is cut here.
const LONGEST: usize = 4096;

impl<'a> Person<'a> {
    pub fn new(signals: &'a Signals) -> Result<Person<'a>, Errno> {
        Ok(Person { keys: Keys::take()?, signals, output: None, line: Vec::new(), typed: VecDeque::new() })
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    pub fn signals(&self) -> &Signals {
        self.signals
    }

    /// From now on this is what the container prints.
    pub fn listen(&mut self, output: std::io::PipeReader) -> Result<(), Errno> {
        tty::nonblocking(output.as_fd())?;
        (self.output, self.line) = (Some(output), Vec::new());
        Ok(())
    }

    /// Wait for a key at a prompt.
    pub fn ask(&mut self, next: &str, show: &RefCell<Show>) -> Asked {
        self.drain(&mut show.borrow_mut());
        self.ask_for(&prompt(next, super::width()), show)
    }

    fn ask_for(&mut self, prompt: &str, show: &RefCell<Show>) -> Asked {
        show.borrow_mut().say(prompt);
        let erase = match prompt.matches('\n').count() {
            0 => "\r\x1b[J".to_owned(),
            above => format!("\r\x1b[{above}A\x1b[J"),
        };
        let asked = loop {
            if let Some(asked) = self.take_typed() {
                break asked;
            }
            match self.signals.heard() {
                Some(Heard::End(signal)) => break Asked::End(signal),
                Some(Heard::Redraw) => {
                    let _ = self.keys.again();
                    break Asked::Redraw;
                }
                None => {}
            }
            if let Some(command) = show.borrow_mut().commanded() {
                break Asked::Page(command);
            }
            let output = self.output.as_ref().map_or(-1, |output| output.as_raw_fd());
            let ([said, ended], patience) = show.borrow().page_fds();
            let ready =
                process::poll(&[0, self.signals.raw(), output, said, ended], patience).unwrap_or_default();
            if ready.get(2) == Some(&true) {
                show.borrow_mut().say(&erase);
                self.drain(&mut show.borrow_mut());
                show.borrow_mut().say(prompt);
            }
            if ready.first() == Some(&true) {
                match tty::read_keys() {
                    Ok(bytes) if !bytes.is_empty() => self.typed.extend(bytes),
                    Err(Errno::EINTR) => {}
                    _ => break Asked::End(SIGHUP),
                }
            }
        };
        show.borrow_mut().say(&erase);
        asked
    }

    /// Nothing is built any more, and the page stays: until q, or a signal.
    pub fn rest(&mut self, text: &str, show: &RefCell<Show>) {
        while !matches!(self.ask_for(text, show), Asked::Key('q') | Asked::End(_)) {}
    }

    fn take_typed(&mut self) -> Option<Asked> {
        match self.typed.pop_front()? {
            // The beginning of an arrow key or the like: none of it was meant.
            0x1b => {
                self.typed.clear();
                None
            }
            b'\n' | b'\r' | b' ' => Some(Asked::Key('n')),
            byte => Some(Asked::Key(char::from(byte))),
        }
    }

    /// Show what the container has printed by now, a line at a time.
    pub fn drain(&mut self, show: &mut Show) {
        let Some(output) = &mut self.output else { return };
        let mut room = [0u8; 4096];
        loop {
            match output.read(&mut room) {
                Ok(0) => {
                    self.output = None;
                    break;
                }
                Ok(count) => self.line.extend_from_slice(room.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        while let Some(end) = self
            .line
            .iter()
            .position(|byte| *byte == b'\n')
            .or((self.line.len() > LONGEST || (self.output.is_none() && !self.line.is_empty()))
                .then(|| self.line.len().min(LONGEST)))
        {
            let line: Vec<u8> = self.line.drain(..(end + 1).min(self.line.len())).collect();
            let text = clean(String::from_utf8_lossy(&line).trim_end());
            show.say(&format!("{CONTAINER} container │{CONTAINER:#} {text}\n"));
        }
    }

    /// A long text in the person's pager, a short one as it is.
    pub fn page(&mut self, text: &str, show: &RefCell<Show>) -> Paged {
        if text.lines().count() + 3 > tty::rows()
            && let Some(mut pager) = self.pager(text)
        {
            // What the page would ask for meanwhile would come as a surprise after it.
            show.borrow_mut().state(web::State::Held);
            let end = self.wait(&mut pager, show);
            let _ = self.keys.again();
            show.borrow_mut().state(web::State::Waiting);
            return end.map_or(Paged::Left, Paged::End);
        }
        show.borrow_mut().say(text);
        Paged::Here
    }

    fn pager(&mut self, text: &str) -> Option<Child> {
        let plain = anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never;
        let text = if plain { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
        let asked = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
        let pager = asked.unwrap_or_else(|| "less".to_owned());
        let mut words = pager.split_whitespace();
        let mut command = Command::new(words.next()?);
        // Without -R less shows styles as ESC; others do not know the variable.
        command.args(words).stdin(tty::memory_file(text.as_bytes()).ok()?).env("LESS", "-R");
        self.keys.release();
        let pager = tty::unblocked(&mut command).spawn();
        if pager.is_err() {
            let _ = self.keys.again();
        }
        pager.ok()
    }

    /// Wait for a program that has the terminal. Ctrl-C is meant for it; what else ends us ends it too.
    fn wait(&self, child: &mut Child, show: &RefCell<Show>) -> Option<Asked> {
        let Ok(ended) = process::pidfd(child.id() as i32) else {
            let _ = child.wait();
            return None;
        };
        let mut end = None;
        while child.try_wait().is_ok_and(|status| status.is_none()) {
            // What the page asks for is not heard until the terminal is ours again; but it is kept alive.
            let ([_, page], patience) = show.borrow().page_fds();
            let _ = process::poll(&[ended.as_raw_fd(), self.signals.raw(), page], patience);
            show.borrow_mut().tend();
            match self.signals.heard() {
                Some(Heard::End(signal)) if signal != SIGINT => {
                    end = Some(Asked::End(signal));
                    let _ = process::kill(child.id() as i32, SIGTERM);
                }
                _ => {}
            }
        }
        end
    }
}

/// Without a terminal: the page says how it goes on, or a signal ends it.
pub fn ask_page(signals: &Signals, show: &RefCell<Show>) -> Asked {
    loop {
        if let Some(command) = show.borrow_mut().commanded() {
            return Asked::Page(command);
        }
        if let Some(Heard::End(signal)) = signals.heard() {
            return Asked::End(signal);
        }
        let ([said, ended], patience) = show.borrow().page_fds();
        let _ = process::poll(&[signals.raw(), said, ended], patience);
    }
}

/// What is next, and the keys; each line takes one row.
fn prompt(next: &str, width: usize) -> String {
    let mut lines = prose(DIM, 1, next, width);
    let mut keys = Line::default();
    // The list of keys has them too.
    let rare = |key: &str| matches!(key, "r" | "l") && width < 100;
    for (key, name, _) in KEYS.iter().filter(|(key, ..)| !rare(key)) {
        if keys.columns + key.len() + name.len() + 3 > width && keys.columns > 0 {
            lines.push(std::mem::take(&mut keys));
        }
        keys.push(BOLD, &format!(" {key}"));
        keys.push(DIM, &format!(":{name}"));
    }
    lines.push(keys);
    let text: Vec<&str> = lines.iter().map(|line| line.styled.as_str()).collect();
    format!("{} ", text.join("\n"))
}
