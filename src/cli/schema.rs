//! `learnctr schema`: print the JSON Schema of a trace.

/// Print the JSON Schema of a trace
#[derive(clap::Args)]
pub struct Args {}

pub fn main(_args: Args) -> super::Result {
    Err("this command is being built".into())
}
