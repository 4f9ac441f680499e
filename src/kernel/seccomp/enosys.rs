//! What of a system call that is newer than the profile? ENOSYS, as from a kernel that lacks it: libc then
//! falls back to an older call, where after EPERM it would give up. These few instructions run first.
//!
//! Next: `compact`.

use crate::kernel::bpf::{Insn, JEQ, JGT, JMP, JSET, LD, RET, W_ABS};
use libseccomp::{ScmpArch, ScmpSyscall};
use oci_spec::runtime::LinuxSeccomp;
use std::collections::BTreeMap;

/// Set in the number of a call by the x32 ABI (__X32_SYSCALL_BIT), which shares x86_64's AUDIT_ARCH.
const X32_BIT: u32 = 0x4000_0000;

const fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
    Insn { code, jt, jf, k }
}

/// The newest number that the profile names, for each AUDIT_ARCH: of the ABI itself and of x32.
type Newest = BTreeMap<u32, [Option<u32>; 2]>;

/// Instructions to put before the filter; none where no architecture's calls are known.
pub fn stub(profile: &LinuxSeccomp, architectures: &[ScmpArch]) -> Vec<Insn> {
    let mut newest = Newest::new();
    for &arch in architectures {
        let numbers = profile.syscalls().iter().flatten().flat_map(|rule| rule.names());
        let last = numbers
            .filter_map(|name| ScmpSyscall::from_name_by_arch(name, arch).ok())
            // A negative number stands for a call that this architecture does not have.
            .filter_map(|number| u32::try_from(number.as_raw_syscall()).ok())
            .max();
        if let (Some(audit), Some(last)) = (audit_arch(arch), last) {
            let abis = newest.entry(audit).or_default();
            abis[usize::from(arch == ScmpArch::X32)] = Some(last);
        }
    }
    if newest.is_empty() {
        return Vec::new();
    }

    // From the end backwards, so that the way to the filter is as long as what is there already. No
    // section is longer than 6, and there are 22 architectures: all distances fit in a byte.
    let mut rest: Vec<Insn> = Vec::new();
    for (audit, abis) in newest {
        let [own, x32] = abis;
        let beyond = |last: u32, after: u8, filter: u8| insn(JMP | JGT, after, filter, last);
        let far = rest.len() as u8;
        let mut section = vec![insn(LD | W_ABS, 0, 0, 0)];
        match (own, x32) {
            (Some(own), Some(x32)) => section.extend([
                insn(JMP | JSET, 1, 0, X32_BIT),
                beyond(own, 1, far + 2),
                beyond(x32, 0, far + 1),
            ]),
            // The other ABI is the filter's business.
            (Some(own), None) if audit == X86_64 => {
                section.extend([insn(JMP | JSET, far + 2, 0, X32_BIT), beyond(own, 0, far + 1)]);
            }
            (None, Some(x32)) => {
                section.extend([insn(JMP | JSET, 0, far + 2, X32_BIT), beyond(x32, 0, far + 1)]);
            }
            (Some(own), None) => section.push(beyond(own, 0, far + 1)),
            (None, None) => continue,
        }
        section.push(insn(RET, 0, 0, 0x0005_0000 | libc::ENOSYS as u32));
        let mut whole = vec![insn(JMP | JEQ, 0, section.len() as u8, audit)];
        whole.extend(section);
        whole.extend(rest);
        rest = whole;
    }
    let mut stub = vec![insn(LD | W_ABS, 0, 0, 4)];
    stub.extend(rest);
    stub
}

const X86_64: u32 = 0xc000_003e;

/// What `seccomp_data.arch` says (linux/audit.h); libseccomp's own token but for x32.
pub fn audit_arch(arch: ScmpArch) -> Option<u32> {
    Some(match arch {
        ScmpArch::X8664 | ScmpArch::X32 => X86_64,
        ScmpArch::X86 => 0x4000_0003,
        ScmpArch::Arm => 0x4000_0028,
        ScmpArch::Aarch64 => 0xc000_00b7,
        ScmpArch::Riscv64 => 0xc000_00f3,
        ScmpArch::Loongarch64 => 0xc000_0102,
        ScmpArch::Ppc => 0x14,
        ScmpArch::Ppc64 => 0x8000_0015,
        ScmpArch::Ppc64Le => 0xc000_0015,
        ScmpArch::S390 => 0x16,
        ScmpArch::S390X => 0x8000_0016,
        ScmpArch::Mips => 0x08,
        ScmpArch::Mips64 => 0x8000_0008,
        ScmpArch::Mips64N32 => 0xa000_0008,
        ScmpArch::Mipsel => 0x4000_0008,
        ScmpArch::Mipsel64 => 0xc000_0008,
        ScmpArch::Mipsel64N32 => 0xe000_0008,
        _ => return None,
    })
}
