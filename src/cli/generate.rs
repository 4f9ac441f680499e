//! `learnctr generate DIR`: the man pages and completions, from the same table as `--help`.
//! For packages and `make install`; hidden, since nobody learns containers from it.

use clap::CommandFactory;
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the man pages and shell completions into a directory
#[derive(clap::Args)]
pub struct Args {
    /// Where to; made when it is not there
    directory: PathBuf,
}

pub fn main(args: Args) -> super::Result {
    let directory = args.directory;
    let say = |error| format!("{}: {error}; choose a directory that can be written", directory.display());
    std::fs::create_dir_all(&directory).map_err(say)?;
    let mut command = super::Cli::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "learnctr", &directory).map_err(say)?;
    }
    // `help view` says what `view --help` says: no page of its own.
    let pages = super::Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(pages, &directory).map_err(say)?;
    for page in std::fs::read_dir(&directory).map_err(say)?.flatten().map(|entry| entry.path()) {
        if page.extension().is_some_and(|section| section == "1") {
            let text = std::fs::read_to_string(&page).map_err(say)?;
            std::fs::write(&page, with_examples(&text)).map_err(say)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What follows the options are lines of a shell: troff would fill and break them.
fn with_examples(page: &str) -> String {
    let page = page.replace("\n.SH EXTRA\nExamples:\n", "\n.SH EXTRA\n");
    page.replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n.nf\n").replace("\n.SH VERSION", "\n.fi\n.SH VERSION")
}
