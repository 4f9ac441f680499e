//! What will be done? Every stage with its moves, for one container: pure data, made without privilege and
//! without touching anything.
//!
//! Next: `engine::session`, which walks it.

use crate::kernel::bpf::explore::Verdict;
use crate::stage::{Ground, Move, Planned, Side, Stage};
use crate::stages;
use oci_spec::runtime::LinuxNamespaceType as Ns;
use schemars::JsonSchema;
use serde::Serialize;

/// All stages with their moves, for one container.
#[derive(Clone)]
pub struct Plan {
    /// The container's id.
    pub id: String,
    pub stages: Vec<Planned>,
    /// The stages that were asked to be left out.
    pub left_out: Vec<String>,
}

/// A stage that cannot be left out, or is not there to be stopped at, and why not.
#[derive(Debug, PartialEq)]
pub struct NoSuchPlan(pub String);

impl std::fmt::Display for NoSuchPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for NoSuchPlan {}

/// Stages that nothing can stand on if they are missing.
const NEEDED: [(&str, &str); 3] = [
    (
        "clone",
        "every later stage would act on your host's own namespaces instead of the container's; leave out one \
               namespace with --pid host, --uts host, --ipc host or --network host",
    ),
    ("exec", "a plan without a command builds nothing that runs; stop before it with --until"),
    ("remove", "it would leave the container's directories and group on your machine"),
];

/// Namespaces without which later stages change the host, when they are root's.
const HARMFUL: [(&str, &str); 3] = [
    ("clone-mnt", "the mounts and the root"),
    ("clone-uts", "the name"),
    ("clone-net", "the interfaces and routes"),
];

impl Plan {
    pub fn make(ground: &Ground) -> Result<Plan, NoSuchPlan> {
        for skip in &ground.ways.skip {
            if let Some((id, why)) = NEEDED.iter().find(|(id, _)| id == skip) {
                return Err(NoSuchPlan(format!("the stage {id} cannot be skipped: {why}")));
            }
            // In a user namespace of its own the kernel refuses what follows: then leaving it out is a lesson.
            if ground.ways.one_by_one
                && !stages::userns::is_apart(ground)
                && let Some((id, what)) = HARMFUL.iter().find(|(id, _)| id == skip)
            {
                return Err(NoSuchPlan(format!(
                    "the stage {id} cannot be skipped: {what} would be your host's own; with --userns private the kernel \
                     refuses to touch it, and says so"
                )));
            }
            if !stages::TABLE.iter().any(|stage| stage.id == skip) {
                return Err(NoSuchPlan(no_such_stage(skip)));
            }
            if skip.starts_with("clone-") && !ground.ways.one_by_one {
                let why = "stands by itself with --one-by-one only: else one clone(2) makes all namespaces";
                return Err(NoSuchPlan(format!("the stage {skip} {why}")));
            }
        }
        let stages = order(ground)
            .into_iter()
            .filter(|stage| !ground.ways.skip.iter().any(|skip| skip == stage.id))
            .map(|stage| Planned {
                stage,
                moves: (stage.moves)(ground),
                notes: ground.container.notes_of(stage.id).map(str::to_owned).collect(),
            })
            .filter(|planned| !planned.moves.is_empty() || !planned.notes.is_empty())
            .collect();
        let stages = with_the_command(stages, ground);
        Ok(Plan { id: ground.container.id.clone(), stages, left_out: ground.ways.skip.clone() })
    }

    /// Where a stage is in this plan.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.stages.iter().position(|planned| planned.stage.id == id)
    }

    /// The same; one that is not in this plan is an error that says which are.
    pub fn find(&self, id: &str) -> Result<usize, NoSuchPlan> {
        let here = || self.stages.iter().map(|planned| planned.stage.id).collect::<Vec<_>>().join(", ");
        self.position(id).ok_or_else(|| {
            NoSuchPlan(format!("the stage {id} is not in this plan; its stages are: {}", here()))
        })
    }

    /// The plan as it is printed and recorded.
    pub fn printed(&self) -> Printed {
        Printed {
            container: self.id.clone(),
            stages: self.stages.iter().map(PrintedStage::from).collect(),
            left_out: self.left_out.clone(),
        }
    }
}

pub fn no_such_stage(id: &str) -> String {
    let known: Vec<&str> = stages::TABLE.iter().map(|stage| stage.id).collect();
    format!("there is no stage called {id:?}; the stages are: {}", known.join(", "))
}

/// The table's order, but for what the kernel or the options turn round.
fn order(ground: &Ground) -> Vec<&'static Stage> {
    let mut order: Vec<&'static Stage> = stages::TABLE.to_vec();
    // With CLONE_INTO_CGROUP the group must be there before the process.
    if stages::clone::into_cgroup(ground).is_some() {
        put_before(&mut order, "cgroup", if ground.ways.one_by_one { "clone-mnt" } else { "clone" });
    }
    // Loading a filter takes CAP_SYS_ADMIN, which the stage caps takes away, or no_new_privs, after which
    // nothing else has to be allowed any more.
    if !stages::seccomp::no_new_privs(ground) {
        put_before(&mut order, "seccomp", "caps");
    }
    order
}

/// A filter that does not even allow the calls by which the child waits for its next step is loaded in one
/// breath with the command: there is no pause between the two.
fn with_the_command(mut stages: Vec<Planned>, ground: &Ground) -> Vec<Planned> {
    let Some((program, _)) = &ground.choices.filter else { return stages };
    let filter = [&program.0];
    let refused = |name: &&str| {
        let verdict = crate::kernel::seccomp::ask(&filter, name);
        !matches!(verdict, Some(Verdict::Always(action)) if action.lets_through())
    };
    let Some(first) = ["recvmsg", "sendmsg"].iter().find(|name| refused(name)) else { return stages };
    let at = |id: &str| stages.iter().position(|planned| planned.stage.id == id);
    if let (Some(from), Some(to)) = (at("seccomp"), at("exec"))
        && from + 1 == to
    {
        let filter = stages.remove(from);
        if let Some(exec) = stages.get_mut(from) {
            exec.notes.push(format!(
                "the stage seccomp is played with this one: the filter refuses {first}, by which this process waits for its next step"
            ));
            exec.notes.extend(filter.notes);
            exec.moves.splice(0..0, filter.moves);
        }
    }
    stages
}

fn put_before(order: &mut Vec<&'static Stage>, id: &str, other: &str) {
    if let Some(from) = order.iter().position(|stage| stage.id == id) {
        let stage = order.remove(from);
        let to = order.iter().position(|stage| stage.id == other).unwrap_or(from);
        order.insert(to, stage);
    }
}

/// Does the container get its own namespace of this kind, new or joined?
pub fn has(ground: &Ground, kind: Ns) -> bool {
    ground.container.has(kind)
}

/// A plan as JSON: what would be called, by whom and why.
#[derive(Clone, Debug, Serialize, serde::Deserialize, JsonSchema)]
pub struct Printed {
    /// The container's id.
    pub container: String,
    pub stages: Vec<PrintedStage>,
    /// The stages that were asked to be left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

#[derive(Clone, Debug, Serialize, serde::Deserialize, JsonSchema)]
pub struct PrintedStage {
    pub stage: String,
    pub title: String,
    pub question: String,
    pub why: String,
    pub man: Vec<String>,
    /// A command that shows the difference when run on the host and inside: its arguments.
    #[serde(default)]
    pub observe: Vec<String>,
    pub notes: Vec<String>,
    pub moves: Vec<PrintedMove>,
}

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
pub struct PrintedMove {
    pub side: Side,
    /// The step in strace's grammar; `{pid}` is the process that becomes the container.
    pub step: String,
    pub why: String,
    /// What takes it back, for a step that changes the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

impl From<&Move> for PrintedMove {
    fn from(one: &Move) -> PrintedMove {
        PrintedMove {
            side: one.side,
            step: one.step.to_string(),
            why: one.why.to_string(),
            undo: one.undo.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Planned> for PrintedStage {
    fn from(planned: &Planned) -> PrintedStage {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        PrintedStage {
            stage: planned.stage.id.to_owned(),
            title: planned.stage.title.to_owned(),
            question: planned.stage.question.to_owned(),
            why: planned.stage.why.to_owned(),
            man: texts(planned.stage.man),
            observe: texts(planned.stage.observe),
            notes: planned.notes.clone(),
            moves: planned.moves.iter().map(PrintedMove::from).collect(),
        }
    }
}
