//! `learnctr plan`: print every call that would be made, and why. It needs no privilege and changes nothing.

use super::build::Build;
use std::process::ExitCode;

/// Print every call that would be made, and why
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    build: Build,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub fn main(args: Args) -> super::Result {
    let (_, plan) = args.build.plan(crate::prepare::Purpose::Show)?;
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&plan.printed())?);
        return Ok(ExitCode::SUCCESS);
    }
    for planned in &plan.stages {
        anstream::println!("{}  {}", planned.stage.id, planned.stage.question);
        for m in &planned.moves {
            anstream::println!("  {:?} {}\n      {}", m.side, m.step, m.why);
        }
    }
    Ok(ExitCode::SUCCESS)
}
