//! Stage `exec`: when does it become the program?
//!
//! Next: `life`, what can be done with it then.

use crate::stage::{Ground, Move, Stage};
use crate::step::{Command, Step};

pub static STAGE: Stage = Stage {
    id: "exec",
    title: "The program",
    question: "When does it become the program that was asked for?",
    why: "execve(2) replaces the program and keeps the process: the same pid, namespaces, root, group, capabilities and filter. \
          That is why all of them could be set up before. There is no container in the kernel, only this process.",
    man: &["execve(2)", "exec(3)"],
    observe: &["cat", "/proc/1/comm"],
    pitfalls: super::pitfalls::exec::ALL,
    moves,
};

fn moves(ground: &Ground) -> Vec<Move> {
    let Some(process) = ground.container.spec.process() else { return Vec::new() };
    let env = process.env().clone().unwrap_or_default();
    let command = Command { args: process.args().clone().unwrap_or_default(), env };
    let mut moves = Vec::new();
    if ground.container.init {
        moves.push(Move::child(
            Step::Init,
            "process 1 has duties: it reaps orphans and passes on signals, which most programs do not",
        ));
    }
    moves.push(Move::child(
        Step::Exec(command),
        "the name is looked up in PATH here, inside; every file of ours is closed by it",
    ));
    moves
}
