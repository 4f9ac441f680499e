//! Which commands are there? One file a command; each parses, calls the library and prints.

mod build;
mod decode;
mod diff;
mod docker;
mod doctor;
mod export;
mod generate;
mod input;
pub mod out;
mod plan;
mod run;
mod schema;
mod serve;
mod spec;
mod step;
mod view;

use crate::kernel::ident;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Build a real container one stage at a time, and see what the kernel says at each.
#[derive(Parser)]
#[command(
    name = "learnctr",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  learnctr step            a container, stage by stage; the keys are at the bottom
  learnctr run -- sh       the same with no pause, and a shell in it
  learnctr plan | less     every call and why; nothing is done
  learnctr view $$         what the kernel says of your shell
  learnctr doctor          what this machine allows
  learnctr run --help      what a command can do"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Colours: where they can be seen, always, or never (also NO_COLOR and CLICOLOR_FORCE)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    color: clap::ColorChoice,
}

// The options of the others are not even put together: `parsed` does it for who asks what there is.
#[derive(Subcommand)]
#[command(defer = true)]
enum Command {
    Step(step::Args),
    Run(run::Args),
    Plan(plan::Args),
    View(view::Args),
    Diff(diff::Args),
    Decode(decode::Args),
    Spec(spec::Args),
    Doctor(doctor::Args),
    Serve(serve::Args),
    Export(export::Args),
    Schema(schema::Args),
    #[command(hide = true)]
    Generate(generate::Args),
}

/// Every failure that reaches a person: one message that says what, where and what to do next.
pub type Result<T = ExitCode> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What was asked for cannot be: a fault of the command line that only shows once the machine was looked at.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// 2 for a fault of the command line, as clap has it, 1 for all else.
fn status_of(error: &(dyn std::error::Error + 'static)) -> u8 {
    let spec = error.downcast_ref::<crate::spec::Error>();
    let usage = error.is::<Usage>()
        || error.is::<crate::plan::NoSuchPlan>()
        || spec.is_some_and(crate::spec::Error::is_of_command_line);
    if usage { 2 } else { 1 }
}

fn parsed() -> Cli {
    let mut cli = Cli::command();
    let command = std::env::args_os().nth(1).map(|word| word.to_string_lossy().into_owned());
    if command.as_ref().is_none_or(|word| cli.find_subcommand(word).is_none()) {
        cli.build();
    }
    let parsed = cli.try_get_matches_from_mut(std::env::args_os());
    let parsed =
        parsed.and_then(|matches| Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut cli)));
    parsed.unwrap_or_else(|mut error| {
        let Some(hint) = docker::hint(&error, command.as_deref()) else { error.exit() };
        // To pass it on to the command is not what was meant.
        error.remove(clap::error::ContextKind::Suggested);
        let _ = error.print();
        out::tell!("learnctr: {hint}");
        std::process::exit(error.exit_code())
    })
}

/// Write to standard output, without styles where nobody can see them. A reader who has seen enough
/// (`| head`) is no failure.
pub fn print(text: &str) -> std::io::Result<()> {
    match crate::terminal::print(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Parse the command line, do it, and say what went wrong on standard error.
/// Exit status: 0 done, 1 failed, 2 usage; `run` passes on its command's.
pub fn main() -> ExitCode {
    // clap alone takes more than half of it.
    const STACK: u64 = 128 << 10;
    if ident::stack() < STACK {
        out::tell!(
            "learnctr: the stack may not grow to 128 KiB (RLIMIT_STACK)\n  next: `ulimit -s 8192`, then again"
        );
        return ExitCode::FAILURE;
    }
    let cli = parsed();
    match cli.color {
        clap::ColorChoice::Auto => {}
        clap::ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
        clap::ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
    }
    let outcome = match cli.command {
        Command::Step(_) | Command::Run(_) | Command::Plan(_) | Command::Spec(_) | Command::Doctor(_)
            if !ident::has_procfs() =>
        {
            Err("there is no procfs on /proc, and without it the kernel cannot be asked\n  \
                 next: mount -t proc proc /proc; in a chroot too"
                .into())
        }
        Command::Step(args) => step::main(args),
        Command::Run(args) => run::main(args),
        Command::Plan(args) => plan::main(args),
        Command::View(args) => view::main(args),
        Command::Diff(args) => diff::main(args),
        Command::Decode(args) => decode::main(args),
        Command::Spec(args) => spec::main(args),
        Command::Doctor(args) => doctor::main(args),
        Command::Serve(args) => serve::main(args),
        Command::Export(args) => export::main(args),
        Command::Schema(args) => schema::main(args),
        Command::Generate(args) => generate::main(args),
    };
    let status = outcome.unwrap_or_else(|error| {
        out::tell!("learnctr: {error}");
        ExitCode::from(status_of(error.as_ref()))
    });
    if out::lost() && status == ExitCode::SUCCESS { ExitCode::FAILURE } else { status }
}
