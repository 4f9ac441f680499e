//! Which files does a program need to run? It, its loader, and every library that it or one of them names,
//! found where ld.so(8) would find them, by reading files alone: nothing of the host is run.
//!
//! Next: `contents`, which puts them into layers.

use super::elf::{self, Elf};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// One file of the host, and its place in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub source: PathBuf,
    pub place: PathBuf,
}

/// Why a program cannot come along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    Unreadable(String),
    NoElf,
    /// A library that it needs is nowhere to be found.
    Library(String),
}

impl std::fmt::Display for Absent {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Absent::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Absent::NoElf => write!(f, "is no ELF file (a script?)"),
            Absent::Library(name) => write!(f, "needs {name}, which is in no library directory"),
        }
    }
}

/// The library directories of this host, and the files read so far.
pub struct Libraries {
    /// What /etc/ld.so.conf adds: inside there is no ld.so.cache to lead there.
    configured: Vec<PathBuf>,
    read: HashMap<PathBuf, Result<Elf, Absent>>,
}

impl Libraries {
    pub fn of_host() -> Libraries {
        let mut configured = Vec::new();
        read_conf(Path::new("/etc/ld.so.conf"), &mut configured, 0);
        Libraries { configured, read: HashMap::new() }
    }

    /// A program and all that it needs. Every file keeps its path, so that `$ORIGIN` and absolute
    /// paths in it stay right; only what /etc/ld.so.conf led to moves to where the loader looks unasked.
    pub fn closure(&mut self, program: &Path) -> Result<Vec<File>, Absent> {
        let first = self.read(program)?;
        let real = fs::canonicalize(program).unwrap_or(program.to_owned());
        let mut files = vec![File { source: program.to_owned(), place: place(&real) }];
        let Some(interpreter) = first.interpreter.clone() else {
            return Ok(files);
        };
        self.read(&interpreter)?;
        files.push(File { source: interpreter.clone(), place: place(&interpreter) });
        let system = system_directories(&interpreter);
        let mut named: HashSet<String> = HashSet::from([name(&interpreter)]);
        if name(&interpreter).starts_with("ld-musl-") {
            named.insert("libc.so".to_owned());
        }
        // Who needs, and the DT_RPATHs of all who led to it.
        let mut waiting = VecDeque::from([(real, first, Vec::<PathBuf>::new())]);
        while let Some((path, needs, inherited)) = waiting.pop_front() {
            let mut rpath = origin(&needs.rpath, &path);
            rpath.extend(inherited);
            let own = origin(&needs.runpath, &path);
            for library in &needs.needed {
                if !named.insert(library.clone()) {
                    continue;
                }
                let wanted = if needs.runpath.is_empty() { &rpath } else { &own };
                let (found, parsed) = self
                    .find(library, needs.kind, wanted, &system)
                    .ok_or_else(|| Absent::Library(library.clone()))?;
                let unasked = wanted.iter().chain(&system).any(|dir| found.parent() == Some(dir));
                let inside = match (unasked, self.find("libc.so.6", needs.kind, &[], &system)) {
                    (false, Some((libc, _))) => place(&libc.with_file_name(library)),
                    _ => place(&found),
                };
                files.push(File { source: found.clone(), place: inside });
                waiting.push_back((found, parsed, rpath.clone()));
            }
        }
        Ok(files)
    }

    /// The order is ld.so(8)'s: what the file asks for, what is configured, what the system has.
    fn find(
        &mut self,
        library: &str,
        kind: (bool, u16),
        wanted: &[PathBuf],
        system: &[PathBuf],
    ) -> Option<(PathBuf, Elf)> {
        if library.contains('/') {
            return self.read(Path::new(library)).ok().map(|found| (PathBuf::from(library), found));
        }
        let configured = self.configured.clone();
        wanted.iter().chain(&configured).chain(system).find_map(|directory| {
            let path = directory.join(library);
            let found = self.read(&path).ok()?;
            (found.kind == kind).then_some((path, found))
        })
    }

    fn read(&mut self, path: &Path) -> Result<Elf, Absent> {
        if let Some(known) = self.read.get(path) {
            return known.clone();
        }
        let outcome = fs::read(path)
            .map_err(|error| Absent::Unreadable(error.to_string()))
            .and_then(|data| elf::read(&data).ok_or(Absent::NoElf));
        self.read.insert(path.to_owned(), outcome.clone());
        outcome
    }
}

/// Where a loader looks unasked. glibc's list is compiled into it, and its own directory is always one.
fn system_directories(interpreter: &Path) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let machine = std::env::consts::ARCH;
    if let Some(arch) = name(interpreter).strip_prefix("ld-musl-") {
        let arch = arch.split('.').next().unwrap_or(machine);
        let listed = fs::read_to_string(format!("/etc/ld-musl-{arch}.path")).unwrap_or_default();
        directories.extend(listed.split([':', '\n']).filter(|path| path.starts_with('/')).map(PathBuf::from));
        directories.extend(["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from));
    } else {
        for directory in ["/lib", "/usr/lib"] {
            directories.push(format!("{directory}/{machine}-linux-gnu").into());
        }
        directories.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from));
    }
    let real = fs::canonicalize(interpreter).unwrap_or_default();
    directories.extend(real.parent().map(Path::to_owned));
    directories
}

/// The directories of ld.so.conf(5), with the files that it includes: only `DIR/*.conf` is in use anywhere.
fn read_conf(path: &Path, directories: &mut Vec<PathBuf>, depth: u32) {
    let text = fs::read_to_string(path).unwrap_or_default();
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        if let Some(pattern) = line.strip_prefix("include").filter(|_| depth < 4) {
            let pattern = path.parent().unwrap_or(Path::new("/")).join(pattern.trim());
            let entries = pattern.parent().into_iter().flat_map(fs::read_dir).flatten().flatten();
            let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
            files.retain(|file| file.extension() == pattern.extension());
            files.sort();
            files.iter().for_each(|file| read_conf(file, directories, depth + 1));
        } else if line.starts_with('/') {
            directories.push(line.into());
        }
    }
}

/// `$ORIGIN` is the directory of the file that says it.
fn origin(paths: &[String], file: &Path) -> Vec<PathBuf> {
    let directory = file.parent().unwrap_or(Path::new("/")).to_string_lossy();
    let expand = |path: &String| path.replace("${ORIGIN}", &directory).replace("$ORIGIN", &directory);
    paths.iter().map(|path| normal(Path::new(&expand(path)))).collect()
}

/// A path of the host as a path inside, where /bin, /sbin, /lib… are links into /usr (hier(7)).
pub fn place(path: &Path) -> PathBuf {
    let path = normal(path);
    let merged = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
    match path.components().nth(1) {
        Some(Component::Normal(top)) if merged.iter().any(|name| top == *name) => {
            Path::new("/usr").join(path.strip_prefix("/").unwrap_or(&path))
        }
        _ => path,
    }
}

/// Without `.` and `..`, as the loader's opener would end up where no directory is a link.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::from("/"), |mut so_far, part| {
        match part {
            Component::Normal(name) => so_far.push(name),
            Component::ParentDir => drop(so_far.pop()),
            _ => {}
        }
        so_far
    })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    // The loader itself is asked too, through ldd(1).
    use super::*;
    use std::process::Command;

    fn sh(directory: &Path, script: &str) -> Option<String> {
        let output = Command::new("sh").args(["-ec", script]).current_dir(directory).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// As the loader is asked: the paths behind `=>`, made normal.
    fn ldd(program: &Path) -> Vec<PathBuf> {
        let script = format!("LC_ALL=C ldd '{}'", program.display());
        let said = sh(Path::new("/"), &script).unwrap_or_default();
        let paths = said.lines().filter_map(|line| line.split("=> ").nth(1)?.split(" (").next());
        paths.map(|path| place(Path::new(path))).collect()
    }

    #[test]
    fn origin_rpath_and_runpath_lead_where_the_loader_goes() {
        let directory = tempfile::tempdir().unwrap();
        let build = "mkdir -p bin lib/deep far
            echo 'int far(void) { return 3; }' > far.c
            echo 'int far(void); int deep(void) { return far(); }' > deep.c
            echo 'int deep(void); int first(void) { return deep(); }' > first.c
            echo 'int first(void); int main(void) { return first(); }' > main.c
            cc -shared -fPIC -o far/libfar.so far.c
            cc -shared -fPIC -o lib/deep/libdeep.so deep.c -Wl,--no-as-needed -Lfar -lfar
            cc -shared -fPIC -o lib/libfirst.so first.c -Llib/deep -ldeep -Wl,--disable-new-dtags,-rpath,'$ORIGIN/deep'
            cc -o bin/by-rpath main.c -Llib -lfirst -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib:'\"$PWD/far\" \
                -Wl,--allow-shlib-undefined
            cc -o bin/by-runpath main.c -Llib -lfirst -Wl,--enable-new-dtags,-rpath,'${ORIGIN}/../lib' \
                -Wl,--allow-shlib-undefined
            ln -s by-rpath bin/link";
        if sh(directory.path(), build).is_none() {
            return println!("skipped: no C compiler on this host");
        }
        let mut libraries = Libraries::of_host();
        let program = directory.path().join("bin/link");
        let files = libraries.closure(&program).unwrap();
        let mut found: Vec<_> = files[2..].iter().map(|file| file.place.clone()).collect();
        let mut witness = ldd(&program);
        found.sort();
        witness.sort();
        assert_eq!(found, witness);
        assert!(
            found.iter().any(|path| path.ends_with("far/libfar.so")),
            "inherited from the program: {found:?}"
        );
        assert_eq!(files[0].place.file_name().unwrap(), "by-rpath", "a link's target keeps its path");
        // A DT_RUNPATH is not inherited, so nothing leads to libfar; the loader says the same.
        let program = directory.path().join("bin/by-runpath");
        assert_eq!(libraries.closure(&program), Err(Absent::Library("libfar.so".into())));
        assert!(
            sh(Path::new("/"), &format!("ldd '{}' | grep 'libfar.so => not found'", program.display()))
                .is_some()
        );
    }

    /// As on NixOS: a loader at a path of its own, which is also where its libraries are.
    #[test]
    fn a_loader_elsewhere_keeps_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let build = "echo 'int main(void) { return 0; }' > main.c
            cc -o plain main.c
            mkdir store
            cp -L \"$(ldd ./plain | sed -n 's/^[[:space:]]*\\(\\/[^ ]*\\) .*/\\1/p')\" store/ld.so
            cc -o nix main.c -Wl,--dynamic-linker=\"$PWD/store/ld.so\"";
        if sh(directory.path(), build).is_none() {
            return println!("skipped: no C compiler on this host");
        }
        let files = Libraries::of_host().closure(&directory.path().join("nix")).unwrap();
        assert_eq!(files[1].place, directory.path().join("store/ld.so"));
        assert!(files.iter().any(|file| file.place.ends_with("libc.so.6")), "{files:?}");
    }

    #[test]
    fn what_ld_so_conf_led_to_moves_beside_libc() {
        let directory = tempfile::tempdir().unwrap();
        let build = "echo 'int odd(void) { return 0; }' > odd.c; cc -shared -fPIC -o libodd.so odd.c
            echo 'int odd(void); int main(void) { return odd(); }' > main.c; cc -o program main.c -L. -lodd
            mkdir conf.d; pwd > conf.d/odd.conf; echo '# nothing' > conf.d/other.txt
            echo 'include conf.d/*.conf' > ld.so.conf; echo 'include ld.so.conf' >> ld.so.conf";
        if sh(directory.path(), build).is_none() {
            return println!("skipped: no C compiler on this host");
        }
        let mut libraries = Libraries::of_host();
        let program = directory.path().join("program");
        assert_eq!(libraries.closure(&program), Err(Absent::Library("libodd.so".into())));
        read_conf(&directory.path().join("ld.so.conf"), &mut libraries.configured, 0);
        let files = libraries.closure(&program).unwrap();
        let place = |name: &str| {
            files.iter().find(|file| file.place.ends_with(name)).map(|file| file.place.clone()).unwrap()
        };
        assert_eq!(place("libodd.so").parent(), place("libc.so.6").parent());
    }

    #[test]
    fn directories_of_old_lead_into_usr() {
        assert_eq!(place(Path::new("/lib64/ld.so")), Path::new("/usr/lib64/ld.so"));
        assert_eq!(place(Path::new("/bin/../lib/./a")), Path::new("/usr/lib/a"));
        assert_eq!(place(Path::new("/nix/store/x/bin/ls")), Path::new("/nix/store/x/bin/ls"));
        assert_eq!(place(Path::new("/../..")), Path::new("/"));
    }
}
