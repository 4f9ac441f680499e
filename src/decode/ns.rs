//! In which namespaces is a process, which of them are ours too, who owns each, and who else is there?
//!
//! Next: `seccomp`.

use crate::kernel::{Errno, nsfs};
use crate::probes::Answer;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

/// The kinds that a process is in; the two `_for_children` are left to `learnctr view`.
pub const KINDS: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Namespaces {
    pub pid: i32,
    /// The process that looks.
    pub reader: i32,
    pub namespaces: BTreeMap<String, Answer<Namespace>>,
    /// Processes whose links could not be read: they may be in any of these.
    pub unread: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Namespace {
    /// As /proc has it: `net:[4026531833]`.
    pub link: String,
    /// Is the reader in it too?
    pub ours: bool,
    /// The user namespace that owns it (NS_GET_USERNS), by its inode number.
    pub owner: Answer<u64>,
    /// For PID and user namespaces, the one it was made in (NS_GET_PARENT).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Answer<u64>>,
    /// For a user namespace, who made it (NS_GET_OWNER_UID).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_uid: Option<Answer<u32>>,
    /// How many processes are in it, and the first of them by number and name.
    pub processes: usize,
    pub first: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Member {
    pub pid: i32,
    pub name: String,
}

/// So many are named.
const NAMED: usize = 6;

/// The namespaces of a process; an errno when there is no such process.
pub fn decode(pid: i32) -> Result<Namespaces, Errno> {
    fs::metadata(format!("/proc/{pid}")).map_err(|_| Errno::ESRCH)?;
    let reader = std::process::id() as i32;
    let mut members: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    let mut unread = 0;
    for process in processes() {
        let links: Vec<String> = KINDS.iter().filter_map(|kind| link(process, kind).ok()).collect();
        // One that has ended meanwhile is nowhere.
        if links.is_empty() && fs::metadata(format!("/proc/{process}")).is_ok() {
            unread += 1;
        }
        for link in links {
            members.entry(link).or_default().push(process);
        }
    }
    let namespaces = KINDS
        .iter()
        .map(|kind| ((*kind).to_owned(), answer(namespace(pid, reader, kind, &members))))
        .collect();
    Ok(Namespaces { pid, reader, namespaces, unread })
}

fn namespace(
    pid: i32,
    reader: i32,
    kind: &str,
    members: &BTreeMap<String, Vec<i32>>,
) -> Result<Namespace, Errno> {
    let link = link(pid, kind)?;
    let file = File::open(format!("/proc/{pid}/ns/{kind}")).map_err(Errno::from);
    let ask = |file: &Result<File, Errno>, question: fn(&File) -> Result<u64, Errno>| {
        answer(file.as_ref().map_err(|errno| *errno).and_then(question))
    };
    let inside = members.get(&link).map(Vec::as_slice).unwrap_or_default();
    let member = |&pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Member { pid, name: name.trim().to_owned() }
    };
    Ok(Namespace {
        ours: self::link(reader, kind) == Ok(link.clone()),
        owner: ask(&file, nsfs::owner),
        parent: matches!(kind, "pid" | "user").then(|| ask(&file, nsfs::parent)),
        owner_uid: (kind == "user")
            .then(|| answer(file.as_ref().map_err(|errno| *errno).and_then(nsfs::owner_uid))),
        processes: inside.len(),
        first: inside.iter().take(NAMED).map(member).collect(),
        link,
    })
}

fn answer<T>(read: Result<T, Errno>) -> Answer<T> {
    read.map_or_else(Answer::Refused, Answer::Value)
}

fn link(pid: i32, kind: &str) -> Result<String, Errno> {
    Ok(fs::read_link(format!("/proc/{pid}/ns/{kind}"))?.to_string_lossy().into_owned())
}

fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The inode number of one of this process's own namespaces, to name it in an answer.
pub fn own(kind: &str) -> Option<u64> {
    fs::metadata(format!("/proc/self/ns/{kind}")).ok().map(|about| about.ino())
}
