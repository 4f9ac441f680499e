//! What do this kernel, this machine and this user allow? Every answer is tried out, in a process that
//! takes the trial's namespaces and mounts with it; nothing is guessed from a version number.
//!
//! Reading order: [`case`] (who asks, and from where), [`questions`] (the table: what is asked, and what it
//! costs where it is missing), one file a subject (how it is asked), [`causes`] (what an errno means here,
//! and what mends it), [`table`] (what a person sees).

mod calls;
mod case;
mod causes;
mod cgroups;
mod files;
pub mod mend;
mod namespaces;
mod network;
mod questions;
mod security;
pub mod table;

use crate::host::Host;
use crate::kernel::Errno;
use crate::kernel::call::{Call, Returned};
use crate::kernel::trial::{End, Trial, Undisturbed};
use case::Case;
use questions::{Needed, QUESTIONS, Question};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of what `learnctr doctor --json` prints.
pub const VERSION: u32 = 1;

/// All that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub version: u32,
    pub kernel: String,
    pub arch: String,
    /// The distribution's name, from os-release(5).
    pub distribution: Option<String>,
    pub uid: u32,
    pub user: Option<String>,
    /// The default container is built with privilege, not in a user namespace of its own.
    pub privileged: bool,
    /// What says that we are in a container already.
    pub outer_container: Option<String>,
    pub checks: Vec<Check>,
    pub verdict: Verdict,
}

/// Can the default container be built?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    pub can: bool,
    pub sentence: String,
    /// The checks that stand in its way.
    pub prevented_by: Vec<String>,
    /// The checks that it does without.
    pub without: Vec<String>,
}

/// One question, and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    pub id: String,
    pub subject: String,
    pub title: String,
    pub question: String,
    pub answer: Answer,
    /// What was found, in a few words.
    pub says: String,
    pub errno: Option<Errno>,
    /// The calls that were tried, in order, in strace's grammar.
    pub tried: Vec<String>,
    /// The one of them that decided.
    pub decided_by: Option<String>,
    /// What refused it here; several are candidates.
    pub causes: Vec<String>,
    /// What learnctr cannot do without it.
    pub costs: Option<String>,
    /// The command that mends it on this machine.
    pub mend: Option<String>,
    /// The default container cannot be built without it.
    pub needed: bool,
}

/// Is it there?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Yes,
    No,
    /// In part, or only in another way.
    Limited,
    /// It could not be asked here; `says` says why.
    NotAsked,
}

/// What one question found out.
#[derive(Debug)]
struct Finding {
    answer: Answer,
    says: String,
    trial: Option<Trial>,
    /// Causes and a mend that the question knows itself, before those of `causes`.
    causes: Vec<causes::Cause>,
}

impl Finding {
    fn new(answer: Answer, says: impl Into<String>) -> Finding {
        Finding { answer, says: says.into(), trial: None, causes: Vec::new() }
    }

    /// What a trial says: it was done, so it can be.
    fn of(trial: Trial, says: impl Into<String>) -> Finding {
        let (answer, says) = match &trial.end {
            End::Done => (Answer::Yes, says.into()),
            End::Refused(errno) => (Answer::No, format!("{errno}")),
            End::Died => (Answer::No, "the process that tried it was killed".into()),
            End::Late => (Answer::No, "the kernel gave no answer in time".into()),
        };
        Finding { trial: Some(trial), ..Finding::new(answer, says) }
    }

    fn because(mut self, text: impl Into<String>, mend: Option<String>) -> Finding {
        self.causes.push(causes::Cause { text: text.into(), mend });
        self
    }

    /// Where it is not there, say so in other words; what could not be tried at all stays as it is.
    fn or(mut self, answer: Answer, says: impl Into<String>) -> Finding {
        if self.answer == Answer::No && self.ours().is_empty() {
            (self.answer, self.says) = (answer, says.into());
        }
        self
    }

    fn errno(&self) -> Option<Errno> {
        match self.trial.as_ref()?.end {
            End::Refused(errno) => Some(errno),
            _ => None,
        }
    }

    /// What we ourselves have too little of to try it.
    fn ours(&self) -> Vec<causes::Cause> {
        self.errno().map(causes::of_ours).unwrap_or_default()
    }
}

/// Ask everything.
pub fn examine(host: &Host) -> Report {
    let undisturbed = Undisturbed::begin();
    let case = Case::new(host);
    let checks: Vec<Check> = QUESTIONS.iter().map(|question| check(question, &case)).collect();
    let report = Report {
        version: VERSION,
        kernel: host.kernel.clone(),
        arch: host.arch.clone(),
        distribution: case.distribution.name.clone(),
        uid: host.uid,
        user: host.user.clone(),
        privileged: case.privileged,
        outer_container: case.outer_container.clone(),
        verdict: judge(&case, &checks),
        checks,
    };
    drop(case);
    drop(undisturbed);
    report
}

fn check(question: &Question, case: &Case) -> Check {
    let needs_namespace = question.inside && !case.privileged && !case.user_namespace;
    let finding = match needs_namespace {
        true => Finding::new(Answer::NotAsked, "an ordinary user needs a user namespace for it"),
        false => (question.ask)(case),
    };
    let (errno, ours) = (finding.errno(), finding.ours());
    let calls = finding.trial.map(|trial| trial.calls).unwrap_or_default();
    let refusal = errno.map(Returned::Refused);
    let failed = calls.iter().rfind(|call| Some(call.returned) == refusal);
    // What the question knows is about this very case; the errno's causes are for the others.
    let mut found = if ours.is_empty() { finding.causes } else { ours };
    if found.is_empty() {
        found.extend(failed.into_iter().flat_map(|failed| causes::of(case, failed)));
    }
    let wanting = finding.answer != Answer::Yes;
    Check {
        id: question.id.into(),
        subject: question.subject.into(),
        title: question.title.into(),
        question: question.asks.into(),
        answer: finding.answer,
        says: finding.says,
        errno,
        decided_by: failed.or(calls.iter().rfind(|call| !clears_up(call))).map(ToString::to_string),
        tried: calls.iter().map(ToString::to_string).collect(),
        mend: found.iter().find_map(|cause| cause.mend.clone()).filter(|_| wanting),
        causes: found.into_iter().map(|cause| cause.text).filter(|_| wanting).collect(),
        costs: wanting.then(|| question.costs.into()),
        needed: match question.needed {
            Needed::Always => true,
            Needed::ByUsers => !case.privileged,
            Needed::Never => false,
        },
    }
}

/// A call that only takes away what the ones before it made.
fn clears_up(call: &Call) -> bool {
    matches!(call.name.as_str(), "rmdir" | "umount2")
}

fn judge(case: &Case, checks: &[Check]) -> Verdict {
    let ids = |wanted: fn(&Check) -> bool| -> Vec<String> {
        checks.iter().filter(|check| wanted(check)).map(|check| check.id.clone()).collect()
    };
    let mut prevented_by = ids(|check| check.needed && check.answer == Answer::No);
    if prevented_by.is_empty() {
        // What was not asked follows from what is missing; alone, it is missing itself.
        prevented_by = ids(|check| check.needed && check.answer == Answer::NotAsked);
    }
    let without = ids(|check| !check.needed && check.answer == Answer::No);
    let who = match (case.privileged, case.host.uid) {
        (true, 0) if case.host.user_namespace.initial => "as root".to_owned(),
        (true, 0) => "as root of the user namespace that we are in".to_owned(),
        (true, uid) => format!("as uid {uid}, which has CAP_SYS_ADMIN"),
        (false, 0) => "as root without CAP_SYS_ADMIN, in a user namespace".to_owned(),
        (false, uid) => {
            let user = case.host.user.clone().unwrap_or_else(|| uid.to_string());
            format!("as the ordinary user {user}, in a user namespace")
        }
    };
    let sentence = match (prevented_by.is_empty(), without.is_empty()) {
        (true, true) => format!("The default container can be built: {who}."),
        (true, false) => {
            format!("The default container can be built: {who}; it does without {}.", without.join(", "))
        }
        (false, _) => format!(
            "The default container cannot be built {who}: {} {} in its way.",
            prevented_by.join(", "),
            if prevented_by.len() == 1 { "stands" } else { "stand" }
        ),
    };
    Verdict { can: prevented_by.is_empty(), sentence, prevented_by, without }
}
