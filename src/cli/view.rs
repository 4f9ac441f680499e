//! `learnctr view`: show what the kernel says of a process, from outside and from inside.

use crate::kernel::dir::own_pid;
use crate::{terminal, view};
use std::process::ExitCode;

/// Show what the kernel says of a process, from outside and from inside
///
/// Outside is what the host reads about the process: its namespaces, mounts, cgroups, capabilities and the like, from
/// /proc/PID. Inside is what the process itself sees: a helper goes into its namespaces and its root,
/// reads, and ends. What cannot be read is shown as the error that the kernel gave.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  learnctr view self            learnctr itself, as an ordinary process of the host
  learnctr view $$              the shell that you type this into
  learnctr view $(docker inspect -f '{{.State.Pid}}' web)
  learnctr view --json 1 > before.json")]
pub struct Args {
    /// The process's number, or `self` for learnctr itself; of several, one after the other
    #[arg(value_name = "PID|self", value_parser = which, required = true)]
    processes: Vec<i32>,
    /// Print the view as JSON, with the source of each reading
    #[arg(long)]
    json: bool,
}

/// A process on the command line.
pub fn which(word: &str) -> Result<i32, String> {
    match (word, word.parse::<i32>()) {
        ("self", _) => Ok(own_pid()),
        (_, Ok(pid)) if pid > 0 => Ok(pid),
        _ => Err("not the number of a process, nor `self`; `ps -e` lists the numbers".into()),
    }
}

pub fn main(args: Args) -> super::Result {
    for process in args.processes {
        let view = view::take(process)?;
        if args.json {
            super::print(&format!("{}\n", serde_json::to_string_pretty(&view)?))?;
        } else {
            super::print(&terminal::view::render(&view, terminal::width()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
