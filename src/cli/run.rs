//! `learnctr run`: build the same container with no pause and no recording, and stand in for its command.

use super::build::Build;
use crate::engine::session::{Recording, Session};
use crate::engine::{journal, oom};
use crate::kernel::attach::Attached;
use crate::kernel::spawn::{Started, Stdio3};
use crate::prepare::Purpose;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Build the same container with no pause
///
/// Signals, the terminal and its size are passed on. The exit status is the command's; 128 and the signal's
/// number when a signal ended it; 127 when the command is not found inside, 126 when it cannot be executed;
/// 1 when the container could not be built.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  learnctr run                                   the default container: a small web server
  learnctr run -- sh                             a shell inside
  learnctr run --memory 64m --network none -- id
  learnctr run --rootfs ./alpine -- /bin/sh      over a root file system of yours, which stays as it is
  learnctr run --bundle ./bundle                 what an OCI config.json says")]
pub struct Args {
    #[command(flatten)]
    build: Build,
}

pub fn main(args: Args) -> super::Result {
    // Before anything is made, so that Ctrl-C cannot leave half of it behind.
    let attached = Attached::new()?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    // First of all: it starts up while this process finds out what it is to do. Where it is refused, it is tried again
    // when the plan says so, and the cause is found.
    let started = Started::now(&Stdio3::Inherit).ok();
    let (prepared, plan) = args.build.plan(Purpose::Run { terminal })?;
    for left in journal::sweep(&prepared.host.dirs.state) {
        super::out::tell!(
            "learnctr: removed what a learnctr that died had left of the container {}",
            left.id
        );
    }
    for note in &prepared.container.notes {
        anstream::eprintln!("learnctr: {}: {}", note.stage, note.text);
    }
    let mut tell = |_| {};
    let session = Session::new(&plan, &prepared.host, Recording::Nothing, Stdio3::Inherit, &mut tell)?;
    let mut session = session.with(started);
    let exec = plan.position("exec").map_or(plan.stages.len(), |exec| exec + 1);
    let built = session.play(0..exec);
    let outcome = match (built, session.pid()) {
        (Ok(()), Some(pid)) => {
            let terminal = session.take_terminal();
            // Asked to end while it was built: process 1, which has no handler yet, would never see it.
            if let Some(signal) = attached.asked_to_end() {
                Ok(128 + signal)
            } else {
                attached.pass_on(pid, terminal, || session.has_ended())?;
                Ok(session.status().unwrap_or(1))
            }
        }
        (Ok(()), None) => Ok(0),
        (Err(failure), _) => Err(failure),
    };
    if let Some(killed) = oom::told(&plan) {
        super::out::tell!("learnctr: {killed}");
    }
    for (step, errno) in session.finish() {
        super::out::tell!("learnctr: not undone: {step} = -1 {errno}; the next learnctr tries again");
    }
    match outcome {
        Ok(status) => Ok(ExitCode::from(status as u8)),
        Err(failure) => {
            super::out::tell!("learnctr: {failure}");
            Ok(ExitCode::from(failure.status()))
        }
    }
}
