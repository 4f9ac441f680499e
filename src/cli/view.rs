//! `learnctr view`: show what the kernel says of one process, from outside and from inside.

use crate::kernel::dir::own_pid;
use crate::view;
use std::process::ExitCode;

/// Show what the kernel says of one process, from outside and from inside
#[derive(clap::Args)]
pub struct Args {
    /// The process's number, or `self` for learnctr itself
    #[arg(value_name = "PID|self", value_parser = which)]
    process: i32,
    /// Print the view as JSON
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
    let view = view::take(args.process)?;
    println!("{}", serde_json::to_string_pretty(&view)?);
    Ok(ExitCode::SUCCESS)
}
