//! Where in the tree of processes does it stand? Its ancestors and its descendants from outside; from inside,
//! whom /proc in there shows.

use super::{entries, status, text};
use crate::kernel::{Errno, dir::Dir};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tree {
    /// From process 1, or the first that can be seen, down to its parent.
    pub ancestors: Vec<Named>,
    /// By number, as the reader has it.
    pub children: BTreeMap<String, Child>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    pub pid: i32,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Child {
    pub name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: BTreeMap<String, Child>,
}

/// A tree is shown so far; systemd's own would cost more than all else.
const MOST_CHILDREN: usize = 32;
const MOST_DEEP: usize = 8;

/// `except` is the reader's own helper, which would else be seen in every tree that the reader is in.
pub fn tree(process: &Dir, parent: i32, except: Option<i32>) -> Result<Tree, Errno> {
    let mut left = MOST_CHILDREN;
    Ok(Tree { ancestors: ancestors(parent), children: children(process, except, &mut left, MOST_DEEP)? })
}

fn ancestors(mut parent: i32) -> Vec<Named> {
    let mut found = Vec::new();
    while parent > 0 && found.len() < MOST_CHILDREN {
        let Ok(dir) = Dir::open(&format!("/proc/{parent}")) else { break };
        let Ok(stat) = dir.read("stat").map(|bytes| text(&bytes)) else { break };
        let Ok((name, _)) = status::parse_stat(&stat) else { break };
        found.push(Named { pid: parent, name });
        let after = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parent = after.unwrap_or(0);
    }
    found.reverse();
    found
}

/// Each thread has children of its own (proc_tid_children(5)).
fn children(
    process: &Dir,
    except: Option<i32>,
    left: &mut usize,
    deep: usize,
) -> Result<BTreeMap<String, Child>, Errno> {
    let mut found = BTreeMap::new();
    for thread in process.names("task", 256)?.0 {
        let list = process.read(&format!("task/{}/children", text(&thread)))?;
        for number in text(&list).split_whitespace() {
            let Ok(pid) = number.parse::<i32>() else { continue };
            if *left == 0 || deep == 0 {
                return Ok(found);
            }
            if Some(pid) == except {
                continue;
            }
            let Ok(dir) = Dir::open(&format!("/proc/{number}")) else { continue };
            let Ok(name) = dir.read("comm") else { continue };
            *left -= 1;
            let children = children(&dir, except, left, deep - 1).unwrap_or_default();
            found.insert(number.to_owned(), Child { name: text(&name).trim_end().to_owned(), children });
        }
    }
    Ok(found)
}

/// What /proc shows inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    pub count: u32,
    /// Number and name of each, as long as they are few.
    pub named: BTreeMap<String, String>,
}

/// The helper's record: the count, then number and name of each.
pub fn parse_seen(bytes: &[u8]) -> Result<Seen, Errno> {
    let ([count], mut rest) = entries::numbers::<1>(bytes).ok_or(Errno::ENODATA)?;
    let mut named = BTreeMap::new();
    while let Some((number, tail)) = entries::counted(rest)
        && let Some((name, tail)) = entries::counted(tail)
    {
        named.insert(text(number), text(name).trim_end().to_owned());
        rest = tail;
    }
    Ok(Seen { count, named })
}
