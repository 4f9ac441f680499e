//! How does cgroup v2 refuse a device? A program of type BPF_PROG_TYPE_CGROUP_DEVICE, attached to the
//! group, is asked at each mknod and open (bpf(2)). These are its instructions.
//!
//! Next: `crate::engine`, which attaches it.

use super::{ALL, Error, Kind, Rule, rules};
use crate::kernel::Errno;
use crate::kernel::call::call;
use oci_spec::runtime::LinuxDeviceCgroup;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One instruction; the layout is that of `struct bpf_insn` (linux/bpf.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    pub code: u8,
    /// Destination in the low four bits, source in the high ones.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

const LDX_W: u8 = 0x61;
const RSH32: u8 = 0x74;
const AND32: u8 = 0x54;
const MOV32_X: u8 = 0xbc;
const MOV64: u8 = 0xb7;
// The 32-bit comparisons, Linux 5.1.
const JNE: u8 = 0x56;
const JSET: u8 = 0x46;
const JA: u8 = 0x05;
const EXIT: u8 = 0x95;

// R1 comes with the struct bpf_cgroup_dev_ctx, R0 goes with the answer: 1 yes, 0 no.
const R0: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// The bits of the access that no rule has allowed yet.
const OPEN: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

fn insn(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Insn {
    let registers = if cfg!(target_endian = "little") { to | from << 4 } else { to << 4 | from };
    Insn { code, registers, offset, immediate }
}

/// The program that the rules mean. The last rule counts, so it is asked first: one that refuses a bit
/// still open ends with no, one that allows the last of them with yes; what stays open is refused.
pub fn program(of: &[LinuxDeviceCgroup]) -> Result<Vec<Insn>, Error> {
    let mut program = vec![
        insn(LDX_W, KIND, CONTEXT, 0, 0),
        insn(MOV32_X, OPEN, KIND, 0, 0),
        insn(RSH32, OPEN, 0, 0, 16),
        insn(AND32, KIND, 0, 0, 0xffff),
        insn(LDX_W, MAJOR, CONTEXT, 4, 0),
        insn(LDX_W, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules(of)?.iter().rev().filter(|rule| rule.access != 0) {
        let always = (rule.kind, rule.major, rule.minor, rule.access) == (None, None, None, ALL);
        program.extend(section(rule));
        // The kernel refuses a program with instructions that nothing reaches.
        if always {
            return Ok(program);
        }
    }
    program.extend(answer(false));
    Ok(program)
}

fn answer(yes: bool) -> [Insn; 2] {
    [insn(MOV64, R0, 0, 0, yes.into()), insn(EXIT, 0, 0, 0, 0)]
}

/// One rule: what compares the device, then what it does to the open bits.
fn section(rule: &Rule) -> Vec<Insn> {
    let mut does = match (rule.allow, rule.access) {
        (allow, ALL) => Vec::from(answer(allow)),
        (true, bits) => vec![insn(AND32, OPEN, 0, 0, (!bits & ALL).into()), insn(JNE, OPEN, 0, 2, 0)],
        (false, bits) => vec![insn(JSET, OPEN, 0, 1, bits.into()), insn(JA, 0, 0, 2, 0)],
    };
    if rule.access != ALL {
        does.extend(answer(rule.allow));
    }
    let number = |kind: Kind| match kind {
        Kind::Block => 1,
        Kind::Char => 2,
    };
    let compared = [(KIND, rule.kind.map(number)), (MAJOR, rule.major), (MINOR, rule.minor)];
    let mut section = does;
    for (register, wanted) in compared.into_iter().rev() {
        if let Some(wanted) = wanted {
            let past = section.len() as i16;
            section.insert(0, insn(JNE, register, 0, past, wanted.cast_signed()));
        }
    }
    section
}

/// The parts of `union bpf_attr` that are used here; each command's begins at 0.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

#[repr(C)]
struct Query {
    target: u32,
    kind: u32,
    flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

const CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_QUERY: libc::c_int = 16;

/// SAFETY: `attr` must begin like the attributes of `command`, and its pointers must be good for it.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> Result<i32, Errno> {
    // SAFETY: the kernel reads and writes at most the size that is given with it, see also above.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if answer < 0 { Err(Errno::last()) } else { Ok(answer as i32) }
}

/// Give the program to the kernel, which verifies it. EPERM: it takes CAP_BPF and CAP_NET_ADMIN or
/// CAP_SYS_ADMIN in the first user namespace.
pub fn load(program: &[Insn]) -> Result<OwnedFd, Errno> {
    let count = program.len() as u32;
    let args = format_args!(
        "BPF_PROG_LOAD, {{prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt={count}, insns={:?}, license=\"GPL\", prog_name=\"learnctr\"}}, {}",
        program.as_ptr(),
        size_of::<Load>()
    );
    call("bpf", args, || {
        let mut attr = Load {
            kind: CGROUP_DEVICE,
            count,
            instructions: program.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel: 0,
            flags: 0,
            name: *b"learnctr\0\0\0\0\0\0\0\0",
        };
        // SAFETY: the kernel reads `count` instructions of the borrowed slice, whose type has the layout
        // of bpf_insn, and a license that lives for ever; the descriptor it returns is new and ours.
        unsafe { bpf(PROG_LOAD, &mut attr).map(|fd| OwnedFd::from_raw_fd(fd)) }
    })
}

/// Attach it to a group of cgroup v2, beside the ones that are there; all of them must say yes.
pub fn attach(group: BorrowedFd, program: BorrowedFd) -> Result<(), Errno> {
    let (target, program) = (group.as_raw_fd(), program.as_raw_fd());
    let args = format_args!(
        "BPF_PROG_ATTACH, {{target_fd={target}, attach_bpf_fd={program}, attach_type=BPF_CGROUP_DEVICE, \
         attach_flags=BPF_F_ALLOW_MULTI}}, {}",
        size_of::<Attach>()
    );
    call("bpf", args, || {
        let mut attr = Attach {
            target: target as u32,
            program: program as u32,
            kind: ATTACH_CGROUP_DEVICE,
            flags: ALLOW_MULTI,
        };
        // SAFETY: the attributes of BPF_PROG_ATTACH hold no pointer.
        unsafe { bpf(PROG_ATTACH, &mut attr) }.map(|_| ())
    })
}

/// The ids of the device programs that are attached to a group.
pub fn attached(group: BorrowedFd) -> Result<Vec<u32>, Errno> {
    let target = group.as_raw_fd();
    // The kernel takes at most 64 on a group (BPF_CGROUP_MAX_PROGS).
    let mut ids = vec![0u32; 64];
    let args = format_args!(
        "BPF_PROG_QUERY, {{target_fd={target}, attach_type=BPF_CGROUP_DEVICE, prog_ids={:?}, prog_cnt={}}}, {}",
        ids.as_ptr(),
        ids.len(),
        size_of::<Query>()
    );
    let mut count = 0;
    call("bpf", args, || {
        let mut attr = Query {
            target: target as u32,
            kind: ATTACH_CGROUP_DEVICE,
            flags: 0,
            attach_flags: 0,
            ids: ids.as_mut_ptr() as u64,
            count: ids.len() as u32,
            padding: 0,
        };
        // SAFETY: the kernel writes at most `count` ids, for which `ids` has room, and it lives on.
        let answer = unsafe { bpf(PROG_QUERY, &mut attr) };
        count = attr.count as usize;
        answer.map(|_| ())
    })?;
    ids.truncate(count);
    Ok(ids)
}
