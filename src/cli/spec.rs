//! `learnctr spec`: print the OCI config.json of the container that would be built.

/// Print the OCI config.json of the container that would be built
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
