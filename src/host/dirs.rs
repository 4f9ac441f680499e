//! Where are our files? Images, which are kept, and the state of containers, which a reboot may take.
//!
//! Next: [`super::cgroup`].

use crate::kernel::ident;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The directories that hold our files. Before anything in them is believed, [`make_ours`] checks them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dirs {
    /// Images and layers: /var/lib/learnctr, or `$XDG_DATA_HOME/learnctr` (~/.local/share/learnctr).
    /// `LEARNCTR_DATA` says otherwise.
    pub data: PathBuf,
    /// What there is while a container is: /run/learnctr, or `$XDG_RUNTIME_DIR/learnctr`.
    /// `LEARNCTR_STATE` says otherwise.
    pub state: PathBuf,
}

impl Dirs {
    pub fn look(uid: u32, home: Option<PathBuf>) -> Dirs {
        // What is not there yet can be made where it would be.
        let exists = |path: &&Path| path.exists();
        let writable =
            |path: &Path| path.ancestors().find(exists).is_some_and(|path| ident::writable(path).is_ok());
        Dirs::choose(uid, home, |name| std::env::var_os(name), writable)
    }

    fn choose(
        uid: u32,
        home: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
        writable: impl Fn(&Path) -> bool,
    ) -> Dirs {
        // The XDG rules: what is not absolute does not count.
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let asked = |name: &str| variable(name).filter(|value| !value.is_empty()).map(absolute_path);
        let temporary = || PathBuf::from(format!("/tmp/learnctr-{uid}"));
        // uid 0 of a user namespace that maps nobody else is not the machine's root: see what it may write.
        let system =
            |dir: &str| (uid == 0 && writable(Path::new(dir))).then(|| Path::new(dir).join("learnctr"));
        let data = || {
            let home = absolute("HOME").or(home).filter(|home| home.is_absolute() && writable(home));
            let data_home = absolute("XDG_DATA_HOME").or(home.map(|home| home.join(".local/share")));
            data_home.map(|dir| dir.join("learnctr"))
        };
        let state = || {
            // After su(1) the variable may still name the other user's.
            [absolute("XDG_RUNTIME_DIR"), Some(format!("/run/user/{uid}").into())]
                .into_iter()
                .flatten()
                .find(|dir| writable(dir))
                .map(|dir| dir.join("learnctr"))
        };
        Dirs {
            data: asked("LEARNCTR_DATA")
                .or_else(|| system("/var/lib"))
                .or_else(data)
                .unwrap_or_else(|| temporary().join("data")),
            state: asked("LEARNCTR_STATE")
                .or_else(|| system("/run"))
                .or_else(state)
                .unwrap_or_else(|| temporary().join("state")),
        }
    }
}

/// Refuse a directory of ours in which another user could have put something: what lies in it is believed.
/// The steps of a journal are made by whoever finds it, with all that they may, and a layer is a container's root.
/// So nobody else may write to it, or put another one in its place; /tmp with its sticky bit is fine. What is
/// not there yet is made, if it can be.
pub fn make_ours(dir: &Path, mode: u32) -> Result<(), String> {
    // What keeps it from being made is said by the step that needs it.
    let _ = DirBuilder::new().recursive(true).mode(mode).create(dir);
    let Ok(dir) = dir.canonicalize() else { return Ok(()) };
    let about = |path: &Path| path.metadata().map(|about| (about.uid(), about.mode()));
    let uid = ident::effective_ids().0;
    // Root's number, which is another one in a user namespace that does not map it.
    let root = about(Path::new("/")).map_or(0, |(root, _)| root);
    for path in dir.ancestors() {
        let Ok((owner, mode)) = about(path) else { continue };
        let own = path == dir;
        let (others, sticky) = (mode & if own { 0o022 } else { 0o002 } != 0, mode & 0o1000 != 0 && !own);
        let trusted = owner == uid || !own && (owner == root || owner == 0);
        if !trusted || others && !sticky {
            let (dir, path) = (dir.display(), path.display());
            return Err(format!(
                "{dir}: another user could have put something there: {path} is user {owner}'s with mode {:#o}\n  \
                 next: name directories of your own in LEARNCTR_DATA and LEARNCTR_STATE, or make this one yours alone: \
                 `chown {uid} {path}; chmod go-w {path}`",
                mode & 0o7777
            ));
        }
    }
    Ok(())
}

fn absolute_path(path: OsString) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(uid: u32, variables: &[(&str, &str)], writable: &[&str]) -> (String, String) {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        let dirs = Dirs::choose(uid, None, variable, |path| writable.iter().any(|w| Path::new(w) == path));
        (dirs.data.display().to_string(), dirs.state.display().to_string())
    }

    #[test]
    fn root_has_the_machine_s_places() {
        let (data, state) = dirs(0, &[("HOME", "/root")], &["/var/lib", "/run", "/root"]);
        assert_eq!((&*data, &*state), ("/var/lib/learnctr", "/run/learnctr"));
    }

    #[test]
    fn root_of_a_mere_user_namespace_has_the_user_s() {
        let (data, state) = dirs(0, &[("HOME", "/home/ann")], &["/home/ann"]);
        assert_eq!((&*data, &*state), ("/home/ann/.local/share/learnctr", "/tmp/learnctr-0/state"));
    }

    #[test]
    fn a_user_s_runtime_directory_counts_only_if_it_is_theirs() {
        let variables = [("HOME", "/home/ann"), ("XDG_RUNTIME_DIR", "/run/user/7"), ("XDG_DATA_HOME", "rel")];
        let (data, state) = dirs(1000, &variables, &["/home/ann", "/run/user/1000"]);
        assert_eq!((&*data, &*state), ("/home/ann/.local/share/learnctr", "/run/user/1000/learnctr"));
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_not_ours() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let (open, state) = (place.path().join("open"), place.path().join("open/state"));
        make_ours(&state, 0o700).unwrap();
        assert_eq!(state.metadata().unwrap().mode() & 0o777, 0o700);
        let mode =
            |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        mode(&state, 0o770);
        assert!(make_ours(&state, 0o700).unwrap_err().contains("mode 0o770"));
        mode(&state, 0o755);
        make_ours(&state, 0o700).unwrap();
        // Whoever may write above it can put another one there, unless the bit is set that /tmp has.
        mode(&open, 0o777);
        assert!(make_ours(&state, 0o700).unwrap_err().contains("open is user"));
        mode(&open, 0o1777);
        make_ours(&state, 0o700).unwrap();
        // Somebody else's is not ours, however tight.
        let theirs = match ident::effective_ids().0 {
            0 => {
                std::os::unix::fs::chown(&state, Some(1), None).unwrap();
                state.as_path()
            }
            _ => Path::new("/usr"),
        };
        assert!(
            make_ours(theirs, 0o700).unwrap_err().contains("another user could have put something there")
        );
        // The directory itself is nobody else's to write to, sticky or not.
        assert!(make_ours(&open, 0o700).is_err());
    }

    #[test]
    fn what_is_asked_for_wins_and_is_absolute() {
        let (data, state) =
            dirs(0, &[("LEARNCTR_DATA", "/d"), ("LEARNCTR_STATE", "s")], &["/var/lib", "/run"]);
        assert_eq!(data, "/d");
        assert!(state.starts_with('/') && state.ends_with("/s"), "{state}");
    }
}
