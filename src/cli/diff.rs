//! `learnctr diff`: show what differs between two processes or two recorded views.

/// Show what differs between two processes or two recorded views
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
