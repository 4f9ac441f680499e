//! `learnctr schema`: print the JSON Schema of a trace, made from the types that write it.

use crate::view::KernelView;
use std::process::ExitCode;

/// Print the JSON Schema of a trace's lines, or of a view
///
/// Each line of `learnctr step --json` and of a --trace file is valid by it. Its first line names the version.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  learnctr schema > trace.schema.json
  learnctr schema --view > view.schema.json    what `learnctr view --json` prints")]
pub struct Args {
    /// Of what `learnctr view --json` prints
    #[arg(long)]
    view: bool,
}

pub fn main(args: Args) -> super::Result {
    let schema = if args.view { schemars::schema_for!(KernelView) } else { crate::trace::schema() };
    super::print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))?;
    Ok(ExitCode::SUCCESS)
}
