//! How short can a filter be? libseccomp's has a comparison for each call that it names. Calls with neighbouring numbers and
//! one decision are one range here, and what two ways end in is there once: a fifth of the instructions, which the
//! kernel checks and translates each time that a filter is loaded, and which are sent to the process that loads them.
//!
//! Next: `verify`, which asks whatever came of it.

use crate::kernel::bpf::{
    Data, Insn, JA, JEQ, JGE, JGT, JMP, JSET, LD, Op, Operand, RET, W_ABS, compare, decode, run,
};
use std::collections::{BTreeSet, HashMap};

/// Where `seccomp_data` has them.
const NR: u32 = 0;
const ARCH: u32 = 4;

/// A filter that decides the same, where a shorter one is found.
pub fn shorter(filter: &[Insn]) -> Option<Vec<Insn>> {
    let constants = Constants::of(filter)?;
    let mut code = Code::default();
    let mut way = code.tree(filter, &constants, constants.another_arch()?)?;
    // The highest is asked first: of a machine's own ABIs it is the one with 64 bits.
    for &arch in &constants.archs {
        let own = code.tree(filter, &constants, arch)?;
        way = code.put(JMP | JEQ, arch, own, way);
    }
    code.put(LD | W_ABS, ARCH, way, way);
    code.backwards.reverse();
    let short = code.backwards;
    (short.len() < filter.len() && constants.decide_the_same(filter, &short)).then_some(short)
}

/// What a filter compares the architecture and the call's number with: nothing else makes a difference to it.
#[derive(Default)]
struct Constants {
    archs: BTreeSet<u32>,
    /// The first numbers of ranges within which all comparisons come out the same.
    numbers: BTreeSet<u32>,
    /// What halves of arguments are compared with.
    halves: BTreeSet<u32>,
}

/// So many of those are tried: where arguments decide, the instructions are the same.
const HALVES: usize = 4;

impl Constants {
    /// None for a filter that does with them what libseccomp's never do.
    fn of(filter: &[Insn]) -> Option<Constants> {
        let mut all = Constants { numbers: BTreeSet::from([0]), ..Constants::default() };
        // Where the program can be, and which word it has loaded by then.
        let (mut open, mut seen) = (vec![(0, None)], BTreeSet::new());
        while let Some((pc, word)) = open.pop() {
            if !seen.insert((pc, word)) {
                continue;
            }
            let (op, next) = (decode(*filter.get(pc)?)?, pc + 1);
            match op {
                Op::LoadData(word) => open.push((next, Some(word))),
                Op::Branch(op, Operand::K(k), ..) => match word? {
                    ARCH if op == JEQ => _ = all.archs.insert(k),
                    ARCH => return None,
                    NR => all.numbers.extend(bounds(op, k)?),
                    _ => _ = all.halves.insert(k),
                },
                // Only of arguments.
                Op::Alu(_, Operand::K(_)) if word? > ARCH => open.push((next, word)),
                Op::Jump(_) | Op::ReturnK(_) => {}
                _ => return None,
            }
            if let Op::Jump(_) | Op::Branch(..) = op {
                open.extend(ends(op, next).map(|pc| (pc, word)));
            }
        }
        Some(all)
    }

    fn another_arch(&self) -> Option<u32> {
        (0..).find(|arch| !self.archs.contains(arch))
    }

    /// The first of each range says what both decide of all of it; for each architecture, and for one that is none of them.
    fn decide_the_same(&self, one: &[Insn], other: &[Insn]) -> bool {
        let halves = self.halves.iter().take(HALVES).map(|&half| u64::from(half));
        let args: Vec<u64> = halves.flat_map(|half| [half, half << 32]).chain([0, u64::MAX]).collect();
        let same = |arch: u32, nr: u32| {
            args.iter().all(|&arg| {
                let data = Data { nr, arch, args: [arg; 6], ..Data::default() };
                run(one, &data) == run(other, &data)
            })
        };
        let mut archs = self.archs.iter().copied().chain(self.another_arch());
        archs.all(|arch| self.numbers.iter().all(|&nr| same(arch, nr)))
    }
}

/// The numbers at which the answer to a comparison changes; none where they are too many.
fn bounds(op: u16, k: u32) -> Option<Vec<u32>> {
    let next = k.checked_add(1);
    Some(match op {
        JEQ => [k].into_iter().chain(next).collect(),
        JGT => next.into_iter().collect(),
        JGE => vec![k],
        // x32's bit is such a one.
        JSET if k.trailing_zeros() >= 28 => (1..16).map(|high| high << 28).collect(),
        _ => return None,
    })
}

/// Where it goes on after a jump that is not a load: one place, or that when the branch holds and that when not.
fn ends(op: Op, next: usize) -> impl Iterator<Item = usize> {
    let (yes, no) = match op {
        Op::Jump(distance) => (Some(distance), None),
        Op::Branch(_, _, yes, no) => (Some(yes), Some(no)),
        Op::ReturnK(_) => (None, None),
        _ => (Some(0), None),
    };
    yes.into_iter().chain(no).map(move |distance| next + distance)
}

/// A program made from its end, so that everything is behind what leads to it.
#[derive(Default)]
struct Code {
    backwards: Vec<Insn>,
    /// What is there already: an instruction by what it does and where it leads to.
    known: HashMap<(u16, u32, usize, usize), usize>,
}

/// A branch reaches 255 instructions; one for each way may still come between.
const REACH: usize = 250;

impl Code {
    /// An instruction and where it leads to, both counted from the end; where it is.
    fn put(&mut self, code: u16, k: u32, yes: usize, no: usize) -> usize {
        if let Some(&there) = self.known.get(&(code, k, yes, no)) {
            return there;
        }
        let mut insn = Insn { code, jt: 0, jf: 0, k };
        match code & 0x07 {
            RET => {}
            JMP => {
                let (yes, no) = (self.near(yes), self.near(no));
                let distance = |to: usize| (self.backwards.len() - 1 - to) as u8;
                (insn.jt, insn.jf) = (distance(yes), distance(no));
            }
            // What it leads to is what follows.
            _ if yes + 1 != self.backwards.len() => _ = self.jump(yes),
            _ => {}
        }
        self.backwards.push(insn);
        let at = self.backwards.len() - 1;
        self.known.insert((code, k, yes, no), at);
        at
    }

    fn jump(&mut self, to: usize) -> usize {
        let k = (self.backwards.len() - 1 - to) as u32;
        self.backwards.push(Insn { code: JMP | JA, jt: 0, jf: 0, k });
        self.backwards.len() - 1
    }

    /// A place from which it goes on to `to`, and which a branch reaches.
    fn near(&mut self, to: usize) -> usize {
        if self.backwards.len() - to <= REACH { to } else { self.jump(to) }
    }

    /// All numbers of one architecture: ranges, halved until one is left.
    fn tree(&mut self, filter: &[Insn], constants: &Constants, arch: u32) -> Option<usize> {
        let mut ranges: Vec<(u32, usize)> = Vec::new();
        for &first in &constants.numbers {
            let end = self.decided(filter, arch, first)?;
            if ranges.last().is_none_or(|&(_, before)| before != end) {
                ranges.push((first, end));
            }
        }
        let way = self.halve(&ranges)?;
        let only_one = ranges.len() == 1;
        Some(if only_one { way } else { self.put(LD | W_ABS, NR, way, way) })
    }

    fn halve(&mut self, ranges: &[(u32, usize)]) -> Option<usize> {
        let (below, from) = ranges.split_at(ranges.len() / 2);
        let &(first, end) = from.first()?;
        if below.is_empty() {
            return Some(end);
        }
        let (yes, no) = (self.halve(from)?, self.halve(below)?);
        Some(self.put(JMP | JGE, first, yes, no))
    }

    /// Where the filter comes to with this number: a decision, or questions about arguments, which stay as they are.
    fn decided(&mut self, filter: &[Insn], arch: u32, nr: u32) -> Option<usize> {
        let (mut pc, mut a) = (0, 0);
        loop {
            let (op, next) = (decode(*filter.get(pc)?)?, pc + 1);
            pc = match op {
                Op::LoadData(NR) => {
                    a = nr;
                    next
                }
                Op::LoadData(ARCH) => {
                    a = arch;
                    next
                }
                Op::LoadData(_) => return self.copy(filter, pc),
                Op::ReturnK(value) => return Some(self.put(RET, value, 0, 0)),
                Op::Jump(distance) => next + distance,
                Op::Branch(op, Operand::K(k), yes, no) => next + if compare(op, a, k) { yes } else { no },
                _ => return None,
            };
        }
    }

    /// What can be reached from here, the last first: jumps lead forward only.
    fn copy(&mut self, filter: &[Insn], from: usize) -> Option<usize> {
        let (mut open, mut all) = (vec![from], BTreeSet::new());
        while let Some(pc) = open.pop() {
            if all.insert(pc) {
                open.extend(ends(decode(*filter.get(pc)?)?, pc + 1));
            }
        }
        let mut copies: HashMap<usize, usize> = HashMap::new();
        for pc in all.into_iter().rev() {
            let insn = *filter.get(pc)?;
            let op = decode(insn)?;
            let mut ends = ends(op, pc + 1).map(|end| copies.get(&end).copied().unwrap_or(0));
            let yes = ends.next().unwrap_or(0);
            let no = ends.next().unwrap_or(yes);
            let copy = if let Op::Jump(_) = op { yes } else { self.put(insn.code, insn.k, yes, no) };
            copies.insert(pc, copy);
        }
        copies.get(&from).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::bpf::check;

    const fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
        Insn { code, jt, jf, k }
    }

    const X86_64: u32 = 0xc000_003e;

    /// A list as libseccomp makes it without its tree: three numbers and a hole, a hundred times, each with an errno of its
    /// own; one number that asks for bits of an argument, and once more for x32.
    fn list() -> Vec<Insn> {
        let mut filter = vec![
            insn(LD | W_ABS, 0, 0, ARCH),
            insn(JMP | JEQ, 1, 0, X86_64),
            insn(RET, 0, 0, 0),
            insn(LD | W_ABS, 0, 0, NR),
            insn(JMP | JSET, 0, 1, 0x4000_0000),
            insn(JMP | JA, 0, 0, 2),
            insn(JMP | JGT, 0, 1, 450),
            insn(RET, 0, 0, 0x0005_0026),
        ];
        for nr in (0..400).filter(|nr| nr % 4 != 3) {
            for nr in [nr, nr | 0x4000_0000] {
                filter
                    .extend([insn(JMP | JEQ, 0, 1, nr), insn(RET, 0, 0, 0x0005_0000 | (1 + (nr & 511) / 4))]);
            }
        }
        for nr in [430, 430 | 0x4000_0000] {
            let asked =
                [(JMP | JEQ, 0, 4, nr), (LD | W_ABS, 0, 0, 16), (0x54, 0, 0, 0xff), (JMP | JEQ, 0, 1, 7)];
            filter.extend(asked.map(|(code, jt, jf, k)| insn(code, jt, jf, k)));
            filter.push(insn(RET, 0, 0, 0x7fff_0000));
        }
        filter.push(insn(RET, 0, 0, 0x0005_0001));
        filter
    }

    #[test]
    fn it_is_shorter_and_decides_the_same() {
        let long = list();
        let short = shorter(&long).unwrap();
        check(&short).unwrap();
        assert!(short.len() * 3 < long.len() * 2, "{} of {}", short.len(), long.len());
        for arch in [X86_64, 0, 0x4000_0003] {
            for nr in (0..600).chain(0x3fff_fff0..0x4000_0300).chain([0x8000_0000, u32::MAX]) {
                for first in [0, 7, 8, 0x107] {
                    let data = Data { nr, arch, args: [first, 0, 0, 0, 0, 0], ..Data::default() };
                    assert_eq!(run(&short, &data), run(&long, &data), "{data:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_understood_stays() {
        let [nr, ret] = [insn(LD | W_ABS, 0, 0, NR), insn(RET, 0, 0, 0)];
        let long = |middle: Insn| [vec![nr, middle], vec![nr; 40], vec![ret]].concat();
        // A low bit of the number; arithmetic with it; a scratch cell.
        for odd in [insn(JMP | JSET, 0, 0, 1), insn(0x54, 0, 0, 0xff), insn(0x02, 0, 0, 0)] {
            assert_eq!(shorter(&long(odd)), None);
        }
        assert_eq!(shorter(&long(insn(JMP | JEQ, 0, 0, 3))).unwrap(), [insn(LD | W_ABS, 0, 0, ARCH), ret]);
        assert_eq!(shorter(&[nr]), None);
    }
}
