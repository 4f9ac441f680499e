//! What does the kernel say to those who stand inside? The helper's part: it has joined (see `join`) and
//! now reads, without allocating, what only an inhabitant sees, as raw bytes. What they mean is found
//! outside, by `crate::probes`.
//!
//! Nothing from inside is executed or followed out of the root, only regular files are read, and never
//! for longer than `join` waits.

use super::parts::{Part, Writer};
use super::{Errno, netread};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A directory with more entries than this is shown in part.
const MOST_ENTRIES: usize = 256;
/// With more processes than this they are counted, not named.
const MOST_NAMED: usize = 32;
const MOST_COUNTED: usize = 4096;

pub fn hostname(writer: &mut Writer) {
    writer.part(Part::Hostname, 256, |room| copy(room, rustix::system::uname().nodename().to_bytes()));
}

/// A file of /proc/PID, opened now: the ids in `status` are written as this user namespace has them,
/// the path in `cgroup` as this cgroup namespace has it.
pub fn own_file(writer: &mut Writer, part: Part, process: BorrowedFd, name: &CStr) {
    writer.part(part, 64 << 10, |room| {
        read_all(rustix::fs::openat(process, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?, room)
    });
}

/// A small regular file; a fifo or a device that stands in its place is not read.
pub fn small_file(writer: &mut Writer, part: Part, path: &CStr) {
    writer.part(part, 4096, |room| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => read_all(file, room),
            _ => Err(Errno::EINVAL),
        }
    });
}

/// The entries of a directory: type and, for a device, its numbers; for a link, where it leads. `stat`: look at
/// each, since the directory does not know what is mounted on a name, as Docker and bubblewrap do with
/// devices; but a stat(2) of a mount point can wait for whoever serves it, so not in `/`.
pub fn entries(writer: &mut Writer, part: Part, path: &CStr, stat: bool) {
    writer.part(part, 64 << 10, |room| {
        let dir = open_dir(path)?;
        let mut names = [MaybeUninit::uninit(); 8192];
        let mut list = RawDir::new(&dir, &mut names);
        let (mut used, mut count) = (0, 0);
        while let Some(entry) = list.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            count += 1;
            let mut numbers = [entry.file_type().as_raw_mode(), 0, 0, 0, 0];
            let mut link_room = [MaybeUninit::uninit(); 1024];
            let mut link: &[u8] = &[];
            let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
            if stat && let Ok(stat) = rustix::fs::statat(&dir, name, flags) {
                let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                numbers = [stat.st_mode, major, minor, stat.st_uid, stat.st_gid];
            }
            if entry.file_type() == FileType::Symlink
                && let Ok((target, _)) = rustix::fs::readlinkat_raw(&dir, name, &mut link_room)
            {
                link = target;
            }
            let full = count > MOST_ENTRIES;
            if full || !put(room, &mut used, &numbers, &[name.to_bytes(), link]) {
                put(room, &mut used, &[0; 5], &[b"", b""]);
                break;
            }
        }
        Ok(used)
    });
}

/// The processes that /proc in there shows: how many, and if they are few, number and name of each. On a host
/// with hundreds the names would cost more than the rest of a view, and say nothing of a container.
pub fn processes(writer: &mut Writer) {
    writer.part(Part::Processes, 8 << 10, |room| {
        let dir = open_dir(c"/proc")?;
        let mut names = [MaybeUninit::uninit(); 8192];
        let mut list = RawDir::new(&dir, &mut names);
        let mut first = [[0; 12]; MOST_NAMED];
        let mut count = 0;
        while let Some(entry) = list.next() {
            let entry = entry?;
            let number = entry.file_name().to_bytes_with_nul();
            if !number.first().is_some_and(u8::is_ascii_digit) || count >= MOST_COUNTED {
                continue;
            }
            if let Some(place) = first.get_mut(count) {
                copy(place, number)?;
            }
            count += 1;
        }
        let mut used = copy(room, &(count as u32).to_ne_bytes())?;
        if count <= MOST_NAMED {
            for number in first.iter().take(count).filter_map(|name| CStr::from_bytes_until_nul(name).ok()) {
                let mut comm = [0; 32];
                let length = comm_of(&dir, number, &mut comm).unwrap_or(0);
                put(room, &mut used, &[], &[number.to_bytes(), comm.get(..length).unwrap_or(&[])]);
            }
        }
        Ok(used)
    });
}

pub fn network(writer: &mut Writer) {
    for (part, kind) in [
        (Part::Links, netread::Dump::Links),
        (Part::Addresses, netread::Dump::Addresses),
        (Part::Routes, netread::Dump::Routes),
    ] {
        writer.part(part, 128 << 10, |room| netread::dump(kind, room));
    }
}

fn comm_of(proc: &OwnedFd, number: &CStr, room: &mut [u8]) -> Result<usize, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let process = rustix::fs::openat(proc, number, flags, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    read_all(rustix::fs::openat(&process, c"comm", flags, Mode::empty())?, room)
}

fn open_dir(path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

fn read_all(file: OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    let mut used = 0;
    while let Some(rest) = room.get_mut(used..)
        && !rest.is_empty()
    {
        match rustix::io::read(&file, rest) {
            Ok(0) => break,
            Ok(count) => used += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(used)
}

fn copy(room: &mut [u8], bytes: &[u8]) -> Result<usize, Errno> {
    room.get_mut(..bytes.len()).ok_or(Errno::EFBIG)?.copy_from_slice(bytes);
    Ok(bytes.len())
}

/// One record: the numbers, then each text with its length before it. False when there is no room for it.
fn put(room: &mut [u8], used: &mut usize, numbers: &[u32], texts: &[&[u8]]) -> bool {
    let size = numbers.len() * 4 + texts.iter().map(|text| 4 + text.len()).sum::<usize>();
    let Some(mut place) = room.get_mut(*used..).and_then(|rest| rest.get_mut(..size)) else { return false };
    let mut add = |bytes: &[u8]| {
        if let Some((head, tail)) = std::mem::take(&mut place).split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            place = tail;
        }
    };
    numbers.iter().for_each(|number| add(&number.to_ne_bytes()));
    for text in texts {
        add(&(text.len() as u32).to_ne_bytes());
        add(text);
    }
    *used += size;
    true
}
