//! Why does a session not go on? Each failure says the call, its arguments, the errno, the cause and what to
//! do next, in this order.
//!
//! Next: `crate::refusal`, what the causes are looked up in.

use crate::kernel::process::{self, Ended};
use crate::kernel::{Errno, libc_flags as o};
use crate::refusal::Diagnosis;
use std::path::Path;

/// Why a session does not go on.
#[derive(Debug)]
pub enum Failure {
    /// A step was refused.
    Refused { stage: &'static str, diagnosis: Box<Diagnosis> },
    /// The process that becomes the container ended before its time.
    Died { stage: &'static str, ended: Option<Ended> },
    /// Something of learnctr's own could not be done: the call, and what to do about it.
    Own { what: String, errno: Errno, next: String },
    /// Another container has the name.
    Taken { id: String },
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Failure::Refused { stage, diagnosis } => {
                write!(f, "the stage {stage} was refused a step:\n  {diagnosis}")
            }
            Failure::Died { stage, ended } => {
                write!(f, "the process that becomes the container ended at the stage {stage}")?;
                match ended {
                    Some(Ended::Signalled(signal)) => write!(
                        f,
                        ", by {}\n  candidate: {}\n  next: `dmesg | tail` says who it was",
                        process::signal_name(*signal),
                        killer(*signal, stage)
                    ),
                    Some(Ended::Exited(status)) => write!(
                        f,
                        ", with status {status}\n  candidate: what it said on standard error, just above\n  next: \
                         `learnctr step --until {stage}` shows its last steps"
                    ),
                    None => write!(
                        f,
                        "\n  candidate: it closed its end of the channel and lives\n  next: `learnctr step --until {stage}` \
                         shows its last steps"
                    ),
                }
            }
            Failure::Own { what, errno, next } => write!(f, "{what} = -1 {errno}\n  next: {next}"),
            Failure::Taken { id } => write!(
                f,
                "a container called {id} is there already, and lives\n  next: give another --name, or end that one first"
            ),
        }
    }
}

impl std::error::Error for Failure {}

/// Who sends such a signal to a process that is still ours.
fn killer(signal: i32, stage: &str) -> &'static str {
    match signal {
        SIGSEGV if stage == "seccomp" => {
            "the container's own seccomp filter, which refuses what every process needs, even exit_group(2)"
        }
        SIGSYS => "the container's own seccomp filter, whose action for one of our calls is to kill",
        o::SIGKILL => {
            "the memory limit of its group (oom_kill in memory.events), a seccomp filter that kills the process, or somebody's kill -9"
        }
        _ => "somebody's kill, or a fault of learnctr's own",
    }
}

const SIGSEGV: i32 = 11;
const SIGSYS: i32 = 31;

impl Failure {
    /// The exit status that a shell has for it: 127 for a command that is not there, 126 for one that cannot
    /// be executed, else 1.
    pub fn status(&self) -> u8 {
        match self {
            Failure::Refused { stage: "exec", diagnosis } if diagnosis.errno == Errno::ENOENT => 127,
            Failure::Refused { stage: "exec", .. } => 126,
            _ => 1,
        }
    }

    /// The process that becomes the container could not be told what to do.
    pub fn of_channel(errno: Errno) -> Failure {
        Failure::Own {
            what: "sendmsg(the steps, to the process that becomes the container)".to_owned(),
            errno,
            next: "`free -m` and `ulimit -n`: long messages take memory and a descriptor".to_owned(),
        }
    }

    /// A file of the journal's that could not be written.
    pub fn of_journal(call: &str, path: &Path, error: std::io::Error) -> Failure {
        let errno = Errno::from(error);
        let next = match errno {
            Errno::ENOSPC | Errno::EDQUOT => {
                "free some space there, or keep the journal elsewhere: LEARNCTR_STATE=DIR learnctr …"
            }
            Errno::ENOTDIR | Errno::EEXIST => {
                "a file is where a directory has to be: remove it, or LEARNCTR_STATE=DIR learnctr …"
            }
            _ => {
                "nothing is begun that could not be undone: keep the journal where you may write, LEARNCTR_STATE=DIR learnctr …"
            }
        };
        Failure::Own {
            what: format!("{call}(\"{}\"), the journal of what has to be undone", path.display()),
            errno,
            next: next.to_owned(),
        }
    }
}
