//! `learnctr spec`: print the OCI config.json of the container that would be built.

use crate::host::Host;
use crate::spec::{Container, Options, users};
use std::io::Write;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  learnctr spec                             the default container
  learnctr spec -m 1g --cap-drop ALL        what the options change
  learnctr spec --userns private            root inside is an ordinary user outside
  learnctr spec > shop/config.json          a bundle: learnctr run --bundle shop
  learnctr spec --bundle DIR --rootfs DIR   what is understood of another's bundle";

/// Print the OCI config.json of the container that would be built
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", crate::spec::bundle::not_obeyed()))]
pub struct Args {
    #[command(flatten)]
    options: Options,
}

pub fn main(args: Args) -> super::Result {
    let host = Host::look();
    let mut container = Container::asked(&args.options, &host)?;
    // Other runtimes read numbers; the names stay beside them, for the root that it is built from in the end.
    let names = (container.user.clone(), container.groups.clone());
    if names.0.is_some() || !names.1.is_empty() {
        users::look_up(&mut container)?;
        (container.user, container.groups) = names;
    }
    for note in &container.notes {
        super::out::tell!("learnctr: {}: {}", note.stage, note.text);
    }
    let json = serde_json::to_string_pretty(&container.to_json())?;
    writeln!(std::io::stdout().lock(), "{json}")?;
    Ok(ExitCode::SUCCESS)
}
