//! `learnctr plan`: print every call that would be made, and why. It needs no privilege and changes nothing.

use super::build::{self, Build};
use crate::prepare::Purpose;
use crate::terminal;
use std::process::ExitCode;

/// Print every call that would be made, and why
///
/// The plan is made from the options and from what this machine allows. `host` marks what the host's process would
/// call, `child` what the process would call that becomes the container; `{pid}` is that process. Nothing is
/// changed, and no privilege is needed: as an ordinary user it is an ordinary user's plan.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  learnctr plan | less
  learnctr plan --from caps --until exec
  learnctr plan --network none --memory 64m -- sh
  learnctr plan --json | jq '.stages[].moves[].step'
  diff <(learnctr plan --name a) <(learnctr plan --name a --chroot)")]
pub struct Args {
    #[command(flatten)]
    build: Build,

    /// The first stage to print
    #[arg(long, value_name = "STAGE", help_heading = "Stages", value_parser = build::stage)]
    from: Option<String>,

    /// The last stage to print
    #[arg(long, value_name = "STAGE", help_heading = "Stages", value_parser = build::stage)]
    until: Option<String>,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub fn main(args: Args) -> super::Result {
    let (_, plan) = args.build.plan(Purpose::Show)?;
    let from = args.from.as_deref().map(|id| plan.find(id)).transpose()?.unwrap_or(0);
    let until = args.until.as_deref().map(|id| plan.find(id)).transpose()?.unwrap_or(plan.stages.len());
    if until < from {
        return Err(super::Usage("the stage of --until comes before that of --from".to_owned()).into());
    }
    let mut printed = plan.printed();
    printed.stages.truncate(until + 1);
    printed.stages.drain(..from);
    let text = match args.json {
        true => format!("{}\n", serde_json::to_string_pretty(&printed)?),
        false => terminal::plan::render(&printed, from, terminal::width()),
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
