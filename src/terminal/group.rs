//! How are seventy calls shown in twenty lines? Those of one kind once, with what differs in the others.
//!
//! Next: `stage`, which shows them.

use crate::plan::PrintedMove;
use crate::stage::Side;

/// Moves of one side that make the same call for the same reason.
#[derive(Debug, PartialEq)]
pub struct Group<'a> {
    pub side: Side,
    /// The first in full.
    pub first: &'a str,
    pub count: usize,
    /// What stands in the others where they differ.
    pub others: Vec<&'a str>,
    pub why: String,
}

/// The call's name: what stands before the parenthesis.
pub fn name(step: &str) -> &str {
    step.split('(').next().unwrap_or(step)
}

/// "the group for pids" and "the group for memory" are one reason: all but the last word.
fn opening(why: &str) -> &str {
    why.rsplit_once(' ').map_or(why, |(opening, _)| opening)
}

/// In the order of the first of each.
pub fn moves(moves: &[PrintedMove]) -> Vec<Group<'_>> {
    let mut groups: Vec<Vec<&PrintedMove>> = Vec::new();
    for one in moves {
        let same = |known: &&mut Vec<&PrintedMove>| {
            known.first().is_some_and(|first| {
                first.side == one.side
                    && name(&first.step) == name(&one.step)
                    && opening(&first.why) == opening(&one.why)
            })
        };
        match groups.iter_mut().find(same) {
            Some(known) => known.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups.iter().filter_map(|group| told(group)).collect()
}

fn told<'a>(group: &[&'a PrintedMove]) -> Option<Group<'a>> {
    let first = *group.first()?;
    let steps: Vec<&str> = group.iter().map(|one| one.step.as_str()).collect();
    // Where they differ in two arguments the first one tells them apart.
    let differing = differing(&steps).into_iter().map(|part| part.split('"').next().unwrap_or(part));
    let mut others: Vec<&str> = differing.skip(1).collect();
    others.retain(|other| !other.is_empty());
    others.dedup();
    let same_why = group.iter().all(|one| one.why == first.why);
    let why = if same_why { first.why.clone() } else { format!("{} …", opening(&first.why)) };
    Some(Group { side: first.side, first: &first.step, count: group.len(), others, why })
}

/// The part of each text in which they differ, cut where a word of strace's grammar begins and ends.
fn differing<'a>(texts: &[&'a str]) -> Vec<&'a str> {
    let Some((first, rest)) = texts.split_first() else { return Vec::new() };
    let ends = |at: usize| first.get(..at).is_some_and(|head| head.ends_with(BOUNDARIES));
    let same = |other: &str| first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let head = rest.iter().map(|other| same(other)).min().unwrap_or(0);
    let head = (0..=head).rev().find(|at| ends(*at)).unwrap_or(0);
    let begins = |at: usize| first.get(at..).is_some_and(|tail| tail.starts_with(BOUNDARIES));
    let shortest = texts.iter().map(|text| text.len()).min().unwrap_or(0).saturating_sub(head);
    let same = |other: &str| first.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
    let tail = rest.iter().map(|other| same(other)).min().unwrap_or(0).min(shortest);
    let tail = (0..=tail).rev().find(|tail| begins(first.len() - tail)).unwrap_or(0);
    texts.iter().map(|text| text.get(head..text.len() - tail).unwrap_or(text)).collect()
}

const BOUNDARIES: [char; 4] = ['"', '/', '(', ')'];

#[cfg(test)]
mod tests {
    use super::*;

    fn one(step: &str, why: &str) -> PrintedMove {
        PrintedMove { side: Side::Host, step: step.to_owned(), why: why.to_owned(), undo: None }
    }

    #[test]
    fn many_of_a_kind_are_one_with_what_differs() {
        let all = [
            one("mkdirat(AT_FDCWD, \"/sys/fs/cgroup/pids/x\", 0o755)", "the group for pids"),
            one("write(\"/sys/fs/cgroup/pids/x/pids.max\", \"100\")", "a limit"),
            one("mkdirat(AT_FDCWD, \"/sys/fs/cgroup/memory/x\", 0o755)", "the group for memory"),
            one("mkdirat(AT_FDCWD, \"/sys/fs/cgroup/cpu/x\", 0o755)", "the group for cpu"),
        ];
        let groups = moves(&all);
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].count, &groups[0].others), (3, &vec!["memory", "cpu"]));
        assert_eq!(groups[0].why, "the group for …");
        assert_eq!((groups[1].count, groups[1].others.len()), (1, 0));
    }

    #[test]
    fn no_text_is_cut_in_a_letter() {
        assert_eq!(differing(&["w(\"/ä\")", "w(\"/ö\")"]), ["ä", "ö"]);
        assert_eq!(differing(&["same(1)", "same(1)"]), ["", ""]);
        assert_eq!(differing(&[]), Vec::<&str>::new());
        assert_eq!(differing(&["a", ""]), ["a", ""]);
    }
}
