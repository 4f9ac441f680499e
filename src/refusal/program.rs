//! Which program would execve(2) have run, and what is wrong with it? The name is looked up as the child
//! does it, in the root that the child has.
//!
//! Next: [`super::groups`].

use super::Scene;
use crate::image::elf;
use crate::kernel::fs::{self, Opened};
use crate::step::{At, Command, Step};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What stands where the command's program should.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// In none of PATH's directories, or not at the path that was given.
    Nowhere,
    Directory(PathBuf),
    /// A file without permission to execute it.
    NotExecutable(PathBuf),
    /// On a mount that forbids it (noexec).
    NoExec(PathBuf),
    /// A script, and whether its interpreter is missing.
    Script(PathBuf, PathBuf, bool),
    /// An ELF program whose loader is missing: dynamically linked, without its libraries.
    NoLoader(PathBuf, PathBuf),
    /// An ELF program for another processor.
    Foreign(PathBuf),
    /// No ELF file, and no `#!` in its first line.
    NoFormat(PathBuf),
    /// Nothing is wrong with it.
    Fine(PathBuf),
}

/// No program is longer than that which may be read to see what it wants.
const LONGEST: u64 = 64 << 20;

impl Scene<'_> {
    pub fn command(&self) -> Option<&Command> {
        match self.step() {
            Step::Exec(command) => Some(command),
            _ => None,
        }
    }

    /// PATH as the command's environment has it.
    pub fn search_path(&self) -> &str {
        let env = self.command().map_or(&[][..], |command| &command.env);
        env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or("/bin:/usr/bin")
    }

    /// What would have been executed: of a name in PATH, the first that is there.
    pub fn program(&self) -> Option<Found> {
        let name = self.command()?.args.first()?;
        let directory = self.made().rev().find_map(|step| match step {
            Step::WorkingDirectory { path, .. } => Some(path.clone()),
            _ => None,
        });
        let directory = directory.unwrap_or_else(|| "/".into());
        let candidates: Vec<PathBuf> = match name.contains('/') {
            true => vec![directory.join(name)],
            false => self.search_path().split(':').map(|dir| directory.join(dir).join(name)).collect(),
        };
        let mut worst = Found::Nowhere;
        for path in candidates {
            let Ok(file) = self.look(&At::Host(path.clone()))? else { continue };
            match self.examine(path, &file)? {
                // The search goes on after what may not be executed (execvp(3)).
                refused @ (Found::Directory(_) | Found::NotExecutable(_) | Found::NoExec(_)) => {
                    worst = refused
                }
                other => return Some(other),
            }
        }
        Some(worst)
    }

    fn examine(&self, path: PathBuf, file: &Opened) -> Option<Found> {
        let about = std::fs::metadata(file.magic()).ok()?;
        if about.is_dir() {
            return Some(Found::Directory(path));
        }
        if !about.is_file() || !self.may(&about, 0o1)? {
            return Some(Found::NotExecutable(path));
        }
        if self.mount_of(&path).is_some_and(|mount| mount.has("noexec")) {
            return Some(Found::NoExec(path));
        }
        let mut content = Vec::new();
        std::fs::File::open(file.magic()).ok()?.take(LONGEST).read_to_end(&mut content).ok()?;
        if let Some(line) = content.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let text = String::from_utf8_lossy(line);
            let interpreter = PathBuf::from(text.split_whitespace().next().unwrap_or_default());
            let missing = self.look(&At::Host(interpreter.clone()))?.is_err();
            return Some(Found::Script(path, interpreter, missing));
        }
        let Some(program) = elf::read(&content) else { return Some(Found::NoFormat(path)) };
        if self.own_machine().is_some_and(|machine| machine != program.kind.1) {
            return Some(Found::Foreign(path));
        }
        match program.interpreter {
            Some(loader) if self.look(&At::Host(loader.clone()))?.is_err() => {
                Some(Found::NoLoader(path, loader))
            }
            _ => Some(Found::Fine(path)),
        }
    }

    /// The machine of our own program's file, e_machine of elf(5).
    fn own_machine(&self) -> Option<u16> {
        let mut header = Vec::new();
        std::fs::File::open("/proc/self/exe").ok()?.take(20).read_to_end(&mut header).ok()?;
        Some(u16::from_ne_bytes([*header.get(18)?, *header.get(19)?]))
    }

    pub fn program_is(&self, fits: fn(&Found) -> bool) -> Option<bool> {
        self.program().map(|found| fits(&found))
    }
}

impl Found {
    pub fn path(&self) -> Option<&Path> {
        match self {
            Found::Nowhere => None,
            Found::Directory(path)
            | Found::NotExecutable(path)
            | Found::NoExec(path)
            | Found::Script(path, ..)
            | Found::NoLoader(path, _)
            | Found::Foreign(path)
            | Found::NoFormat(path)
            | Found::Fine(path) => Some(path),
        }
    }

    pub fn interpreter(&self) -> Option<&Path> {
        match self {
            Found::Script(_, interpreter, _) | Found::NoLoader(_, interpreter) => Some(interpreter),
            _ => None,
        }
    }
}

/// A directory's descriptor is all that is needed to ask what a name in it is.
pub fn is_character_device(scene: &Scene, at: &At, major: u32, minor: u32) -> Option<bool> {
    let file = scene.look(at)?.ok()?;
    Some(fs::fstat(&file).ok()?.is_char(major, minor))
}
