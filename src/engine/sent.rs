//! What has the child been sent and not answered yet? The session need not wait for each answer: while the child
//! works, the host's own steps go on, and the child finds its next batch as soon as it is done with one.
//!
//! Next: `session`, which sends and collects.

use super::wire::{Answer, Answers, Outcome, Sent};
use crate::kernel::Errno;
use crate::kernel::channel::{Channel, Received};
use crate::plan::Plan;
use crate::stage::Move;
use crate::step::Step;
use std::os::fd::OwnedFd;

/// Which move of which stage.
#[derive(Clone, Copy)]
pub struct Place {
    pub stage: usize,
    pub number: usize,
}

/// Moves that were sent, in order, each with its answer once that is there.
#[derive(Default)]
pub struct Outstanding<'a> {
    /// The number of the first of these moves among all that were ever sent.
    first: usize,
    moves: Vec<(Place, &'a Move)>,
    answers: Vec<Option<Answer>>,
    /// Nobody is there any more to answer.
    lost: bool,
}

/// What the child came to: the moves with their answers, and whether it has closed its end.
pub struct Came<'a> {
    pub moves: Vec<(Place, &'a Move, Option<Answer>)>,
    pub ended: bool,
    /// What it passed along: its terminal.
    pub passed: Option<OwnedFd>,
}

impl<'a> Outstanding<'a> {
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// Send these moves; they are made when all sent before them are, unless one of those is refused.
    pub fn send(
        &mut self,
        channel: &Channel,
        listen: bool,
        moves: &[(Place, &'a Move)],
    ) -> Result<(), Errno> {
        let steps: Vec<&Step> = moves.iter().map(|(_, one)| &one.step).collect();
        let first = self.first + self.moves.len();
        match channel.send(&Sent { listen, first, steps: &steps }, &[]) {
            Ok(()) => {}
            // Only that nobody is at the other end means that it died.
            Err(Errno::EPIPE | Errno::ECONNRESET) => self.lost = true,
            Err(errno) => return Err(errno),
        }
        self.moves.extend(moves);
        self.answers.resize_with(self.moves.len(), || None);
        Ok(())
    }

    /// Wait until everything is answered, or one is refused, or nobody is there any more.
    pub fn collect(&mut self, channel: &Channel) -> Came<'a> {
        let (mut ended, mut passed) = (self.lost, None);
        while !ended && !self.is_settled() {
            match channel.receive::<Answers>() {
                Ok(Received::Message(message, fds)) => {
                    passed = fds.into_iter().next().or(passed);
                    let at = message.first.checked_sub(self.first).unwrap_or(usize::MAX);
                    for (slot, answer) in self.answers.iter_mut().skip(at).zip(message.answers) {
                        *slot = Some(answer);
                    }
                }
                Ok(Received::End) | Err(_) => ended = true,
            }
        }
        self.first += self.moves.len();
        let moves = std::mem::take(&mut self.moves).into_iter().zip(std::mem::take(&mut self.answers));
        Came { moves: moves.map(|((place, one), answer)| (place, one, answer)).collect(), ended, passed }
    }

    /// The new process may be quicker to answer than its maker: what came before a refusal is waited for.
    fn is_settled(&self) -> bool {
        for answer in &self.answers {
            match answer {
                None => return false,
                Some(answer) if matches!(answer.outcome, Outcome::Refused(_)) => return true,
                Some(_) => {}
            }
        }
        true
    }
}

/// The container's directories are wanted by its mounts, not by its namespaces: where nobody looks on, they are made
/// while the child clones. Where a group comes between the two, it stays so: the group is undone first, and whoever is
/// still in it ended, before the directories go.
pub fn clone_first<'m, 'a>(moves: &'m mut [(Place, &'a Move)], plan: &Plan) -> &'m [(Place, &'a Move)] {
    let id =
        |(place, _): &(Place, &Move)| plan.stages.get(place.stage).map_or("", |planned| planned.stage.id);
    let image = moves.iter().take_while(|one| id(one) == "image").count();
    let clones = |one: &&(Place, &Move)| matches!(id(one), "userns" | "clone");
    let clone = moves.iter().skip(image).take_while(clones).count();
    if let Some(both) = moves.get_mut(..image + clone) {
        both.rotate_left(image);
    }
    moves
}
