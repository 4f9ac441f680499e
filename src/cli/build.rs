//! The options that `step`, `run` and `plan` share: how a container is to be built.

use crate::plan::{Plan, no_such_stage};
use crate::prepare::{Prepared, Purpose};
use crate::spec::Options;
use crate::stage::Ways;
use crate::stages;

/// How to build it.
#[derive(clap::Args, Clone)]
pub struct Build {
    #[command(flatten)]
    pub options: Options,

    /// Leave this stage out, and see what that breaks; may be given more than once
    #[arg(long, value_name = "STAGE", help_heading = "Stages", value_parser = stage)]
    pub skip: Vec<String>,

    /// chroot(2) in place of pivot_root(2)
    #[arg(long, help_heading = "Stages")]
    pub chroot: bool,

    /// One namespace flag a stage, in place of a single clone(2)
    #[arg(long, help_heading = "Stages")]
    pub one_by_one: bool,
}

/// A stage's id, as an option's value.
pub fn stage(id: &str) -> Result<String, String> {
    stages::find(id).map(|stage| stage.id.to_owned()).ok_or_else(|| no_such_stage(id))
}

impl Build {
    /// Ask the machine what the plan needs, and make it.
    pub fn plan(&self, purpose: Purpose) -> super::Result<(Prepared, Plan)> {
        let ways = Ways { chroot: self.chroot, one_by_one: self.one_by_one, skip: self.skip.clone() };
        let prepared = Prepared::new(&self.options, ways, purpose)?;
        let plan = Plan::make(&prepared.ground())?;
        Ok((prepared, plan))
    }
}
