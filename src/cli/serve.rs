//! `learnctr serve`: a recorded run as a page on this machine.

use crate::kernel::tty::Signals;
use crate::terminal::prompt::{self, Asked};
use crate::terminal::show::{Form, Show};
use crate::trace::{self, Event};
use crate::web::feed::Feed;
use crate::web::wire::State;
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// Show a recorded run as a page in a browser on this machine
///
/// The page's address is printed and has a token in it; without it nothing of the run is shown to anyone. It takes no
/// privilege, and the process that serves holds none. No browser is started: its arguments could be read by everybody
/// on this machine, and the token with them. Ctrl-C ends it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  learnctr step --auto --trace web.jsonl && learnctr serve web.jsonl
  learnctr step --json | learnctr serve -
  learnctr serve                             builds the default container once, and shows that")]
pub struct Args {
    /// What `learnctr step --trace` recorded; `-` is standard input. Without it the default container is built once,
    /// as `learnctr step --auto` does
    trace: Option<PathBuf>,
}

pub fn main(args: Args) -> super::Result {
    let (place, bytes) = match &args.trace {
        None => ("the run just recorded".to_owned(), record()?),
        Some(path) => {
            let place = super::input::name(path);
            let bytes = super::input::read(path, super::input::TRACE).map_err(|error| {
                format!("{place}: {error}; `learnctr step --auto --trace FILE` records a run")
            })?;
            (place, bytes)
        }
    };
    let records = trace::read(bytes.as_slice()).map_err(|error| format!("{place}: {error}"))?;
    if records.is_empty() {
        return Err(format!(
            "{place}: there is nothing in it; `learnctr step --auto --trace FILE` records a run"
        )
        .into());
    }
    if !matches!(records.first().map(|record| &record.event), Some(Event::Started { .. })) {
        return Err(format!("{place}: its first line does not say what run this is; `learnctr step --auto --trace FILE` records one").into());
    }
    drop(records);
    let signals = Signals::hold()?;
    let mut feed = Feed::start()?;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        feed.line(line);
    }
    feed.state(State::Recorded);
    drop(bytes);
    super::print(&format!("{} Ctrl-C ends it.\n", feed.words()))?;
    let mut show = Show::new(Form::Text, false, None, 0);
    show.feed = Some(feed);
    let show = RefCell::new(show);
    while !matches!(prompt::ask_page(&signals, &show), Asked::End(_)) {}
    Ok(ExitCode::SUCCESS)
}

/// The default container's run, recorded now. One that was refused is worth looking at too.
fn record() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let own = std::env::current_exe()?;
    let done = Command::new(own).args(["step", "--auto", "--json"]).stdin(Stdio::null()).output()?;
    if done.stdout.is_empty() {
        let said = String::from_utf8_lossy(&done.stderr);
        let said = said.trim().trim_start_matches("learnctr: ");
        return Err(format!("the default container cannot be built here: {said}").into());
    }
    Ok(done.stdout)
}
