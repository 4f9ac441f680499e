//! `learnctr plan`: print every call that would be made, and why.

/// Print every call that would be made, and why
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
