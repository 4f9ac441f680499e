//! `learnctr step`: build a container, pausing after each stage.

/// Build a container, pausing after each stage
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
