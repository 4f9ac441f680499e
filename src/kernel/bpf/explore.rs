//! What does a filter decide when the arguments are not known? Each branch on an argument is followed
//! both ways, as far as what was branched on before leaves both possible, and within a bound.
//!
//! Next: `super::super::seccomp` (how a filter is made) or `super::super::ptrace` (how it is read back).

use super::{Action, CELLS, Data, Insn, JEQ, JGE, JGT, JSET, Op, Operand, alu, compare, decode, stricter};
use std::fmt;

/// More instructions than this are not followed for one call; Docker's filter needs a hundred.
const MAX_STEPS: usize = 50_000;

/// What is known of a word of `seccomp_data` on one way through a filter.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fact {
    /// Where the word is (struct seccomp_data).
    offset: u32,
    /// The bits of it that were compared.
    mask: u32,
    op: u16,
    k: u32,
    holds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Known(u32),
    Word {
        offset: u32,
        mask: u32,
    },
    /// Computed of these arguments, a bit each.
    Opaque(u8),
}

/// One way through all filters.
#[derive(Clone, Debug)]
struct Path {
    facts: Vec<Fact>,
    /// Arguments that were branched on, a bit each; bit 6 is the instruction pointer.
    args: u8,
    value: u32,
}

/// What filters decide of a system call.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Always(Action),
    Depends {
        /// The arguments that decide, from 0; 6 is the instruction pointer.
        args: Vec<u8>,
        /// Each action, and when it is taken where that can be said in a line.
        actions: Vec<(Action, Option<String>)>,
    },
    /// More ways than are followed.
    TooComplex,
    /// No program that the kernel would have taken.
    Broken,
}

/// Ask the filters, the first installed coming first, about call `nr` of `arch` whatever its arguments.
pub fn explore<F: AsRef<[Insn]>>(filters: &[F], arch: u32, nr: u32) -> Verdict {
    let data = Data { nr, arch, ..Data::default() };
    let mut steps = 0;
    let mut paths = vec![Path { facts: Vec::new(), args: 0, value: 0x7fff_0000 }];
    for filter in filters {
        let mut next = Vec::new();
        for path in paths {
            match follow(filter.as_ref(), &data, path, &mut steps, &mut next) {
                Some(true) => {}
                Some(false) => return Verdict::TooComplex,
                None => return Verdict::Broken,
            }
        }
        paths = next;
    }
    verdict(&paths, arch)
}

fn verdict(paths: &[Path], arch: u32) -> Verdict {
    let mut actions: Vec<Action> = paths.iter().map(|path| Action::from_return(path.value)).collect();
    actions.sort();
    actions.dedup();
    if let [one] = *actions {
        return Verdict::Always(one);
    }
    let args = paths.iter().fold(0, |all, path| all | path.args);
    let args = (0..7).filter(|bit| args & (1 << bit) != 0).collect();
    let actions = actions.into_iter().map(|action| (action, when(paths, action, arch))).collect();
    Verdict::Depends { args, actions }
}

/// Where one way is in a filter.
struct Place {
    pc: usize,
    a: Value,
    x: Value,
    cells: [Value; CELLS],
    path: Path,
}

/// All ways on from `path` through one filter; false when they are too many, none when it is broken.
fn follow(filter: &[Insn], data: &Data, path: Path, steps: &mut usize, out: &mut Vec<Path>) -> Option<bool> {
    let zero = Value::Known(0);
    let mut open = vec![Place { pc: 0, a: zero, x: zero, cells: [zero; CELLS], path }];
    while let Some(mut at) = open.pop() {
        let value = loop {
            *steps += 1;
            if *steps > MAX_STEPS {
                return Some(false);
            }
            let op = decode(*filter.get(at.pc)?)?;
            at.pc += 1;
            let operand = |operand| match operand {
                Operand::K(k) => Value::Known(k),
                Operand::X => at.x,
            };
            match op {
                Op::LoadData(offset @ 0..8) => at.a = Value::Known(data.word(offset)?),
                Op::LoadData(offset) => at.a = Value::Word { offset, mask: u32::MAX },
                Op::LoadImm(k) => at.a = Value::Known(k),
                Op::LoadCell(cell) => at.a = *at.cells.get(cell)?,
                Op::LoadXImm(k) => at.x = Value::Known(k),
                Op::LoadXCell(cell) => at.x = *at.cells.get(cell)?,
                Op::Store(cell) => *at.cells.get_mut(cell)? = at.a,
                Op::StoreX(cell) => *at.cells.get_mut(cell)? = at.x,
                Op::Tax => at.x = at.a,
                Op::Txa => at.a = at.x,
                Op::Alu(op, by) => match (op, at.a, operand(by)) {
                    (_, Value::Known(a), Value::Known(b)) => match alu(op, a, b) {
                        Some(result) => at.a = Value::Known(result),
                        None => break Value::Known(0),
                    },
                    (0x50, Value::Word { offset, mask }, Value::Known(k)) => {
                        at.a = Value::Word { offset, mask: mask & k };
                    }
                    // Whatever is divided by 0 ends the program here, which refuses.
                    (0x30, _, Value::Known(0)) => break Value::Known(0),
                    // An unknown divisor may be 0.
                    (0x30, a, b) => {
                        let args = who(a) | who(b);
                        if !matches!(b, Value::Known(_)) {
                            let path = Path { args: at.path.args | args, ..at.path.clone() };
                            out.push(Path { value: stricter(0, path.value), ..path });
                            at.path.args |= args;
                        }
                        at.a = Value::Opaque(args);
                    }
                    (_, a, b) => at.a = Value::Opaque(who(a) | who(b)),
                },
                Op::Jump(distance) => at.pc = at.pc.checked_add(distance)?,
                Op::Branch(op, by, yes, no) => {
                    let by = operand(by);
                    let both = ask(&at.path, op, at.a, by);
                    match both {
                        Asked::Known(holds) => at.pc += if holds { yes } else { no },
                        Asked::Unknown(fact) => {
                            let args = at.path.args | who(at.a) | who(by);
                            let side = |holds: bool| {
                                let mut path = Path { args, ..at.path.clone() };
                                path.facts
                                    .extend(fact.map(|fact| Fact { holds: fact.holds == holds, ..fact }));
                                path
                            };
                            let (pc, path) = (at.pc, side(false));
                            open.push(Place { pc: pc + no, path, ..at });
                            at.path = side(true);
                            at.pc = pc + yes;
                        }
                    }
                }
                Op::ReturnK(k) => break Value::Known(k),
                Op::ReturnA => break at.a,
            }
        };
        // An action computed of arguments could be any.
        let Value::Known(value) = value else { return Some(false) };
        out.push(Path { value: stricter(value, at.path.value), ..at.path });
    }
    Some(true)
}

/// The arguments behind a value, a bit each.
fn who(value: Value) -> u8 {
    match value {
        Value::Known(_) => 0,
        Value::Word { offset, .. } => argument(offset).map_or(1 << 6, |arg| 1 << arg),
        Value::Opaque(args) => args,
    }
}

/// The argument whose half is at `offset`.
fn argument(offset: u32) -> Option<u32> {
    Some(offset.checked_sub(16)? / 8)
}

enum Asked {
    Known(bool),
    /// Both are possible; what is then known, if it can be said.
    Unknown(Option<Fact>),
}

fn ask(path: &Path, op: u16, a: Value, b: Value) -> Asked {
    let (offset, mask, k) = match (a, b) {
        (Value::Known(a), Value::Known(b)) => return Asked::Known(compare(op, a, b)),
        (Value::Word { offset, mask }, Value::Known(k)) => (offset, mask, k),
        _ => return Asked::Unknown(None),
    };
    // "Some of these bits" is the contrary of "these bits are 0".
    let (op, mask, k, holds) = if op == JSET { (JEQ, mask & k, 0, false) } else { (op, mask, k, true) };
    match implied(&path.facts, offset, mask, op, k) {
        Some(known) => Asked::Known(known == holds),
        None => Asked::Unknown(Some(Fact { offset, mask, op, k, holds })),
    }
}

/// The values that facts leave for the masked word: a range, without some.
fn range(facts: &[Fact], offset: u32, mask: u32) -> (u32, u32, Vec<u32>) {
    let (mut low, mut high, mut without) = (0, mask, Vec::new());
    for fact in facts.iter().filter(|fact| fact.offset == offset && fact.mask == mask) {
        match (fact.op, fact.holds) {
            (JEQ, true) => (low, high) = (low.max(fact.k), high.min(fact.k)),
            (JEQ, false) => without.push(fact.k),
            (JGT, true) => low = low.max(fact.k.saturating_add(1)),
            (JGT, false) => high = high.min(fact.k),
            (JGE, true) => low = low.max(fact.k),
            (JGE, false) => high = high.min(fact.k.saturating_sub(1)),
            _ => {}
        }
    }
    (low, high, without)
}

fn implied(facts: &[Fact], offset: u32, mask: u32, op: u16, k: u32) -> Option<bool> {
    let (low, high, without) = range(facts, offset, mask);
    let (always, never) = match op {
        JEQ => (low == k && high == k, k < low || k > high || k & !mask != 0 || without.contains(&k)),
        JGT => (low > k, high <= k),
        JGE => (low >= k, high < k),
        _ => (false, false),
    };
    if always {
        Some(true)
    } else if never {
        Some(false)
    } else {
        None
    }
}

/// When an action is taken, for the simple cases that profiles have: one argument, in ranges or masked.
fn when(paths: &[Path], action: Action, arch: u32) -> Option<String> {
    // __AUDIT_ARCH_64BIT: arguments of the others have no high half.
    let wide = arch & 0x8000_0000 != 0;
    let taken: Vec<&Path> = paths.iter().filter(|path| Action::from_return(path.value) == action).collect();
    let (mut ranges, mut masked, mut of) = (Vec::new(), Vec::new(), None);
    for path in taken {
        let arg = argument(path.facts.first()?.offset)?;
        if *of.get_or_insert(arg) != arg || path.facts.iter().any(|fact| argument(fact.offset) != Some(arg)) {
            return None;
        }
        let words = halves(arg);
        let high = if wide { range(&path.facts, words.1, u32::MAX) } else { (0, 0, Vec::new()) };
        let of_low: Vec<&Fact> = path.facts.iter().filter(|fact| fact.offset == words.0).collect();
        if of_low.iter().all(|fact| fact.mask == u32::MAX) && (high.0, high.1) == (0, 0) {
            let (low, high, without) = range(&path.facts, words.0, u32::MAX);
            ranges.extend(minus(low, high, without));
        } else if let [only] = *of_low
            && only.op == JEQ
            && only.holds
            && path
                .facts
                .iter()
                .all(|fact| fact.offset == words.0 || (fact.mask == 0 || fact.holds && fact.k == 0))
        {
            masked.push(format!("(arg{arg} & {:#x}) == {}", only.mask, number(only.k)));
        } else {
            return None;
        }
    }
    let arg = of?;
    if !ranges.is_empty() {
        masked.push(format!("arg{arg} is {}", Ranges(ranges)));
    }
    masked.dedup();
    Some(masked.join(" or "))
}

/// Offsets of an argument's low and high half on this machine.
fn halves(arg: u32) -> (u32, u32) {
    let first = 16 + 8 * arg;
    if cfg!(target_endian = "little") { (first, first + 4) } else { (first + 4, first) }
}

fn minus(low: u32, high: u32, mut without: Vec<u32>) -> Vec<(u32, u32)> {
    without.sort_unstable();
    without.dedup();
    let (mut ranges, mut from) = (Vec::new(), Some(low));
    for hole in without.into_iter().filter(|hole| (low..=high).contains(hole)) {
        if let Some(start) = from
            && hole > start
        {
            ranges.push((start, hole - 1));
        }
        from = hole.checked_add(1);
    }
    ranges.extend(from.filter(|&start| start <= high).map(|start| (start, high)));
    ranges
}

/// Small numbers are counted, large ones are bits.
fn number(n: u32) -> String {
    if n < 4096 { n.to_string() } else { format!("{n:#x}") }
}

/// Ranges that touch are one: `0-18, 21, 24`.
struct Ranges(Vec<(u32, u32)>);

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::new();
        for (low, high) in sorted {
            match joined.last_mut() {
                Some(last) if last.1.checked_add(1).is_none_or(|next| low <= next) => {
                    last.1 = last.1.max(high)
                }
                _ => joined.push((low, high)),
            }
        }
        let texts = joined.iter().map(|&(low, high)| match low == high {
            true => number(low),
            false => format!("{}-{}", number(low), number(high)),
        });
        write!(f, "{}", texts.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_branched_on_is_remembered() {
        let insn = |code, jt, jf, k| Insn { code, jt, jf, k };
        // Twice "is bit 0 of arg0 set?": the second time the answer is known.
        let filter = [
            insn(0x20, 0, 0, 16),
            insn(0x45, 0, 3, 1),
            insn(0x45, 0, 1, 1),
            insn(0x06, 0, 0, 0x7fff_0000),
            insn(0x06, 0, 0, 0),
            insn(0x06, 0, 0, 0x0005_0001),
        ];
        let Verdict::Depends { args, actions } = explore(&[filter], 0xc000_003e, 0) else {
            panic!("it depends on arg0")
        };
        let actions: Vec<String> = actions.iter().map(|(action, _)| action.to_string()).collect();
        assert_eq!((args, actions), (vec![0], vec!["allowed".to_owned(), "EPERM".to_owned()]));
    }
}
