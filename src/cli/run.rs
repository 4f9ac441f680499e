//! `learnctr run`: build the same container with no pause and no recording.

use super::build::Build;
use crate::engine::session::{Recording, Session};
use crate::kernel::{process, spawn::Stdio3};
use std::process::ExitCode;

/// Build the same container with no pause
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    build: Build,
}

pub fn main(args: Args) -> super::Result {
    let (prepared, plan) = args.build.plan(crate::prepare::Purpose::Run { terminal: false })?;
    for left in crate::engine::journal::sweep(&prepared.host.dirs.state) {
        anstream::eprintln!(
            "learnctr: the container {} was left behind by a learnctr that died; it is removed",
            left.id
        );
    }
    let mut tell = |_| {};
    let mut session = Session::new(&plan, &prepared.host, Recording::Nothing, Stdio3::Inherit, &mut tell)?;
    let exec = plan.position("exec").map_or(plan.stages.len(), |exec| exec + 1);
    if let Err(failure) = session.play(0..exec) {
        anstream::eprintln!("learnctr: {failure}");
        return Ok(ExitCode::from(failure.status()));
    }
    if let Some(pid) = session.pid() {
        let fd = process::pidfd(pid);
        if let Ok(fd) = fd {
            use std::os::fd::AsRawFd;
            while !session.has_ended() {
                let _ = process::poll(&[fd.as_raw_fd()], -1);
            }
        }
    }
    let status = session.status().unwrap_or(0);
    for (step, errno) in session.finish() {
        anstream::eprintln!("learnctr: not undone: {step}: {errno}");
    }
    Ok(ExitCode::from(status as u8))
}
