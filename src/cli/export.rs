//! `learnctr export`: a recorded run as one file that works without learnctr, or as pictures.

use crate::trace::{self, Record};
use crate::web::{export, names::Names, site::Site};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write a recorded run as one page that works offline, or as pictures
///
/// The page has the same drawings and the same scrubber as `learnctr serve` shows, on any system with a browser, without
/// a network. The host's names and addresses and the names of home directories are replaced in it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  learnctr step --auto --trace web.jsonl; learnctr export web.jsonl -o replay.html
  learnctr export web.jsonl --svg slides       slides/pivot-root.anatomy.svg and so on
  learnctr step --auto --json | learnctr export - -o replay.html")]
pub struct Args {
    /// What `learnctr step --trace FILE` recorded, or `-` for standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,

    /// The page to write, or `-` for standard output
    #[arg(short, long, value_name = "FILE", required_unless_present = "svg")]
    output: Option<PathBuf>,

    /// Write each drawing of each stage as a picture of its own into this directory
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,

    /// Leave the host's names and addresses and the paths of home directories as they are
    #[arg(long)]
    keep_names: bool,
}

pub fn main(args: Args) -> super::Result {
    let mut site = Site::new();
    for record in records(&args.trace, args.keep_names)? {
        site.add(record);
    }
    if site.run().begun.is_none() {
        return Err(format!(
            "{}: there is no run in it; `learnctr step --auto --trace FILE` records one",
            args.trace.display()
        )
        .into());
    }
    if site.run().ended.is_none() {
        super::out::tell!(
            "learnctr: {}: the run in it has no end; what there is of it is shown",
            args.trace.display()
        );
    }
    if let Some(file) = &args.output {
        write(file, &export::page(&site, &nonce()?))?;
    }
    if let Some(dir) = &args.svg {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        for (name, picture) in export::pictures(&site) {
            write(&dir.join(name), &picture)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn records(path: &Path, keep_names: bool) -> super::Result<Vec<Record>> {
    let place = super::input::name(path);
    let text = super::input::read(path, super::input::TRACE).map_err(|error| format!("{place}: {error}"))?;
    let unreadable = |error| format!("{place}: {error}");
    // Read before anything is replaced, so that an error names what is really there.
    let records = trace::read(BufReader::new(text.as_slice())).map_err(unreadable)?;
    if keep_names {
        return Ok(records);
    }
    let mut lines: Vec<Value> =
        records.iter().filter_map(|record| serde_json::to_value(record).ok()).collect();
    let mut names = Names::default();
    lines.iter().for_each(|line| names.learn(line));
    lines.iter_mut().for_each(|line| names.hide(line));
    Ok(lines.into_iter().filter_map(|line| serde_json::from_value(line).ok()).collect())
}

/// By this the page's own script is known to the browser: no text of a trace can have guessed it.
fn nonce() -> super::Result<String> {
    let mut bytes = [0u8; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| format!("/dev/urandom: {error}; the page's script needs an unguessable name"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write(path: &Path, text: &str) -> super::Result<()> {
    let written = match path.to_str() {
        Some("-") => super::print(text),
        _ => fs::write(path, text),
    };
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}
