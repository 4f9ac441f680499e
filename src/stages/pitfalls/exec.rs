//! Why is the program not executed? The file that was meant is looked at, inside.
//!
//! Next: [`super::life`].

use crate::kernel::Errno;
use crate::refusal::program::Found;
use crate::stage::Pitfall;
use crate::step::Step;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "execve",
        Errno::ENOENT,
        "the stage pivot-root was left out: the root is still the host's, and {command} is looked up there, not in the image",
        |s| Some(s.without("pivot-root")),
        "do not skip the stage pivot-root; or name a program of the host's, which then runs in the host's own tree",
    ),
    Pitfall::new(
        "execve",
        Errno::ENOENT,
        "there is no {command} in any directory of PATH inside ({search})",
        |s| Some(by_name(s)? && s.program()? == Found::Nowhere && !s.without("pivot-root")),
        "`learnctr run -- ls /bin /usr/bin` lists what the image has; or give the whole path",
    ),
    Pitfall::new(
        "execve",
        Errno::ENOENT,
        "there is no {command} inside: the path is looked up in the container's root, not on the host",
        |s| Some(!by_name(s)? && s.program()? == Found::Nowhere && !s.without("pivot-root")),
        "`learnctr run -- ls -l` of its directory shows what the image has",
    ),
    Pitfall::new(
        "execve",
        Errno::ENOENT,
        "{program} is there, but its first line asks for {interpreter}, which is not: ENOENT is about the interpreter",
        |s| s.program_is(|found| matches!(found, Found::Script(_, _, true))),
        "put {interpreter} into the image, or name the interpreter that is there: learnctr run -- sh {program}; lines that end in CR LF give it too",
    ),
    Pitfall::new(
        "execve",
        Errno::ENOENT,
        "{program} is there, but it is dynamically linked and its loader {interpreter} is not: ENOENT is about the loader",
        |s| s.program_is(|found| matches!(found, Found::NoLoader(..))),
        "put the loader and the libraries (`ldd`) into the image, or build the program static",
    ),
    Pitfall::new(
        "execve",
        Errno::EACCES,
        "{program} is a directory",
        |s| s.program_is(|found| matches!(found, Found::Directory(_))),
        "name a program in it",
    ),
    Pitfall::new(
        "execve",
        Errno::EACCES,
        "{program} has no permission to be executed by this user (no x in its mode), or is no regular file",
        |s| s.program_is(|found| matches!(found, Found::NotExecutable(_))),
        "chmod +x it in the image; a script can be given to its interpreter: learnctr run -- sh {program}",
    ),
    Pitfall::new(
        "execve",
        Errno::EACCES,
        "{program} is on a mount with noexec",
        |s| s.program_is(|found| matches!(found, Found::NoExec(_))),
        "`findmnt -no OPTIONS -T` of it; a volume or tmpfs takes the option exec",
    ),
    Pitfall::new(
        "execve",
        Errno::EACCES,
        "the interpreter of {program}, {interpreter}, may not be executed, or a directory on the way may not be entered by this user",
        |s| {
            if s.program_is(|found| matches!(found, Found::Script(..) | Found::Fine(_))) == Some(false) {
                Some(false)
            } else {
                None
            }
        },
        "`ls -ld` of each directory on the way; --user root",
    ),
    Pitfall::new(
        "execve",
        Errno::ENOEXEC,
        "{program} is for another processor than this machine's",
        |s| s.program_is(|found| matches!(found, Found::Foreign(_))),
        "an image of this architecture (`uname -m`), or qemu-user with binfmt_misc",
    ),
    Pitfall::new(
        "execve",
        Errno::ENOEXEC,
        "{program} is neither an ELF program nor does its first line begin with #!: a shell would have run it as a script, the kernel does not",
        |s| s.program_is(|found| matches!(found, Found::NoFormat(_))),
        "begin it with #!/bin/sh, or: learnctr run -- sh {program}",
    ),
    Pitfall::new(
        "execve",
        Errno::ENOTDIR,
        "a part of the path {command} is a file",
        |_| Some(true),
        "`ls -l` of it inside",
    ),
    Pitfall::new(
        "execve",
        Errno::ELOOP,
        "{command} is a symlink in a circle, or scripts name each other as interpreters",
        |_| Some(true),
        "`ls -l` of it inside",
    ),
    Pitfall::new(
        "execve",
        Errno::E2BIG,
        "arguments and environment together are longer than a quarter of the stack's limit (RLIMIT_STACK), or one is longer than 128 KiB",
        |_| Some(true),
        "fewer --env; --ulimit stack= with more",
    ),
    Pitfall::new(
        "execve",
        Errno::ETXTBSY,
        "{program} is open for writing by somebody",
        |_| Some(true),
        "`fuser` of it on the host shows who",
    ),
    Pitfall::new(
        "execve",
        Errno::EINVAL,
        "an argument or a variable has a NUL byte in it, or the ELF file names two interpreters",
        |_| None,
        "`readelf -l` of the file",
    ),
    Pitfall::new(
        "execve",
        Errno::ENOENT,
        "the working directory, which a part of PATH or the path is relative to, is gone",
        |s| {
            if s.program_is(|found| matches!(found, Found::Fine(_))) == Some(true) {
                None
            } else {
                Some(false)
            }
        },
        "give the whole path",
    ),
];

fn by_name(s: &crate::refusal::Scene) -> Option<bool> {
    match s.step() {
        Step::Exec(command) => Some(!command.args.first()?.contains('/')),
        _ => None,
    }
}
