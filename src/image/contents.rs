//! What belongs into each layer? `base`: the directories, a few files of /etc, and sh. `tools`: what one
//! looks around with. `app`: a web server, which is this program under another name.
//!
//! Next: `build`, which makes them; `crate::app`, the web server.

use super::libraries::{File, Libraries, place};
use crate::app::start;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One name in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    Directory(u32),
    /// A symbolic link, with its target.
    Link(PathBuf),
    Text(String),
    /// A copy of this file of the host.
    Copy(PathBuf),
}

/// One layer: paths inside (without the leading slash) and what is there.
#[derive(Default)]
pub struct Layer {
    pub name: &'static str,
    pub entries: BTreeMap<PathBuf, Entry>,
}

/// All layers, and what this host does not have.
pub struct Contents {
    pub layers: [Layer; 3],
    /// Tools that are nowhere: looked for again at each run.
    pub missing: Vec<String>,
    /// Tools that are there and cannot be taken, with the reason.
    pub refused: Vec<(PathBuf, String)>,
}

/// The first that is there; PATH inside is the caller's own affair, outside it may be anything.
const TOOL_DIRECTORIES: [&str; 7] = [
    "/run/current-system/sw/bin",
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/usr/local/bin",
    "/run/current-system/profile/bin",
];

const TOOLS: &str = "[ capsh cat chgrp chmod chown chroot cp cut date dd df dmesg echo env expr false find findmnt \
    free getpcaps grep head hostname id ip kill ln ls lsns mkdir mkfifo mknod mktemp mount mountpoint mv nice \
    nproc nsenter pgrep ping pkill printf prlimit ps pwd readlink realpath rm rmdir sed seq setpriv sleep sort \
    ss stat stty sync sysctl tail tee test timeout top touch tr true tty umount uname unshare uptime wc whoami";

const DIRECTORIES: [&str; 18] = [
    "app",
    "dev",
    "etc",
    "home",
    "mnt",
    "opt",
    "proc",
    "run",
    "srv",
    "sys",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "usr/local/bin",
    "usr/sbin",
    "var/lib",
    "var/log",
    "var/cache",
];

const LINKS: [(&str, &str); 6] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("var/run", "../run"),
    ("etc/mtab", "../proc/self/mounts"),
];

/// hostname, hosts and resolv.conf are there to be mounted over, as Docker's images have them.
const TEXTS: [(&str, &str); 8] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("etc/os-release", "ID=learnctr\nNAME=learnctr\nPRETTY_NAME=\"learnctr, from this host's own tools\"\n"),
    ("etc/hostname", ""),
    ("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n"),
    ("etc/resolv.conf", ""),
    ("etc/shells", "/bin/sh\n"),
];

/// What a small file of the image will hold, known before there is one.
pub fn text(path: &str) -> Option<&'static str> {
    let file = path.trim_start_matches('/');
    TEXTS.iter().find(|(name, _)| *name == file).map(|(_, text)| *text)
}

/// What terminals need to be drawn on; the first directory that has them.
const TERMINFO: [&str; 3] = ["/lib/terminfo", "/usr/share/terminfo", "/etc/terminfo"];
const TERMINALS: [&str; 7] =
    ["d/dumb", "l/linux", "s/screen", "s/screen-256color", "t/tmux-256color", "x/xterm", "x/xterm-256color"];

pub const PAGE: &str = include_str!("../app/index.html");

/// Where a tool of this name is.
pub fn find_tool(name: &str) -> Option<PathBuf> {
    TOOL_DIRECTORIES.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// This very program, also when its file has been replaced since it was started.
pub const PROGRAM: &str = "/proc/self/exe";

/// What this host gives for each layer.
pub fn of_host() -> Contents {
    let mut contents = Contents {
        layers: super::LAYERS.map(|name| Layer { name, ..Layer::default() }),
        missing: Vec::new(),
        refused: Vec::new(),
    };
    let mut libraries = Libraries::of_host();
    contents.base();
    contents.tool(0, "sh", &mut libraries);
    // dlopen'ed by glibc before 2.34 to read /etc/passwd; in libc itself since.
    let nss = contents.layers.iter().flat_map(|layer| layer.entries.values()).find_map(|entry| match entry {
        Entry::Copy(source) if source.ends_with("libc.so.6") => {
            Some(source.with_file_name("libnss_files.so.2"))
        }
        _ => None,
    });
    if let Some(files) = nss.and_then(|path| libraries.closure(&path).ok()) {
        contents.files(0, files);
    }
    for tool in TOOLS.split_whitespace() {
        contents.tool(1, tool, &mut libraries);
    }
    for terminal in TERMINALS {
        let found = TERMINFO.iter().map(|dir| Path::new(dir).join(terminal)).find(|path| path.is_file());
        if let Some(source) = found {
            contents.files(1, vec![File { place: place(&source), source }]);
        }
    }
    contents.web(Path::new(PROGRAM), &mut libraries);
    contents
}

impl Contents {
    fn base(&mut self) {
        for path in DIRECTORIES {
            self.put(0, path, Entry::Directory(0o755));
        }
        for (path, mode) in [("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777)] {
            self.put(0, path, Entry::Directory(mode));
        }
        for (path, target) in LINKS {
            self.put(0, path, Entry::Link(target.into()));
        }
        for (path, text) in TEXTS {
            self.put(0, path, Entry::Text(text.to_owned()));
        }
        let musl = fs::read_dir("/etc").into_iter().flatten().flatten().map(|entry| entry.path());
        for path in musl.filter(|path| path.extension().is_some_and(|end| end == "path")) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-musl-")) {
                self.put(0, path.strip_prefix("/").unwrap_or(&path), Entry::Copy(path.clone()));
            }
        }
    }

    /// A tool keeps its path; where that is not in PATH, or under another name, a link leads to it.
    fn tool(&mut self, layer: usize, name: &str, libraries: &mut Libraries) {
        let Some(found) = find_tool(name).or_else(|| applet(name)) else {
            return self.missing.push(name.to_owned());
        };
        let files = match libraries.closure(&found) {
            Ok(files) => files,
            Err(why) => return self.refused.push((found, why.to_string())),
        };
        let Some(real) = files.first().map(|file| file.place.clone()) else { return };
        self.files(layer, files);
        let link = match found.parent().is_some_and(|dir| dir.ends_with("sbin")) {
            true => Path::new("/usr/sbin").join(name),
            false => Path::new("/usr/bin").join(name),
        };
        if link != real {
            let same = real.parent() == link.parent();
            let target = real.file_name().filter(|_| same).map(PathBuf::from).unwrap_or(real);
            self.put(layer, link.strip_prefix("/").unwrap_or(&link), Entry::Link(target));
        }
    }

    fn web(&mut self, web: &Path, libraries: &mut Libraries) {
        match libraries.closure(web) {
            Ok(files) => {
                self.files(2, files.get(1..).unwrap_or_default().to_vec());
                self.put(2, "app/web", Entry::Copy(web.to_owned()));
            }
            Err(why) => self.refused.push((web.to_owned(), why.to_string())),
        }
        self.put(2, "app/www/index.html", Entry::Text(PAGE.to_owned()));
        for (path, text) in start::FILES {
            self.put(2, path, Entry::Text(text.to_owned()));
        }
    }

    fn files(&mut self, layer: usize, files: Vec<File>) {
        for file in files {
            self.put(layer, file.place.strip_prefix("/").unwrap_or(&file.place), Entry::Copy(file.source));
        }
    }

    /// What a lower layer has already is not put again.
    fn put(&mut self, layer: usize, path: impl AsRef<Path>, entry: Entry) {
        let path = path.as_ref();
        if self.layers.iter().take(layer).any(|lower| lower.entries.contains_key(path)) {
            return;
        }
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.entries.entry(path.to_owned()).or_insert(entry);
        }
    }
}

/// busybox, if it has an applet of this name: their table in it is one NUL after each.
fn applet(name: &str) -> Option<PathBuf> {
    let busybox = find_tool("busybox")?;
    let data = fs::read(&busybox).ok()?;
    let entry = [b"\0", name.as_bytes(), b"\0"].concat();
    data.windows(entry.len()).any(|window| window == entry).then_some(busybox)
}
