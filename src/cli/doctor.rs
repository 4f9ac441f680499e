//! `learnctr doctor`: say what this kernel, machine and user allow.

/// Say what this kernel, machine and user allow
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
