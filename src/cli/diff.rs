//! `learnctr diff`: show what differs between two processes or two recorded views.

use crate::view::KernelView;
use crate::{diff, terminal, view};
use std::process::ExitCode;

/// Show what differs between two processes or two recorded views
///
/// Each change is named by what changed: the mount, the interface, the capability. What changes by itself, such as
/// use counters, and numbers that every process has new, such as its pid, are left out unless --all is given.
///
/// The exit status is that of diff(1): 0 when nothing differs, 1 when something does, 2 when a view
/// could not be had.
#[derive(clap::Args)]
#[command(after_help = "\
Exit status: 0 no difference, 1 differences, 2 trouble.

Examples:
  learnctr diff $$ $(pgrep -n nginx)      a shell of the host and a process of a container
  learnctr diff 1 self
  learnctr view --json 4242 > before.json; learnctr diff before.json 4242
  learnctr view --json 4242 | learnctr diff - self")]
pub struct Args {
    /// The one: a process's number, `self`, a file with a view (view --json), or `-` for standard input
    #[arg(value_name = "A")]
    before: String,
    /// The other
    #[arg(value_name = "B")]
    after: String,
    /// Print the diff as JSON
    #[arg(long)]
    json: bool,
    /// Also what changes by itself or is new with each process
    #[arg(long)]
    all: bool,
}

pub fn main(args: Args) -> super::Result {
    match compare(&args) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::from(1)),
        Err(error) => {
            super::out::tell!("learnctr: {error}");
            Ok(ExitCode::from(2))
        }
    }
}

fn compare(args: &Args) -> super::Result<bool> {
    if args.before == "-" && args.after == "-" {
        return Err("standard input (-) can be only one of the two views".into());
    }
    let mut diff = diff::diff(&load(&args.before)?, &load(&args.after)?);
    if args.all {
        diff.changes.iter_mut().for_each(|change| change.volatile = false);
    } else {
        diff = diff.significant();
    }
    if args.json {
        super::print(&format!("{}\n", serde_json::to_string_pretty(&diff)?))?;
    } else if !diff.is_empty() {
        let (text, summary) =
            (terminal::diff::render(&diff, terminal::width()), terminal::diff::summary(&diff));
        super::print(&format!("{text}\n{summary}\n"))?;
    }
    Ok(diff.is_empty())
}

/// More than this is no view.
const MOST: u64 = 64 << 20;

fn load(word: &str) -> super::Result<KernelView> {
    if let Ok(pid) = super::view::which(word) {
        return Ok(view::take(pid)?);
    }
    let text = super::input::read(word.as_ref(), MOST).map_err(|error| format!("{word:?}: {error}\n  Give a process's number, `self`, or a file that `learnctr view --json` wrote."))?;
    serde_json::from_slice(&text).map_err(|error| {
        format!("{word:?} is no view: {error}\n  `learnctr view --json PID > FILE` writes one.").into()
    })
}
