//! `learnctr run`: build the same container with no pause.

/// Build the same container with no pause
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
