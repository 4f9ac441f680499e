//! How does one look around inside? With a shell that has a terminal of its own, so that nothing inside ever holds
//! the host's (TIOCSTI); or with one command, on the host and inside, side by side.

use super::palette::{BOLD, CONTAINER, DIM, HOST};
use super::prompt::{Asked, Person};
use super::stage::{beside, heading, indented, prose, rule};
use super::text::{Line, Tone, clean, join_lines, wrap};
use crate::engine::enter::{Refused, Visit};
use crate::kernel::process::{self, Ended};
use crate::kernel::spawn::Stdio3;
use crate::kernel::tty::{self, Heard};
use crate::kernel::{Errno, libc_flags as o, pty};
use crate::stage::Stage;
use crate::step::Command;
use anstyle::Style;
use std::io::{PipeReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A command that only looks has this long, and this much to say.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST: usize = 64 << 10;

/// A clean environment: nothing of the host's but what the terminal is.
fn command(args: &[&str], stage: &str) -> Command {
    let term = std::env::var("TERM").unwrap_or_else(|_| "linux".to_owned());
    let env =
        [PATH.to_owned(), format!("TERM={term}"), format!("PS1=(inside: {stage}) # "), "HOME=/".to_owned()];
    Command { args: args.iter().map(|arg| (*arg).to_owned()).collect(), env: env.into() }
}

/// Whether the container's root is its own by now.
fn has_own_root(visit: &Visit) -> bool {
    visit.plan.stages.iter().take(visit.played).any(|planned| planned.stage.id == "pivot-root")
}

/// A shell inside the container as it is now.
pub fn shell(person: &mut Person, visit: &Visit, stage: &str) -> Result<Option<Asked>, String> {
    let mut lines = vec![Line::default()];
    lines.extend(prose(
        CONTAINER,
        1,
        "A shell inside, in each namespace that there is by now. `exit` or Ctrl-D comes back.",
        super::width(),
    ));
    if !has_own_root(visit) {
        let text =
            "Its root is still the host's tree: what you write, remove or change there is the host's own.";
        lines.extend(prose(Tone::Refused.style(), 1, text, super::width()));
    }
    let _ = super::print(&join_lines(lines));
    let opened = |errno| format!("posix_openpt(O_RDWR|O_NOCTTY) = -1 {errno}");
    let (master, terminal) = pty::pair().map_err(opened)?;
    let _ = pty::copy_size(0, master.as_raw_fd());
    let entered = visit.enter(command(&["/bin/sh", "-i"], stage), &Stdio3::Terminal(terminal), true);
    let pid = entered.map_err(|refused| why_not(&refused, "/bin/sh"))?;
    let asked = person.relay(&master, pid);
    let _ = process::kill(pid, o::SIGKILL);
    let _ = process::wait(pid, true);
    Ok(asked)
}

fn why_not(refused: &Refused, program: &str) -> String {
    if refused.is_missing_program() {
        return format!(
            "{refused}\n There is no {program} in this root file system, or its loader is missing. \
             The default image has one; into another, put a static one (busybox)."
        );
    }
    format!("{refused}\n The container could not be joined as it is now; `v` shows what it has.")
}

impl Person<'_> {
    /// Pass bytes between this terminal and another until the process ends.
    fn relay(&mut self, master: &OwnedFd, pid: i32) -> Option<Asked> {
        let ended = process::pidfd(pid).ok()?;
        let _ = tty::nonblocking(master.as_fd());
        let _ = self.keys().raw();
        let mut typed: Vec<u8> = Vec::new();
        let asked = loop {
            match self.signals().heard() {
                Some(Heard::End(signal)) => break Some(Asked::End(signal)),
                Some(Heard::Redraw) => {
                    let _ = self.keys().raw();
                    let _ = pty::copy_size(0, master.as_raw_fd());
                }
                None => {}
            }
            // While there is something to pass on, nothing more is read.
            let input = if typed.is_empty() { 0 } else { -1 };
            let fds = [input, self.signals().raw(), master.as_raw_fd(), ended.as_raw_fd()];
            let patience = if typed.is_empty() { -1 } else { 20 };
            let ready = process::poll(&fds, patience).unwrap_or_default();
            if ready.first() == Some(&true) {
                match tty::read_keys() {
                    Ok(bytes) if !bytes.is_empty() => typed.extend(bytes),
                    Err(Errno::EINTR) => {}
                    _ => break Some(Asked::End(o::SIGHUP)),
                }
            }
            let written = tty::write_some(master.as_fd(), &typed);
            typed.drain(..written.min(typed.len()));
            if ready.get(2) == Some(&true)
                && let Ok(bytes) = tty::read_some(master.as_fd())
                && !bytes.is_empty()
            {
                let mut out = std::io::stdout().lock();
                let _ = out.write_all(&bytes).and_then(|()| out.flush());
                continue;
            }
            if ready.get(3) == Some(&true) {
                break None;
            }
        };
        let _ = self.keys().again();
        let _ = std::io::stdout().lock().write_all(b"\x1b[0m\r\n");
        asked
    }
}

/// The stage's command on the host and inside.
pub fn both(visit: Result<Visit, String>, stage: &Stage, width: usize) -> String {
    if stage.observe == ["true"] {
        return " This stage has no command to compare: `v` and `d` show what it changed.\n".to_owned();
    }
    let outside = on_host(stage.observe).unwrap_or_else(|error| error);
    let inside = match &visit {
        Err(why) => why.clone(),
        Ok(visit) => in_there(visit, stage).unwrap_or_else(|error| error),
    };
    let shown: Vec<String> = stage.observe.iter().map(|word| shell_word(word)).collect();
    let mut lines = vec![Line::default(), heading(&format!("$ {}", clean(&shown.join(" "))))];
    if visit.is_ok_and(|visit| !has_own_root(&visit)) {
        lines.extend(prose(DIM, 1, "inside, the root is still the host's tree", width));
    }
    let half = (width - 3) / 2;
    let fits = |text: &str| text.lines().all(|line| line.chars().count() <= half);
    let column = |name: &str, style: Style, text: &str, width: usize| {
        let mut lines =
            vec![indented(1, style.bold(), name), indented(1, DIM, &"─".repeat(width.saturating_sub(2)))];
        for line in text.lines() {
            lines.extend(
                wrap(&clean(&line.replace('\t', "  ")), width - 1)
                    .iter()
                    .map(|part| indented(1, style, part)),
            );
        }
        lines
    };
    if fits(&outside) && fits(&inside) {
        let (left, right) =
            (column("host", HOST, &outside, half), column("inside", CONTAINER, &inside, half));
        lines.extend(beside(left, right, half + 2));
    } else {
        lines.extend(column("host", HOST, &outside, width));
        lines.push(Line::default());
        lines.extend(column("inside", CONTAINER, &inside, width));
    }
    if outside == inside {
        lines.extend(prose(BOLD, 1, "Both say the same: this is not kept apart (yet).", width));
    }
    lines.push(rule(width));
    join_lines(lines)
}

fn shell_word(word: &str) -> String {
    if word.contains([' ', '|', '<', '*', ';']) { format!("'{word}'") } else { word.to_owned() }
}

fn on_host(args: &[&str]) -> Result<String, String> {
    let Some((program, rest)) = args.split_first() else {
        return Err("this stage has no command".to_owned());
    };
    let said = |error: std::io::Error| format!("{program}: {error}");
    let (reader, writer) = std::io::pipe().map_err(said)?;
    let mut command = std::process::Command::new(program);
    command.args(rest).stdin(std::process::Stdio::null());
    command.stdout(writer.try_clone().map_err(said)?).stderr(writer);
    let child = tty::unblocked(&mut command).spawn().map_err(said)?;
    // It holds the writing end.
    drop(command);
    Ok(listen(&reader, child.id() as i32))
}

fn in_there(visit: &Visit, stage: &Stage) -> Result<String, String> {
    let (reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
    let stdio = Stdio3::Into(OwnedFd::from(writer));
    let entered = visit.enter(command(stage.observe, stage.id), &stdio, false);
    drop(stdio);
    let pid = entered.map_err(|refused| why_not(&refused, stage.observe.first().unwrap_or(&"")))?;
    Ok(listen(&reader, pid))
}

/// What a process prints until it ends, or has had its time.
fn listen(reader: &PipeReader, pid: i32) -> String {
    let until = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    let mut whole = true;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || heard.len() > MOST {
            whole = false;
            break;
        }
        if process::poll(&[reader.as_raw_fd()], left.as_millis() as i32) != Ok(vec![true]) {
            continue;
        }
        match tty::read_some(reader.as_fd()) {
            Ok(bytes) if !bytes.is_empty() => heard.extend(bytes),
            Err(Errno::EINTR) => {}
            _ => break,
        }
    }
    if !whole {
        let _ = process::kill(pid, o::SIGKILL);
    }
    let mut text = String::from_utf8_lossy(&heard).trim_end().to_owned();
    match process::wait(pid, true) {
        _ if !whole => text.push_str("\n(it was ended: it took too long, or said too much)"),
        Ok(Some(Ended::Exited(0))) if text.is_empty() => text.push_str("(nothing, with success)"),
        Ok(Some(Ended::Exited(0))) | Err(_) | Ok(None) => {}
        Ok(Some(Ended::Exited(status))) => text.push_str(&format!("\n(exit status {status})")),
        Ok(Some(Ended::Signalled(signal))) => {
            text.push_str(&format!("\n(ended by {})", process::signal_name(signal)));
        }
    }
    text.trim_start().to_owned()
}
