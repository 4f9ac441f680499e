//! `learnctr view`: show what the kernel says of one process, from outside and from inside.

/// Show what the kernel says of one process, from outside and from inside
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
