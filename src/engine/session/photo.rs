//! What does the kernel say now? It is asked when a stage has been played, and once more whenever the learner wants it:
//! a shell inside changes the container while the session stands still.
//!
//! Next: `crate::trace`, which has both as events.

use super::{Recording, Session, heard};
use crate::diff::{Diff, diff};
use crate::engine::look;
use crate::trace::Event;
use crate::view::KernelView;

impl Session<'_> {
    /// The view, and what changed since the one before. What ended meanwhile was looked at half gone: that is no view.
    pub(super) fn photo(&mut self) -> (Option<KernelView>, Option<Diff>) {
        let looks = self.recording == Recording::Views && self.ended.is_none();
        let view = if looks { look::look(self.pid()).filter(|_| !self.has_ended()) } else { None };
        let changed = view.as_ref().and_then(|now| self.view.as_ref().map(|before| diff(before, now)));
        if view.is_some() {
            self.view.clone_from(&view);
        }
        (view, changed)
    }

    /// Look again while the session stands still after this stage. When nobody asked for it, only what has changed is worth
    /// an event.
    pub fn look_again(&mut self, stage: usize, asked: bool) {
        let Some(planned) = self.plan.stages.get(stage) else { return };
        let stage = planned.stage.id.to_owned();
        self.has_ended();
        let (view, diff) = self.photo();
        heard();
        if asked || diff.as_ref().is_some_and(|diff| diff.changes.iter().any(|change| !change.volatile)) {
            self.tell(|| Event::Looked { stage, view: view.map(Box::new), diff });
        }
    }
}
