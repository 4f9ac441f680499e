//! `learnctr export`: a recorded run as one file that works without learnctr.

use crate::trace;
use crate::web::{export::export, site::Site};
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a recorded run as one page that works offline
#[derive(clap::Args)]
pub struct Args {
    /// What `learnctr step --trace FILE` recorded
    trace: PathBuf,

    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub fn main(args: Args) -> super::Result {
    let place = args.trace.display();
    let file = File::open(&args.trace).map_err(|error| format!("{place}: {error}"))?;
    let records = trace::read(BufReader::new(file)).map_err(|error| format!("{place}: {error}"))?;
    let mut site = Site::new();
    for record in records {
        site.add(record);
    }
    let page = export(&site, "AAAA");
    std::fs::write(&args.output, page).map_err(|error| format!("{}: {error}", args.output.display()))?;
    Ok(ExitCode::SUCCESS)
}
