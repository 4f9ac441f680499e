//! `learnctr decode`: say what a number of the kernel's means.

use super::out::say as println;
use crate::decode::flags::{self, Flags};
use crate::decode::ns::{self, Namespaces};
use crate::decode::seccomp::{self, Answer, Architecture, Decoded};
use crate::kernel::Errno;
use crate::kernel::dir::own_pid;
use crate::kernel::trial::Waiting;
use crate::probes::Answer as Reading;
use anstyle::Style;
use clap::Subcommand;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Say what a number of the kernel's means
#[derive(clap::Args)]
#[command(after_help = "Examples:
  learnctr decode caps 00000000a80425fb      CapEff of /proc/PID/status
  learnctr decode caps CAP_CHOWN,CAP_KILL    from names to the number
  learnctr decode clone 0x3c020011           flags as strace -Xraw shows them
  learnctr decode mount MS_BIND,MS_REC
  learnctr decode ns 1                       namespaces, owners, who else is there
  sudo learnctr decode seccomp $(pgrep -f 'sleep 1000')")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A set of capabilities
    Caps(Number),
    /// Flags of clone(2), clone3(2) and unshare(2)
    Clone(Number),
    /// Flags of mount(2)
    Mount(Number),
    /// The namespaces of a process, and whose they are
    Ns(Process),
    /// What the filters of a process allow; reads them back from the kernel, as root
    Seccomp(Filters),
}

#[derive(clap::Args)]
struct Number {
    /// Hex, with or without 0x; or names, with commas between them
    #[arg(value_name = "HEX|NAMES")]
    number: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Process {
    /// The process's number, or `self`
    #[arg(value_name = "PID|self", value_parser = super::view::which)]
    process: i32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Filters {
    #[command(flatten)]
    of: Process,
    /// List the calls that are allowed, too
    #[arg(long)]
    all: bool,
}

pub fn main(args: Args) -> super::Result {
    match args.what {
        What::Caps(number) => {
            shown(number.json, &flags::caps(&number.number).map_err(super::Usage)?, print_flags)
        }
        What::Clone(number) => {
            shown(number.json, &flags::clone(&number.number).map_err(super::Usage)?, print_flags)
        }
        What::Mount(number) => {
            shown(number.json, &flags::mount(&number.number).map_err(super::Usage)?, print_flags)
        }
        What::Ns(process) => {
            let namespaces = ns::decode(process.process).map_err(|errno| {
                format!("process {}: {errno}; `ps -e` lists the numbers", process.process)
            })?;
            shown(process.json, &namespaces, print_ns)
        }
        What::Seccomp(filters) => {
            let decoded = match filters.of.process == own_pid() {
                true => own_filters()?,
                false => seccomp::decode(filters.of.process)?,
            };
            shown(filters.of.json, &decoded, |decoded| print_seccomp(decoded, filters.all))
        }
    }
}

/// No process traces itself; a child of ours has the filters that we have.
fn own_filters() -> super::Result<Decoded> {
    let twin = Waiting::start(|| Ok(()))?;
    let mut decoded = seccomp::decode(twin.pid() as i32)?;
    decoded.pid = own_pid();
    Ok(decoded)
}

fn shown<T: serde::Serialize>(json: bool, value: &T, print: impl FnOnce(&T)) -> super::Result {
    match json {
        true => println!("{}", serde_json::to_string_pretty(value)?),
        false => print(value),
    }
    Ok(ExitCode::SUCCESS)
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Text from column `indent` on, wrapped; the first line begins where the caller has come to.
fn wrapped(text: &str, indent: usize) -> String {
    let columns = crate::kernel::ident::columns().clamp(40, 200);
    textwrap::wrap(text, columns.saturating_sub(indent).max(20)).join(&format!("\n{}", " ".repeat(indent)))
}

fn print_flags(flags: &Flags) {
    println!("{BOLD}{}{BOLD:#}", flags.hex);
    let name = flags.bits.iter().map(|bit| bit.name.len()).max().unwrap_or(0);
    let value = flags.bits.iter().map(|bit| bit.value.len()).max().unwrap_or(0);
    for bit in &flags.bits {
        let note = wrapped(bit.note.as_deref().unwrap_or_default(), name + value + 6);
        println!("{}", format!("  {:name$}  {DIM}{:>value$}{DIM:#}  {note}", bit.name, bit.value).trim_end());
    }
    if flags.bits.is_empty() {
        println!("  {DIM}none{DIM:#}");
    }
    for note in &flags.notes {
        println!("{DIM}{}{DIM:#}", wrapped(note, 0));
    }
}

fn print_ns(of: &Namespaces) {
    println!("{BOLD}Namespaces of process {}{BOLD:#}, seen by process {}", of.pid, of.reader);
    let ours = ns::own("user");
    for (kind, namespace) in &of.namespaces {
        let namespace = match namespace {
            Reading::Value(namespace) => namespace,
            Reading::Refused(errno) => {
                println!("  {kind:7} {DIM}{errno}: reading it takes the rights of ptrace(2){DIM:#}");
                continue;
            }
        };
        let link = &namespace.link;
        if namespace.ours {
            println!("  {kind:7} {link:20}  {DIM}ours too, with {}{DIM:#}", count(namespace.processes));
            continue;
        }
        println!("  {kind:7} {link:20}  {BOLD}its own{BOLD:#}");
        let mut about = vec![match &namespace.owner {
            Reading::Value(owner) if Some(*owner) == ours => "owned by our user namespace".to_owned(),
            Reading::Value(owner) => format!("owned by user:[{owner}]"),
            Reading::Refused(Errno::EPERM) => "owned by a user namespace above ours".to_owned(),
            Reading::Refused(errno) => format!("owner: {}", errno.name()),
        }];
        if let Some(Reading::Value(parent)) = namespace.parent {
            about.push(format!("made in {kind}:[{parent}]"));
        }
        if let Some(Reading::Value(uid)) = namespace.owner_uid {
            about.push(format!("by user {uid}"));
        }
        let named: Vec<String> =
            namespace.first.iter().map(|one| format!("{} {}", one.pid, one.name)).collect();
        let more = match namespace.processes.saturating_sub(named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        about.push(format!("in it: {}{more}", named.join(", ")));
        println!("          {DIM}{}{DIM:#}", wrapped(&about.join("; "), 10));
    }
    if of.unread > 0 {
        println!(
            "{DIM}{}{DIM:#}",
            wrapped(&format!("{} could not be looked into, and may be in any", count(of.unread)), 0)
        );
    }
}

fn count(processes: usize) -> String {
    if processes == 1 { "1 process".to_owned() } else { format!("{processes} processes") }
}

fn print_seccomp(decoded: &Decoded, all: bool) {
    if decoded.filters.is_empty() {
        println!("Process {} runs under no filter: every system call reaches the kernel.", decoded.pid);
        return;
    }
    let lengths: Vec<String> = decoded.filters.iter().map(usize::to_string).collect();
    let filters =
        if lengths.len() == 1 { "1 filter".to_owned() } else { format!("{} filters", lengths.len()) };
    println!("{BOLD}Process {}{BOLD:#}: {filters}, {} instructions", decoded.pid, lengths.join(" + "));
    for architecture in &decoded.architectures {
        print_architecture(architecture, all);
    }
}

fn print_architecture(of: &Architecture, all: bool) {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let (mut allowed, mut depends) = (Vec::new(), Vec::new());
    for call in &of.calls {
        match &call.answer {
            Answer::Allowed => allowed.push(call.name.as_str()),
            Answer::Depends { .. } => depends.push(call),
            Answer::Refused { with } | Answer::Otherwise { with } | Answer::Unknown { why: with } => {
                groups.entry(with.clone()).or_default().push(&call.name);
            }
        }
    }
    let refused: usize = groups.values().map(Vec::len).sum();
    println!("");
    println!(
        "{BOLD}{}{BOLD:#}  {} allowed, {refused} refused or other, {} by their arguments",
        of.name,
        allowed.len(),
        depends.len()
    );
    let label = depends.iter().map(|call| call.name.len()).max().unwrap_or(0).max(8);
    let line =
        |name: &str, text: &str| println!("  {BOLD}{name:label$}{BOLD:#} {}", wrapped(text, label + 3));
    if all && !allowed.is_empty() {
        line("allowed", &allowed.join(" "));
    }
    // All calls but a few with one answer: an architecture that the filter is not for.
    for (with, names) in &groups {
        match with.len() > label {
            true => {
                println!("  {BOLD}{with}{BOLD:#}\n  {:label$} {}", "", wrapped(&few(names, all), label + 3))
            }
            false => line(with, &few(names, all)),
        }
    }
    for call in depends {
        let Answer::Depends { arguments, actions } = &call.answer else { continue };
        let said: Vec<String> = actions
            .iter()
            .map(|one| match &one.when {
                Some(when) => format!("{} if {when}", one.action),
                None if actions.iter().filter(|one| one.when.is_none()).count() == 1 => {
                    format!("else {}", one.action)
                }
                None => one.action.clone(),
            })
            .collect();
        let of: Vec<String> = arguments.iter().map(|arg| format!("arg{arg}")).collect();
        let on = if actions.iter().all(|one| one.when.is_none()) {
            format!("by {}: ", of.join(", "))
        } else {
            String::new()
        };
        line(&call.name, &format!("{on}{}", said.join("; ")));
    }
    let beyond = match &of.beyond {
        Answer::Allowed => "allowed".to_owned(),
        Answer::Refused { with } | Answer::Otherwise { with } | Answer::Unknown { why: with } => with.clone(),
        Answer::Depends { .. } => "by its arguments".to_owned(),
    };
    println!(
        "  {DIM}a number after {}: {beyond}{DIM:#}",
        of.calls.last().map_or("0", |call| call.name.as_str())
    );
}

fn few(names: &[&str], all: bool) -> String {
    const FEW: usize = 150;
    match names.len() > FEW && !all {
        true => format!("{} calls; --all lists them", names.len()),
        false => names.join(" "),
    }
}
