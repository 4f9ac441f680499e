//! Stage `limits`: what else would it inherit from its maker?
//!
//! Next: `caps`.

use crate::spec::sysctl;
use crate::stage::{Ground, Move, Stage};
use crate::step::{At, Step};

pub static STAGE: Stage = Stage {
    id: "limits",
    title: "Limits, settings, and nothing inherited",
    question: "What else would it inherit from whoever built it?",
    why: "A process inherits more than one thinks: resource limits, keyring, session and terminal, umask, blocked signals, open \
          files. Each is set or cut off here, while there is still the privilege to do so.",
    man: &[
        "getrlimit(2)",
        "proc_sys(5)",
        "keyrings(7)",
        "setsid(2)",
        "umask(2)",
        "signal(7)",
        "close_range(2)",
    ],
    observe: &["cat", "/proc/self/limits"],
    pitfalls: super::pitfalls::limits::ALL,
    moves,
};

fn moves(ground: &Ground) -> Vec<Move> {
    let spec = &ground.container.spec;
    let Some(process) = spec.process() else { return Vec::new() };
    let mut moves = Vec::new();
    let name = format!("learnctr-{}", ground.container.id);
    moves.push(Move::child(
        Step::JoinSessionKeyring { name },
        "a session keyring of its own: keys of the host's user would be inherited otherwise",
    ));
    for limit in process.rlimits().iter().flatten() {
        let resource = limit.typ().to_string();
        moves.push(Move::child(
            Step::Prlimit { resource, soft: limit.soft(), hard: limit.hard() },
            "before CAP_SYS_RESOURCE goes, without which a limit can only be lowered",
        ));
    }
    let sysctls = spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    let mut sysctls: Vec<_> = sysctls.into_iter().flatten().collect();
    sysctls.sort();
    for (name, value) in sysctls {
        let path = At::Proc(format!("sys/{}", sysctl::path(name)).into());
        moves.push(Move::child(
            Step::Write { path, text: value.clone() },
            "a setting of the namespace that this process is in, not of the machine; /proc/sys itself is closed by now",
        ));
    }
    if let Some(score) = process.oom_score_adj() {
        let path = At::Proc("self/oom_score_adj".into());
        moves.push(Move::child(
            Step::Write { path, text: score.to_string() },
            "who is killed first when memory runs out; it can be lowered only with CAP_SYS_RESOURCE",
        ));
    }
    moves.extend(label(ground));
    moves.push(Move::child(
        Step::Umask { mask: process.user().umask().unwrap_or(0o022) },
        "a mask set by whoever built it would make its files unreadable",
    ));
    moves.push(Move::child(
        Step::ResetSignals,
        "ignored signals and the mask survive execve; a blocked SIGTERM could never stop it",
    ));
    moves.push(Move::child(
        Step::Setsid,
        "a session of its own: no terminal of the host's, which it could otherwise type into (TIOCSTI)",
    ));
    if ground.choices.terminal {
        moves.push(Move::child(
            Step::ControllingTerminal,
            "its terminal, so that Ctrl-C becomes a signal inside",
        ));
    }
    moves.push(Move::child(
        Step::CloseOnExec { from: 3 },
        "no open file of the host gets through: one directory left open was a way out (CVE-2024-21626)",
    ));
    moves
}

/// What a security module is to call the command: it takes effect at the next execve(2).
fn label(ground: &Ground) -> Option<Move> {
    let process = ground.container.spec.process().as_ref()?;
    let asked = |label: &Option<String>| label.clone().filter(|label| !label.is_empty());
    let write = |file: &str, text| Step::Write { path: At::Proc(format!("self/attr/{file}").into()), text };
    if let Some(profile) = asked(process.apparmor_profile())
        && ground.host.lsm.has("apparmor")
    {
        // A directory of AppArmor's own since Linux 5.8: the files above it are the first module's.
        let file = if ground.host.at_least(5, 8) { "apparmor/exec" } else { "exec" };
        return Some(Move::child(
            write(file, format!("exec {profile}")),
            "AppArmor confines the command by this profile",
        ));
    }
    let label = asked(process.selinux_label()).filter(|_| ground.host.lsm.has("selinux"))?;
    Some(Move::child(write("exec", label), "SELinux knows the command by this label"))
}
