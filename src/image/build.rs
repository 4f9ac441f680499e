//! How is a layer made so that nobody ever sees half of one? In a directory beside, renamed when it is
//! whole; the names that containers use are links, changed in one rename too.
//!
//! Next: `manifest`, which tells when this has to be done again.

use super::contents::{self, Entry, Layer};
use super::manifest::{self, Manifest, Source};
use crate::kernel::Errno;
use crate::kernel::lock::Lock;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// What could not be done to the image, and what may be the cause.
#[derive(Debug)]
pub struct Error {
    /// `open "/var/lib/learnctr/image/.new"`
    pub doing: String,
    pub path: PathBuf,
    pub errno: Errno,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "the default image cannot be made: {} {:?}: {}. ", self.doing, self.path, self.errno)?;
        f.write_str(match self.errno.name().as_str() {
            "ENOSPC" | "EDQUOT" => "Its layers need about 40 MB: free some space there.",
            "EACCES" => "Is that directory yours, and can it be written? (ls -ld)",
            "EPERM" => "To give files away takes CAP_CHOWN, and ids that are mapped in this user namespace.",
            "EROFS" => "That file system is mounted read-only.",
            _ => "With --rootfs DIR a container is built from a root file system of your own.",
        })
    }
}

impl std::error::Error for Error {}

/// Say what was being done to what.
trait Doing<T> {
    fn doing(self, doing: &str, path: &Path) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &str, path: &Path) -> Result<T, Error> {
        self.map_err(|error| Error { doing: doing.to_owned(), path: path.to_owned(), errno: error.into() })
    }
}

/// Make what is missing or outdated. Whoever comes second waits at the lock, and finds it done.
pub fn build(image: &Path, owner: Option<(u32, u32)>, progress: &mut dyn FnMut(&str)) -> Result<(), Error> {
    fs::create_dir_all(image).doing("mkdir", image)?;
    mode(image, 0o755)?;
    let lock = image.join("lock");
    let _lock = Lock::exclusive(&lock)
        .map_err(|errno| io::Error::from_raw_os_error(errno.0))
        .doing("flock", &lock)?;
    remove_unfinished(image)?;
    if manifest::is_current(image) {
        return Ok(());
    }
    let contents = contents::of_host();
    // Layers without their program would be there for all who come later.
    let program = Path::new(contents::PROGRAM);
    if contents.refused.iter().any(|(path, _)| path == program) {
        fs::read(program).and(Err(io::ErrorKind::InvalidData.into())).doing("read", program)?;
    }
    let (mut directories, mut sources) = (Vec::new(), Vec::new());
    for layer in &contents.layers {
        let from = layer_sources(layer)?;
        let directory = format!("{}.{:016x}", layer.name, digest(layer, &from));
        if !image.join(&directory).is_dir() {
            let new = image.join(format!(".new-{}", layer.name));
            let bytes = write(layer, &new, owner)?;
            fs::rename(&new, image.join(&directory)).doing("rename", &new)?;
            progress(&format!("layer {}: {} files, {} KiB", layer.name, layer.entries.len(), bytes / 1024));
        }
        let link = image.join(format!(".link-{}", layer.name));
        symlink(&directory, &link).doing("symlink", &link)?;
        fs::rename(&link, image.join(layer.name)).doing("rename", &link)?;
        directories.push(directory);
        sources.extend(from);
    }
    if !contents.missing.is_empty() {
        progress(&format!("not on this host: {}", contents.missing.join(" ")));
    }
    for (path, why) in &contents.refused {
        progress(&format!("left out: {} {why}", path.display()));
    }
    remove_old(image, &directories)?;
    let manifest = Manifest::new(directories, sources, contents.missing, contents.refused);
    let text = serde_json::to_vec(&manifest).map_err(io::Error::from).doing("write", image)?;
    let new = image.join(".new-manifest");
    fs::write(&new, text).doing("write", &new)?;
    fs::rename(&new, image.join("manifest.json")).doing("rename", &new)
}

/// The layer in a directory that did not exist; returns the bytes copied.
fn write(layer: &Layer, new: &Path, owner: Option<(u32, u32)>) -> Result<u64, Error> {
    let mut bytes = 0;
    let own = |path: &Path| match owner {
        Some((uid, gid)) => lchown(path, Some(uid), Some(gid)).doing("chown", path),
        None => Ok(()),
    };
    let make_directory = |path: &Path, bits: u32| {
        fs::create_dir(path).doing("mkdir", path)?;
        own(path)?;
        mode(path, bits)
    };
    make_directory(new, 0o755)?;
    for (inside, entry) in &layer.entries {
        let parents: Vec<_> =
            inside.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        for parent in parents.into_iter().rev().map(|parent| new.join(parent)).filter(|path| !path.exists()) {
            make_directory(&parent, 0o755)?;
        }
        let path = new.join(inside);
        match entry {
            Entry::Directory(bits) if path.exists() => mode(&path, *bits)?,
            Entry::Directory(bits) => make_directory(&path, *bits)?,
            Entry::Link(target) => {
                symlink(target, &path).and(Ok(())).doing("symlink", &path).and_then(|()| own(&path))?
            }
            Entry::Text(text) => {
                let mut file = create(&path).doing("open", &path)?;
                file.write_all(text.as_bytes()).doing("write", &path)?;
                own(&path)?;
                mode(&path, 0o644)?;
            }
            Entry::Copy(source) => {
                // By descriptor and not fs::copy, which would give a set-user-ID bit away for a moment.
                let mut from = fs::File::open(source).doing("open", source)?;
                let bits = from.metadata().doing("stat", source)?.permissions().mode();
                let mut file = create(&path).doing("open", &path)?;
                bytes += io::copy(&mut from, &mut file).doing("copy to", &path)?;
                own(&path)?;
                mode(&path, if bits & 0o111 == 0 { 0o644 } else { 0o755 })?;
            }
        }
    }
    Ok(bytes)
}

fn create(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Set outright, whatever the umask is.
fn mode(path: &Path, bits: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).doing("chmod", path)
}

fn layer_sources(layer: &Layer) -> Result<Vec<Source>, Error> {
    let copies = layer.entries.values().filter_map(|entry| match entry {
        Entry::Copy(source) => Some(source),
        _ => None,
    });
    copies.map(|source| Source::of(source).doing("stat", source)).collect()
}

/// The same contents from the same files give the same name, and are not made twice.
fn digest(layer: &Layer, sources: &[Source]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&layer.entries, sources).hash(&mut hasher);
    hasher.finish()
}

/// What a killed build left: under the lock, nobody else is at it.
fn remove_unfinished(image: &Path) -> Result<(), Error> {
    for path in names(image)? {
        if file_name(&path).starts_with('.') {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Layers of before. A running container still reads from its own: as long as any mount here or in
/// another process names this image, they stay until the next time.
fn remove_old(image: &Path, current: &[String]) -> Result<(), Error> {
    let old: Vec<_> = names(image)?
        .into_iter()
        .filter(|path| path.is_dir() && !path.is_symlink() && !current.contains(&file_name(path)))
        .collect();
    if !old.is_empty() && !in_use(image) {
        old.iter().try_for_each(|path| remove(path))?;
    }
    Ok(())
}

fn in_use(image: &Path) -> bool {
    let image = format!("{}/", image.display());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter(|process| file_name(&process.path()).parse::<u32>().is_ok()).any(|process| {
        let mounts = fs::read_to_string(process.path().join("mountinfo")).unwrap_or_default();
        mounts.lines().any(|mount| mount.contains("lowerdir") && mount.contains(&image))
    })
}

fn remove(path: &Path) -> Result<(), Error> {
    match path.is_dir() && !path.is_symlink() {
        true => fs::remove_dir_all(path).doing("remove", path),
        false => fs::remove_file(path).doing("remove", path),
    }
}

fn names(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(directory).doing("open", directory)?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
