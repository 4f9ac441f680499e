//! What would have to be undone if this process died now? Each host step's inverse is written down before
//! the step is made; whoever comes next finds the journal without its owner, and undoes it.
//!
//! Next: `session`, which writes it.

use super::wire::Outcome;
use crate::kernel::Errno;
use crate::stage::Move;
use crate::step::Step;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The journal of one session: a file in the state directory, locked while its owner lives.
pub struct Journal {
    path: PathBuf,
    file: File,
    undos: Vec<Step>,
}

const LONGEST: u64 = 1 << 20;

/// Before an undo that was written down for a step which was refused then.
const NOT_MADE: &str = "-";

/// How often a lock is asked for that somebody else has.
const PATIENCE: usize = 100;

impl Journal {
    /// Make and lock the journal of the container `id`; none where its owner lives. One who sweeps may hold it for a
    /// moment, found before it was locked: that is waited for.
    pub fn create(state: &Path, id: &str) -> std::io::Result<Option<Journal>> {
        let path = state.join(id);
        std::fs::create_dir_all(state)?;
        for _ in 0..PATIENCE {
            let file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path)?;
            if !crate::kernel::lock::try_exclusive(&file)? {
                std::thread::sleep(Duration::from_millis(2));
            } else if is_at(&file, &path)? {
                return Ok(Some(Journal { path, file, undos: Vec::new() }));
            }
        }
        Ok(None)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Write down how a move is undone, before it is made; not where something of its name is there before: that is
    /// somebody else's, the kernel will say EEXIST, and it must not be removed as if it were ours.
    pub fn before(&mut self, one: &Move, step: &Step) -> std::io::Result<()> {
        match &one.undo {
            Some(undo) if !super::host::is_there(step) => self.note(undo.clone()),
            _ => Ok(()),
        }
    }

    /// What became of the move; nothing, where one before it was refused.
    pub fn after(&mut self, one: &Move, step: &Step, outcome: Option<&Outcome>) -> std::io::Result<()> {
        match (&one.undo, outcome) {
            (undo, Some(Outcome::Done | Outcome::Noted(_) | Outcome::Forked { .. })) => {
                // Undone by a later step of the plan itself: that is enough.
                self.undos.retain(|known| known != step);
                match undo {
                    // What was there before had gone when it was made: it is ours after all.
                    Some(undo) if !self.undos.contains(undo) => self.note(undo.clone()),
                    _ => Ok(()),
                }
            }
            // A file that could not be written is there, half made.
            (Some(_), Some(_)) if matches!(step, Step::Create { .. }) => Ok(()),
            (Some(undo), _) => {
                if !forget(&mut self.undos, undo) {
                    return Ok(());
                }
                // Whoever finds this journal without its owner must not take a stranger's away either.
                self.write(NOT_MADE, undo)
            }
            (None, _) => Ok(()),
        }
    }

    fn note(&mut self, undo: Step) -> std::io::Result<()> {
        let written = self.write("", &undo);
        self.undos.push(undo);
        written
    }

    fn write(&mut self, sign: &str, undo: &Step) -> std::io::Result<()> {
        self.file.write_all(format!("{sign}{}\n", serde_json::to_string(undo)?).as_bytes())
    }

    /// Undo everything, the last first, and remove the journal. What could not be undone stays written
    /// down, and is said.
    pub fn undo(mut self) -> Vec<(Step, Errno)> {
        let refused = undo_all(&mut self.undos);
        if refused.is_empty() {
            let _ = std::fs::remove_file(&self.path);
        }
        refused
    }
}

/// Whether it was there.
fn forget(undos: &mut Vec<Step>, undo: &Step) -> bool {
    let at = undos.iter().rposition(|known| known == undo);
    at.map(|at| undos.remove(at)).is_some()
}

fn undo_all(undos: &mut Vec<Step>) -> Vec<(Step, Errno)> {
    let mut refused = Vec::new();
    while let Some(undo) = undos.pop() {
        if let Err(errno) = super::host::make(&undo, None) {
            refused.push((undo, errno));
        }
    }
    refused
}

/// Whether this open file is still the one of that name.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(there) => Ok(there.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// One session that died: its id, and what could not be undone of it.
pub struct Leftover {
    pub id: String,
    pub refused: Vec<(Step, Errno)>,
}

/// Find the journals without an owner and undo them. A journal is the owner's own file in a directory that
/// nobody else can write to (`crate::host::dirs::make_ours`), so its steps are trusted; one that cannot be read is left where it is.
pub fn sweep(state: &Path) -> Vec<Leftover> {
    let Ok(entries) = std::fs::read_dir(state) else { return Vec::new() };
    entries.flatten().filter_map(|entry| sweep_one(&entry.path())).collect()
}

fn sweep_one(path: &Path) -> Option<Leftover> {
    let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    // One that is gone by now was its owner's to remove.
    if !crate::kernel::lock::try_exclusive(&file).ok()? || !is_at(&file, path).ok()? {
        return None;
    }
    // Borrowed, as the lock ends with the file.
    let mut undos: Vec<Step> = Vec::new();
    for line in BufReader::new((&file).take(LONGEST)).lines().map_while(Result::ok) {
        let not_made = line.strip_prefix(NOT_MADE);
        match (serde_json::from_str(not_made.unwrap_or(&line)), not_made) {
            (Ok(undo), None) => undos.push(undo),
            (Ok(undo), Some(_)) => _ = forget(&mut undos, &undo),
            (Err(_), _) => {}
        }
    }
    // Its owner died before it had made anything, or is just about to lock it, and will make another.
    let nothing = undos.is_empty();
    let refused = undo_all(&mut undos);
    if refused.is_empty() {
        let _ = std::fs::remove_file(path);
    }
    if nothing {
        return None;
    }
    let id = path.file_name()?.to_string_lossy().into_owned();
    Some(Leftover { id, refused })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::lock;

    fn make(path: &Path) -> Step {
        Step::Mkdir { path: path.to_owned(), mode: 0o700, exist_ok: false }
    }

    fn making(path: &Path) -> Move {
        Move::host(make(path), "").undone_by(Step::Rmdir { path: path.to_owned() })
    }

    /// How many descriptors of this process are of that file.
    fn opened(path: &Path) -> usize {
        let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        all.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|file| file == path)).count()
    }

    #[test]
    fn who_sweeps_at_this_moment_is_waited_for_and_an_owner_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("x");
        let sweeper = File::create(&path).unwrap();
        assert!(lock::try_exclusive(&sweeper).unwrap());
        let creator = std::thread::spawn({
            let state = path.parent().unwrap().to_owned();
            move || Journal::create(&state, "x").unwrap()
        });
        while opened(&path) < 2 && !creator.is_finished() {
            std::thread::yield_now();
        }
        std::fs::remove_file(&path).unwrap();
        drop(sweeper);
        let journal = creator.join().unwrap().expect("it was let go of");
        assert!(is_at(&journal.file, &path).unwrap(), "of no name any more");
        assert!(Journal::create(dir.path(), "x").unwrap().is_none(), "its owner lives");
        assert!(sweep(dir.path()).is_empty() && path.exists(), "its owner lives");
        assert!(journal.undo().is_empty());
        assert!(!path.exists());
    }

    #[test]
    fn a_sweep_tells_of_what_was_left_and_not_of_what_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let [state, left, theirs, raced] =
            ["state", "left", "theirs", "raced"].map(|name| dir.path().join(name));
        drop(Journal::create(&state, "empty").unwrap().unwrap());
        let mut journal = Journal::create(&state, "full").unwrap().unwrap();
        std::fs::create_dir(&theirs).unwrap();
        for made in [&left, &theirs, &raced] {
            journal.before(&making(made), &make(made)).unwrap();
        }
        std::fs::create_dir(&raced).unwrap();
        let refused = Outcome::Refused(Errno::EEXIST);
        journal.after(&making(&raced), &make(&raced), Some(&refused)).unwrap();
        // It is killed here.
        drop(journal);
        std::fs::create_dir(&left).unwrap();
        let told: Vec<String> = sweep(&state).into_iter().map(|leftover| leftover.id).collect();
        assert_eq!(told, ["full"]);
        assert!(!left.exists() && theirs.exists() && raced.exists());
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    }

    #[test]
    fn what_was_made_is_undone_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut journal = Journal::create(&at("state"), "x").unwrap().unwrap();
        let mut note = |name: &str, outcome: Option<Outcome>| {
            let (there, step) = (at(name), make(&at(name)));
            let one = making(&there);
            journal.before(&one, &step).unwrap();
            // In between somebody else may make it, or take it away.
            match name {
                "raced" | "overtaken" => std::fs::create_dir(&there).unwrap(),
                "gone" => std::fs::remove_dir(&there).unwrap(),
                _ => {}
            }
            if outcome == Some(Outcome::Done) {
                std::fs::create_dir(&there).unwrap();
            }
            journal.after(&one, &step, outcome.as_ref()).unwrap();
        };
        for theirs in ["before", "gone"] {
            std::fs::create_dir(at(theirs)).unwrap();
        }
        note("before", Some(Outcome::Refused(Errno::EEXIST)));
        note("raced", Some(Outcome::Refused(Errno::EEXIST)));
        note("overtaken", None);
        note("gone", Some(Outcome::Done));
        note("made", Some(Outcome::Done));
        note("removed", Some(Outcome::Done));
        // The plan itself removes it, and somebody else makes another.
        let removal = Step::Rmdir { path: at("removed") };
        journal.after(&Move::host(removal.clone(), ""), &removal, Some(&Outcome::Done)).unwrap();
        // A file that could not be written to its end is there.
        let half = Step::Create { path: at("half"), text: String::new(), owner: None };
        let one = Move::host(half.clone(), "").undone_by(Step::RemoveTree { path: at("half") });
        journal.before(&one, &half).unwrap();
        std::fs::write(at("half"), "ha").unwrap();
        journal.after(&one, &half, Some(&Outcome::Refused(Errno(28)))).unwrap();
        assert!(journal.undo().is_empty());
        let mut names: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["before", "overtaken", "raced", "removed", "state"]);
    }

    #[test]
    fn what_cannot_be_undone_stays_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let (state, made) = (dir.path().join("state"), dir.path().join("made"));
        let mut journal = Journal::create(&state, "x").unwrap().unwrap();
        let group = Step::RemoveGroup { path: made.clone() };
        journal.before(&making(&made).undone_by(group.clone()), &make(&made)).unwrap();
        std::fs::create_dir(&made).unwrap();
        std::fs::write(made.join("in the way"), "").unwrap();
        assert_eq!(journal.undo(), [(group, Errno(39))]);
        assert_eq!(sweep(&state).first().map(|leftover| leftover.refused.len()), Some(1));
        std::fs::remove_file(made.join("in the way")).unwrap();
        assert_eq!(sweep(&state).first().map(|leftover| leftover.refused.len()), Some(0));
        assert_eq!(sweep(&state).len(), 0);
        assert!(!made.exists());
    }
}
