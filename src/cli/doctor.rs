//! `learnctr doctor`: say what this kernel, machine and user allow.

use crate::doctor;
use crate::host::Host;
use crate::kernel::ident;
use std::process::ExitCode;

/// Say what this kernel, machine and user allow
///
/// Each answer is tried out in a process of its own, which takes what it made with it: namespaces,
/// mounts, links. Exit status 1 if the default container cannot be built.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  learnctr doctor                 what is there, what is wanting, and what mends it
  learnctr doctor --calls         with every call that was tried
  learnctr doctor --json | jq -r '.checks[] | select(.answer == \"no\") | .id, .mend'
  sudo learnctr doctor            the same for root

Environment:
  LEARNCTR_DATA    where images are kept: overlay is tried on that file system
  COLUMNS          the table's width where standard output is no terminal")]
pub struct Args {
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// Show every call that was tried
    #[arg(long, conflicts_with = "json")]
    calls: bool,
}

pub fn main(args: Args) -> super::Result {
    let report = doctor::examine(&Host::look());
    let text = match args.json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => doctor::table::draw(&report, ident::columns(), args.calls),
    };
    super::print(&text)?;
    Ok(if report.verdict.can { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
