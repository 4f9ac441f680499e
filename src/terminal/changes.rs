//! What of two hundred changes should one look at first? One line counts them all; below it the few that say
//! most about isolation. The whole is in `diff`.
//!
//! Next: `report`.

use super::palette::DIM;
use super::stage::prose;
use super::text::Line;
use crate::diff::{Change, Diff, Sign};
use anstyle::Style;

/// What says most comes first; what is not named here says little.
const TELLING: [&str; 23] = [
    "namespaces",
    "uid_map",
    "gid_map",
    "capabilities",
    "no_new_privs",
    "seccomp",
    "root",
    "layers",
    "hostname",
    "interfaces",
    "routes",
    "host_network",
    "cgroups",
    "pids",
    "ids",
    "mounts",
    "files",
    "limits",
    "executable",
    "state",
    "devices",
    "processes",
    "oom_score_adj",
];

/// So many things of one probe, and so many lines in all.
const EACH: usize = 5;
const MOST: usize = 10;

/// The summary and the most telling changes.
pub fn telling(diff: Option<&Diff>, seen: bool, width: usize) -> Vec<Line> {
    let Some(diff) = diff else {
        if !seen {
            return prose(DIM, 2, "there is no process any more to look at", width);
        }
        return prose(
            DIM,
            2,
            "this is the first look: what comes is compared with it (key v shows the view)",
            width,
        );
    };
    let summary = super::diff::summary(diff);
    if summary.is_empty() {
        return prose(DIM, 2, "nothing changed that a view shows", width);
    }
    let mut lines = prose(Style::new(), 2, &summary, width);
    let text = super::diff::render(&few(diff), width.saturating_sub(2));
    let shown: Vec<&str> = text.lines().collect();
    if !shown.is_empty() {
        lines.push(Line::default());
    }
    for line in shown.iter().take(MOST) {
        let columns = anstream::adapter::strip_str(line).to_string().chars().count();
        lines.push(Line { styled: format!(" {line}"), columns: columns + 1 });
    }
    let all = diff.changes.iter().filter(|change| !change.volatile).count();
    if shown.len() > MOST || few(diff).changes.len() < all {
        lines.extend(prose(DIM, 2, "… key d shows every change", width));
    }
    lines
}

/// Of each probe the first things, the most telling probes first.
fn few(diff: &Diff) -> Diff {
    let rank = |change: &Change| TELLING.iter().position(|probe| *probe == change.probe);
    let mut changes: Vec<&Change> =
        diff.changes.iter().filter(|change| !change.volatile && rank(change).is_some()).collect();
    // Of a group the limits say more than where it is.
    changes.sort_by_key(|change| (rank(change), !change.path.iter().any(|part| part == "limits")));
    let mut few: Vec<Change> = Vec::new();
    for change in changes {
        let same = |known: &&Change| known.probe == change.probe && known.vantage == change.vantage;
        let mut items: Vec<_> = few.iter().filter(same).map(Change::item).collect();
        items.dedup();
        // What is gone is counted in the summary; what is there now can be looked at.
        let gone = change.sign == Sign::Removed && change.probe == "mounts";
        if (items.len() < EACH || items.contains(&change.item())) && !gone {
            few.push(change.clone());
        }
    }
    Diff { changes: few }
}
