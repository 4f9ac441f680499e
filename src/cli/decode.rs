//! `learnctr decode`: say what a number of the kernel's means.

/// Say what a number of the kernel's means
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
