//! Stage `seccomp`: which system calls may it make at all?
//!
//! Next: `exec`.

use crate::stage::{Ground, Move, Stage};
use crate::step::Step;

pub static STAGE: Stage = Stage {
    id: "seccomp",
    title: "A filter for every system call",
    question: "Which system calls may it make at all?",
    why: "A small program that the kernel runs before each system call says yes, no, or kill. It can only be added to, never taken \
          away. Loading one takes either no_new_privs, or CAP_SYS_ADMIN: with no_new_privs it is the very last thing, so that it \
          need allow nothing for us; without, it must come before the capabilities go, and the calls that follow must be allowed.",
    man: &["seccomp(2)", "seccomp_rule_add(3)", "prctl(2)"],
    observe: &["grep", "Seccomp", "/proc/self/status"],
    pitfalls: super::pitfalls::seccomp::ALL,
    moves,
};

/// Whether the process gives up gaining privileges by execve; `false` and absent are the same.
pub fn no_new_privs(ground: &Ground) -> bool {
    let process = ground.container.spec.process().as_ref();
    process.and_then(|process| process.no_new_privileges()).unwrap_or(false)
}

fn moves(ground: &Ground) -> Vec<Move> {
    let mut moves = Vec::new();
    if no_new_privs(ground) {
        moves.push(Move::child(
            Step::NoNewPrivs,
            "setuid bits and file capabilities count for nothing from here on, for all its children too",
        ));
    }
    if let Some((program, flags)) = &ground.choices.filter {
        let why = match no_new_privs(ground) {
            true => "the last call but execve: nothing else of ours has to be allowed by it",
            false => {
                "while there is CAP_SYS_ADMIN: without no_new_privs the kernel demands it; what follows must be allowed by the filter"
            }
        };
        moves.push(Move::child(Step::Seccomp { flags: *flags, program: program.clone() }, why));
    }
    moves
}
