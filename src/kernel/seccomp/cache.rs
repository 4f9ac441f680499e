//! Why generate a filter twice? It takes longer than all other calls of a container together, so the
//! finished program is kept in a file. Whatever is doubtful about the file, the filter is generated anew.
//!
//! Next: `super::super::bpf`.

use super::{Error, Program, compile, library_version};
use crate::kernel::bpf;
use crate::spec::seccomp::{DOCKER_PROFILE, docker_default};
use oci_spec::runtime::{Arch, Capability, LinuxSeccomp};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// `compile`, or what it gave the last time for the same profile, libseccomp, architecture and version.
pub fn compile_cached(profile: &LinuxSeccomp, cache_dir: &Path) -> Result<Program, Error> {
    // Equal text is what makes a hit; a profile that cannot be written as JSON is not kept.
    match serde_json::to_string(profile) {
        Ok(text) => kept(&key(&text), cache_dir, || compile(profile)),
        Err(_) => compile(profile),
    }
}

/// Docker's default profile for these capabilities; at a hit the profile is not even parsed.
pub fn default_cached(
    caps: &[Capability],
    kernel: (u32, u32),
    arch: Arch,
    cache_dir: &Path,
) -> Result<Program, Error> {
    let mut names: Vec<String> = caps.iter().map(|cap| cap.to_string()).collect();
    names.sort();
    const PROFILE: u64 = fnv(DOCKER_PROFILE.as_bytes());
    let question = format!("docker {PROFILE:016x} {:?} {arch} {}", kernel, names.join(","));
    kept(&key(&question), cache_dir, || {
        let profile =
            docker_default(caps, kernel, arch).map_err(|error| Error::Profile(error.to_string()))?;
        compile(&profile)
    })
}

/// All that a filter depends on. It is kept with the filter and compared, so that two questions with one
/// hash are still two: a profile made to collide with another gains nothing.
fn key(question: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("learnctr {version}, libseccomp {}, {}\n{question}", library_version(), std::env::consts::ARCH)
}

const MAGIC: &[u8] = b"learnctr filter 2\n";
/// Far beyond any profile with its 4096 instructions.
const MAX_FILE: u64 = 1 << 20;

fn kept(key: &str, dir: &Path, make: impl FnOnce() -> Result<Program, Error>) -> Result<Program, Error> {
    let path = dir.join(format!("{:016x}.seccomp", fnv(key.as_bytes())));
    if let Some(program) = read(&path, key) {
        return Ok(program);
    }
    let program = make()?;
    // A cache that cannot be written is only slow.
    let _ = write(&path, dir, key, &program);
    Ok(program)
}

fn read(path: &Path, key: &str) -> Option<Program> {
    // O_NONBLOCK: a FIFO in its place must not hold us.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let about = file.metadata().ok()?;
    let ours = about.is_file() && about.uid() == nix::unistd::geteuid().as_raw() && about.mode() & 0o022 == 0;
    if !ours || about.len() > MAX_FILE {
        return None;
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    parse(&bytes, key)
}

/// Magic, the hash of all that follows, flags, the key and the unknown names with their lengths, then the
/// instructions.
fn parse(bytes: &[u8], key: &str) -> Option<Program> {
    let (hash, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    if fnv(rest) != u64::from_ne_bytes(*hash) {
        return None;
    }
    let (flags, rest) = rest.split_first_chunk::<4>()?;
    let (its_key, rest) = part(rest)?;
    let (unknown, rest) = part(rest)?;
    if its_key != key.as_bytes() {
        return None;
    }
    let filter = bpf::from_bytes(rest)?;
    bpf::check(&filter).ok()?;
    let unknown = std::str::from_utf8(unknown).ok()?.split_terminator('\n').map(str::to_owned).collect();
    Some(Program { filter, flags: u32::from_ne_bytes(*flags), unknown })
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_ne_bytes(*length) as usize)
}

fn write(path: &Path, dir: &Path, key: &str, program: &Program) -> std::io::Result<()> {
    // Ours alone, but not what is above it: a container's root, another user outside, passes through there.
    if let Some(above) = dir.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o711).create(above)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let unknown: String = program.unknown.iter().flat_map(|name| [name, "\n"]).collect();
    let mut bytes = program.flags.to_ne_bytes().to_vec();
    for text in [key, &unknown] {
        bytes.extend((text.len() as u32).to_ne_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(bpf::to_bytes(&program.filter));
    let bytes = [MAGIC, &fnv(&bytes).to_ne_bytes(), &bytes].concat();

    // Whole or not at all, also beside another of us.
    let part: PathBuf = path.with_extension(format!("{}.part", std::process::id()));
    let _ = fs::remove_file(&part);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(&bytes).and_then(|()| fs::rename(&part, path)).inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}

/// FNV-1a, for the name of a file and against one that was cut off: it must be the same tomorrow, no more.
const fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}
