//! What does a seccomp filter decide? Classic BPF over `seccomp_data` (seccomp(2)): the kernel's check of
//! a program, and its evaluation for one system call, alone and with other filters stacked on it.
//!
//! Next: `explore`, which asks the same without knowing the arguments.

use super::Errno;
use std::fmt;

pub mod explore;

/// One instruction; the layout is that of `struct sock_filter` (linux/filter.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Insn {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

pub(super) const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
pub(super) const JMP: u16 = 0x05;
pub(super) const RET: u16 = 0x06;
const MISC: u16 = 0x07;
pub(super) const W_ABS: u16 = 0x20;
const IMM: u16 = 0x00;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const X: u16 = 0x08;
const A: u16 = 0x10;
const TXA: u16 = 0x80;
pub(super) const JA: u16 = 0x00;
pub(super) const JEQ: u16 = 0x10;
pub(super) const JGT: u16 = 0x20;
pub(super) const JGE: u16 = 0x30;
pub(super) const JSET: u16 = 0x40;

/// The kernel's bound (BPF_MAXINSNS).
pub const MAX_LEN: usize = 4096;
/// Scratch cells (BPF_MEMWORDS).
pub const CELLS: usize = 16;
/// `sizeof(struct seccomp_data)`.
pub const DATA_LEN: u32 = 64;

/// Bytes, eight an instruction, in the host's order: what the kernel and libseccomp export.
pub fn to_bytes(filter: &[Insn]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(filter.len() * 8);
    filter.iter().for_each(|insn| bytes.extend_from_slice(&to_word(insn).to_be_bytes()));
    bytes
}

/// The same bytes as one number, the first of them the highest.
pub fn to_word(insn: &Insn) -> u64 {
    let [a, b] = insn.code.to_ne_bytes();
    let [c, d, e, f] = insn.k.to_ne_bytes();
    u64::from_be_bytes([a, b, insn.jt, insn.jf, c, d, e, f])
}

pub fn from_word(word: u64) -> Insn {
    let [a, b, jt, jf, c, d, e, f] = word.to_be_bytes();
    Insn { code: u16::from_ne_bytes([a, b]), jt, jf, k: u32::from_ne_bytes([c, d, e, f]) }
}

/// The instructions of exported bytes; none where a part of one is left over.
pub fn from_bytes(bytes: &[u8]) -> Option<Vec<Insn>> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| chunks.iter().map(|bytes| from_word(u64::from_be_bytes(*bytes))).collect())
}

/// What an operation does, once decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// Load a word of `seccomp_data`.
    LoadData(u32),
    LoadImm(u32),
    LoadCell(usize),
    LoadXImm(u32),
    LoadXCell(usize),
    Store(usize),
    StoreX(usize),
    Alu(u16, Operand),
    Jump(usize),
    /// Operator, operand, and how far to go on when it holds and when not.
    Branch(u16, Operand, usize, usize),
    ReturnK(u32),
    ReturnA,
    Tax,
    Txa,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operand {
    K(u32),
    X,
}

/// The instructions that seccomp(2) takes; none for all others.
pub(super) fn decode(insn: Insn) -> Option<Op> {
    let Insn { code, k, .. } = insn;
    let operand = if code & X == 0 { Operand::K(k) } else { Operand::X };
    let cell = usize::try_from(k).ok().filter(|&cell| cell < CELLS);
    let class = code & 0x07;
    Some(match class {
        LD if code == LD | W_ABS => Op::LoadData((k < DATA_LEN && k & 3 == 0).then_some(k)?),
        LD if code == LD | LEN => Op::LoadImm(DATA_LEN),
        LD if code == LD | IMM => Op::LoadImm(k),
        LD if code == LD | MEM => Op::LoadCell(cell?),
        LDX if code == LDX | LEN => Op::LoadXImm(DATA_LEN),
        LDX if code == LDX | IMM => Op::LoadXImm(k),
        LDX if code == LDX | MEM => Op::LoadXCell(cell?),
        ST if code == ST => Op::Store(cell?),
        STX if code == STX => Op::StoreX(cell?),
        ALU => {
            let op = code & 0xf0;
            let bad = match (op, operand) {
                // NEG takes no operand; MOD is not in seccomp's list.
                (0x80, _) => code != ALU | 0x80,
                (0x30, Operand::K(0)) => true,
                (0x60 | 0x70, Operand::K(k)) => k >= 32,
                _ => op > 0xa0 || op == 0x90,
            };
            (!bad && code & !0xff == 0).then_some(Op::Alu(op, operand))?
        }
        JMP if code == JMP | JA => Op::Jump(usize::try_from(k).ok()?),
        JMP => {
            let op = code & 0xf0;
            let known = matches!(op, JEQ | JGT | JGE | JSET) && code & !0xff == 0;
            known.then_some(Op::Branch(op, operand, insn.jt.into(), insn.jf.into()))?
        }
        RET if code == RET => Op::ReturnK(k),
        RET if code == RET | A => Op::ReturnA,
        MISC if code == MISC => Op::Tax,
        MISC if code == MISC | TXA => Op::Txa,
        _ => return None,
    })
}

/// The checks that the kernel makes before it takes a filter (bpf_check_classic, seccomp_check_filter).
pub fn check(filter: &[Insn]) -> Result<(), Errno> {
    let whole = !filter.is_empty() && filter.len() <= MAX_LEN;
    let returns = filter.last().and_then(|&insn| decode(insn));
    if !whole || !matches!(returns, Some(Op::ReturnK(_) | Op::ReturnA)) {
        return Err(Errno::EINVAL);
    }
    // Cells that are written on every way to an instruction; unreached ones count as all written.
    let mut written = vec![u16::MAX; filter.len()];
    let mut here = 0u16;
    for (pc, &insn) in filter.iter().enumerate() {
        here &= written.get(pc).copied().unwrap_or(0);
        let mut reach = |distance: usize, cells: u16| match written.get_mut(pc + 1 + distance) {
            Some(target) => {
                *target &= cells;
                Ok(())
            }
            None => Err(Errno::EINVAL),
        };
        match decode(insn).ok_or(Errno::EINVAL)? {
            Op::Store(cell) | Op::StoreX(cell) => here |= 1 << cell,
            Op::LoadCell(cell) | Op::LoadXCell(cell) if here & (1 << cell) == 0 => return Err(Errno::EINVAL),
            Op::Jump(distance) => {
                // A distance of up to 2^32 must not wrap a 32-bit usize.
                reach(distance.min(MAX_LEN), here)?;
                here = u16::MAX;
            }
            Op::Branch(_, _, yes, no) => {
                reach(yes, here)?;
                reach(no, here)?;
                here = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a filter is asked about (struct seccomp_data).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Data {
    pub nr: u32,
    /// An AUDIT_ARCH_* value of linux/audit.h.
    pub arch: u32,
    pub instruction_pointer: u64,
    pub args: [u64; 6],
}

impl Data {
    /// The 32-bit word at `offset`, as this machine orders its bytes.
    pub fn word(&self, offset: u32) -> Option<u32> {
        let wide = |value: u64| {
            let high = (offset & 4 != 0) == cfg!(target_endian = "little");
            (if high { value >> 32 } else { value }) as u32
        };
        match offset {
            0 => Some(self.nr),
            4 => Some(self.arch),
            8 | 12 => Some(wide(self.instruction_pointer)),
            _ if offset & 3 == 0 => {
                self.args.get((offset as usize).checked_sub(16)? / 8).map(|&arg| wide(arg))
            }
            _ => None,
        }
    }
}

/// A 32-bit operation as the kernel does it; none is a division by zero, which ends a program with 0.
pub(super) fn alu(op: u16, a: u32, b: u32) -> Option<u32> {
    Some(match op {
        0x00 => a.wrapping_add(b),
        0x10 => a.wrapping_sub(b),
        0x20 => a.wrapping_mul(b),
        0x30 => a.checked_div(b)?,
        0x40 => a | b,
        0x50 => a & b,
        0x60 => a.wrapping_shl(b),
        0x70 => a.wrapping_shr(b),
        0x80 => a.wrapping_neg(),
        _ => a ^ b,
    })
}

pub(super) fn compare(op: u16, a: u32, b: u32) -> bool {
    match op {
        JEQ => a == b,
        JGT => a > b,
        JGE => a >= b,
        _ => a & b != 0,
    }
}

/// Run one filter: its return value, or none where it is no program that the kernel would have taken.
pub fn run(filter: &[Insn], data: &Data) -> Option<u32> {
    let (mut a, mut x, mut cells, mut pc) = (0u32, 0u32, [0u32; CELLS], 0usize);
    loop {
        let op = decode(*filter.get(pc)?)?;
        pc += 1;
        let value = |operand| match operand {
            Operand::K(k) => k,
            Operand::X => x,
        };
        match op {
            Op::LoadData(offset) => a = data.word(offset)?,
            Op::LoadImm(k) => a = k,
            Op::LoadCell(cell) => a = *cells.get(cell)?,
            Op::LoadXImm(k) => x = k,
            Op::LoadXCell(cell) => x = *cells.get(cell)?,
            Op::Store(cell) => *cells.get_mut(cell)? = a,
            Op::StoreX(cell) => *cells.get_mut(cell)? = x,
            Op::Alu(op, operand) => match alu(op, a, value(operand)) {
                Some(result) => a = result,
                None => return Some(0),
            },
            Op::Jump(distance) => pc = pc.checked_add(distance)?,
            Op::Branch(op, operand, yes, no) => pc += if compare(op, a, value(operand)) { yes } else { no },
            Op::ReturnK(k) => return Some(k),
            Op::ReturnA => return Some(a),
            Op::Tax => x = a,
            Op::Txa => a = x,
        }
    }
}

/// What happens to a system call (SECCOMP_RET_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    Allow,
    Log,
    Trace(u16),
    UserNotif,
    Errno(Errno),
    Trap,
    KillThread,
    KillProcess,
}

impl Action {
    /// What a filter's return value means; an action that the kernel does not know kills the process.
    pub fn from_return(value: u32) -> Action {
        let data = (value & 0xffff) as u16;
        match value & 0xffff_0000 {
            0x7fff_0000 => Action::Allow,
            0x7ffc_0000 => Action::Log,
            0x7ff0_0000 => Action::Trace(data),
            0x7fc0_0000 => Action::UserNotif,
            // MAX_ERRNO of the kernel.
            0x0005_0000 => Action::Errno(Errno(data.min(4095).into())),
            0x0003_0000 => Action::Trap,
            0 => Action::KillThread,
            _ => Action::KillProcess,
        }
    }

    /// Does the call reach the kernel with nobody asked?
    pub fn lets_through(self) -> bool {
        matches!(self, Action::Allow | Action::Log)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Action::Allow => write!(f, "allowed"),
            Action::Log => write!(f, "allowed and logged"),
            Action::Trace(data) => write!(f, "asks a tracer ({data})"),
            Action::UserNotif => write!(f, "asks a supervisor"),
            Action::Errno(errno) => write!(f, "{}", errno.name()),
            Action::Trap => write!(f, "SIGSYS"),
            Action::KillThread => write!(f, "kills the thread"),
            Action::KillProcess => write!(f, "kills the process"),
        }
    }
}

/// Of two return values of stacked filters, the one that counts: the stricter action, and of two
/// alike the one of the later filter (seccomp_run_filters compares as signed, with KILL_PROCESS below 0).
pub fn stricter(later: u32, earlier: u32) -> u32 {
    let rank = |value: u32| (value & 0xffff_0000) as i32;
    if rank(earlier) < rank(later) { earlier } else { later }
}

/// What filters decide of one call, the first filter installed coming first; none where one is broken.
pub fn decide<F: AsRef<[Insn]>>(filters: &[F], data: &Data) -> Option<Action> {
    let mut value = 0x7fff_0000;
    for filter in filters {
        value = stricter(run(filter.as_ref(), data)?, value);
    }
    Some(Action::from_return(value))
}
