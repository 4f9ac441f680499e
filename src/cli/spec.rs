//! `learnctr spec`: print the OCI config.json of the container that would be built.

use crate::host::Host;
use crate::spec::{Container, Options};
use std::io::Write;
use std::process::ExitCode;

/// Print the OCI config.json of the container that would be built
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  learnctr spec                             the default container
  learnctr spec -m 1g --cap-drop ALL        what the options change
  learnctr spec > b/config.json             a bundle: learnctr run --bundle b")]
pub struct Args {
    #[command(flatten)]
    options: Options,
}

pub fn main(args: Args) -> super::Result {
    let host = Host::look();
    let container = Container::asked(&args.options, &host)?;
    for note in &container.notes {
        anstream::eprintln!("learnctr: {}: {}", note.stage, note.text);
    }
    let json = serde_json::to_string_pretty(&container.to_json())?;
    writeln!(std::io::stdout().lock(), "{json}")?;
    Ok(ExitCode::SUCCESS)
}
