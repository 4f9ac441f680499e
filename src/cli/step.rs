//! `learnctr step`: build a container, pausing after each stage.

use super::build::Build;
use crate::engine::session::{Recording, Session};
use crate::kernel::spawn::Stdio3;
use crate::trace::Event;
use std::process::ExitCode;

/// Build a container, pausing after each stage
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    build: Build,

    /// Write each event as one JSON line to standard output
    #[arg(long)]
    json: bool,
}

pub fn main(args: Args) -> super::Result {
    let (prepared, plan) = args.build.plan(crate::prepare::Purpose::Run { terminal: false })?;
    let mut tell = |event: Event| match (args.json, &event) {
        (true, _) => println!("{}", serde_json::to_string(&event).unwrap_or_default()),
        (false, Event::Entered { stage, .. }) => println!("== {}: {}", stage.stage, stage.question),
        (false, Event::Stepped { planned, calls, outcome, micros, .. }) => {
            println!("  {:?} {} -> {outcome:?} {micros} us", planned.side, planned.step);
            for call in calls {
                println!("      {call}");
            }
        }
        (false, Event::Left { diff, .. }) => {
            println!("  {} changes", diff.as_ref().map_or(0, |d| d.changes.len()))
        }
        (false, other) => println!("{other:?}"),
    };
    let mut session = Session::new(&plan, &prepared.host, Recording::Views, Stdio3::Aside, &mut tell)?;
    for number in 0..plan.stages.len() {
        session.play(number..number + 1)?;
    }
    for (step, errno) in session.finish() {
        println!("not undone: {step}: {errno}");
    }
    Ok(ExitCode::SUCCESS)
}
