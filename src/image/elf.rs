//! What does a program's file say that it needs? Its interpreter (the loader, ld.so(8)) and the names of
//! its libraries, with the places where it wants them looked for: elf(5).
//!
//! Next: `libraries`, which looks there.

use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, StringTable, elf};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What the loader reads of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// Word size and machine: the loader passes over a library of another kind.
    pub kind: (bool, u16),
    /// PT_INTERP; none for a library, and for a static program.
    pub interpreter: Option<PathBuf>,
    /// DT_NEEDED, in order.
    pub needed: Vec<String>,
    /// DT_RPATH, which the libraries of this file inherit; of no effect where there is a DT_RUNPATH.
    pub rpath: Vec<String>,
    /// DT_RUNPATH, for the libraries that this file itself names.
    pub runpath: Vec<String>,
}

/// Read a file's needs; none where it is no ELF file, or a broken one.
pub fn read(data: &[u8]) -> Option<Elf> {
    match FileKind::parse(data).ok()? {
        FileKind::Elf64 => parse::<elf::FileHeader64<Endianness>>(data),
        FileKind::Elf32 => parse::<elf::FileHeader32<Endianness>>(data),
        _ => None,
    }
}

/// By the program headers alone, as the loader does: a stripped file need not have sections.
fn parse<File: FileHeader<Endian = Endianness>>(data: &[u8]) -> Option<Elf> {
    let header = File::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let mut found = Elf {
        kind: (header.is_type_64(), header.e_machine(endian).0),
        interpreter: None,
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
    };
    let mut dynamic: &[File::Dyn] = &[];
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, data).ok()? {
            found.interpreter = Some(PathBuf::from(OsString::from_vec(path.to_vec())));
        }
        if let Some(table) = segment.dynamic(endian, data).ok()? {
            dynamic = table;
        }
    }
    let entries = || dynamic.iter().take_while(|entry| entry.tag(endian) != elf::DT_NULL);
    let value = |tag| entries().find(|entry| entry.tag(endian) == tag).map(|entry| entry.val(endian));
    let strings = match (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) {
        (Some(address), Some(size)) => segments
            .iter()
            .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
            .find_map(|segment| segment.data_range(endian, data, address, size).ok().flatten())?,
        _ => return Some(found),
    };
    let strings = StringTable::new(strings, 0, strings.len() as u64);
    for entry in entries() {
        let list = match entry.tag(endian) {
            elf::DT_NEEDED => &mut found.needed,
            elf::DT_RPATH => &mut found.rpath,
            elf::DT_RUNPATH => &mut found.runpath,
            _ => continue,
        };
        let text = u32::try_from(entry.val(endian)).ok().and_then(|offset| strings.get(offset).ok());
        list.push(String::from_utf8_lossy(text?).into_owned());
    }
    let split = |list: Vec<String>| -> Vec<String> {
        list.iter().flat_map(|path| path.split(':')).filter(|path| !path.is_empty()).map(Into::into).collect()
    };
    found.rpath = split(found.rpath);
    found.runpath = split(found.runpath);
    if !found.runpath.is_empty() {
        found.rpath.clear();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sh_names_its_loader_and_libc() {
        let sh = read(&std::fs::read("/bin/sh").unwrap()).unwrap();
        assert!(sh.interpreter.is_some_and(|path| path.is_absolute()));
        assert!(sh.needed.iter().any(|name| name.starts_with("libc.")), "{:?}", sh.needed);
        assert_eq!(read(b"#!/bin/sh\n"), None);
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_read_or_refused(
            damage in prop::collection::vec((0usize..4096, any::<u8>()), 1..40),
            length in 0usize..200_000,
        ) {
            let mut sh = std::fs::read("/bin/sh").unwrap();
            damage.iter().for_each(|(at, byte)| sh[*at] = *byte);
            sh.truncate(length);
            let _ = read(&sh);
        }
    }
}
