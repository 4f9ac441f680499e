//! What does somebody mean who speaks to this program as to `docker`? Words that Docker knows and learnctr does not
//! are answered with what is done in their place.
//!
//! Next: `super`, which prints it below clap's own message.

use clap::error::{ContextKind, ContextValue, ErrorKind};

const OPTIONS: [(&[&str], &str); 9] = [
    (
        &["-p", "-P", "--publish", "--publish-all", "--expose"],
        "ports need not be published: with its veth pair the container has an address that this host reaches (`learnctr step` shows it); --network host shares the host's ports",
    ),
    (
        &["-d", "--detach"],
        "a container ends with its learnctr, so it stays in the foreground: `learnctr run &`, with the shell's own means",
    ),
    (&["--rm"], "it need not be asked for: what a container wrote goes with it, always"),
    (&["--restart"], "a container ends with its command; systemd or a loop of the shell starts it again"),
    (
        &["--mount"],
        "--volume SOURCE:PATH[:ro] mounts a directory of the host or a named volume, --tmpfs PATH one in memory",
    ),
    (&["--entrypoint"], "there is no entry point: the whole command comes after `--`"),
    (
        &["--link", "--network-alias", "--dns", "--ip", "--add-host"],
        "there is one network, the veth pair between this host and the container; its /etc/hosts and /etc/resolv.conf are made for it",
    ),
    (
        &["--pull", "--platform"],
        "no images are fetched: the default one is made of this machine's own programs, and --rootfs DIR takes any other",
    ),
    (&["--label", "-l"], "containers have no labels: they live no longer than their learnctr"),
];

const NETWORK: &str = "veth is what Docker's bridge is to one container: a pair of interfaces, one end inside; a bridge would only \
                       join several";

const IMAGE: &str = "it takes no image's name: the default image is made of this machine's own programs, --rootfs DIR takes another root \
                     file system (such as `docker export` gives), and the command comes after `--`, as in `learnctr run -- sh`";

const COMMANDS: [(&[&str], &str); 4] = [
    (
        &["exec", "attach"],
        "`learnctr step` has the key e: a shell inside the container as it is then; into others nsenter(1) goes",
    ),
    (
        &["ps", "stop", "kill", "rm", "start", "restart", "logs", "wait", "container"],
        "a container ends with the `learnctr run` or `step` that built it, and nothing is left of it: there is none to be listed or removed",
    ),
    (
        &["pull", "push", "build", "images", "image", "load", "import", "rmi"],
        "there are no images to keep: the default one is made of this machine's own programs, and --rootfs DIR takes any other root file system",
    ),
    (
        &["inspect", "stats", "top"],
        "`learnctr view PID` shows what the kernel says of a process, Docker's too",
    ),
];

/// What to do in place of what was asked for, if Docker has it.
pub fn hint(error: &clap::Error, command: Option<&str>) -> Option<&'static str> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let known = |table: &'static [(&[&str], &'static str)], word: &str| {
        table.iter().find(|(words, _)| words.contains(&word)).map(|(_, hint)| *hint)
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let word = text(ContextKind::InvalidArg)?;
            let builds = command.is_some_and(|command| ["step", "run", "plan", "spec"].contains(&command));
            match word.starts_with('-') {
                true => known(&OPTIONS, word.split('=').next()?),
                false => Some(IMAGE).filter(|_| builds),
            }
        }
        ErrorKind::InvalidValue if text(ContextKind::InvalidArg)?.starts_with("--network") => {
            Some(NETWORK).filter(|_| text(ContextKind::InvalidValue) == Some("bridge"))
        }
        ErrorKind::InvalidSubcommand => known(&COMMANDS, text(ContextKind::InvalidSubcommand)?),
        _ => None,
    }
}
