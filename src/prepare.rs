//! What has to be asked of the machine before there can be a plan? The layers' places, free names and
//! addresses, the finished seccomp filter. Nothing is changed by it.
//!
//! Next: `plan`, which is pure.

use crate::host::{Host, dirs::make_ours};
use crate::kernel::{net::Netlink, seccomp};
use crate::spec::seccomp::native_arch;
use crate::spec::values::Cpus;
use crate::spec::{Container, Network, Note, Options};
use crate::stage::{Choices, Ground, Veth, Ways};
use crate::step::Program;
use oci_spec::runtime::LinuxNamespaceType;
use std::error::Error;
use std::os::unix::fs::DirBuilderExt;

/// What the plan is for: to be shown changes nothing at all, not even a cache.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Show,
    Run {
        /// The command gets a terminal of its own.
        terminal: bool,
    },
}

/// A container with everything that its plan is made from.
pub struct Prepared {
    pub container: Container,
    pub host: Host,
    pub ways: Ways,
    pub choices: Choices,
}

impl Prepared {
    /// Ask the machine, and choose.
    pub fn new(options: &Options, ways: Ways, purpose: Purpose) -> Result<Prepared, Box<dyn Error>> {
        let host = Host::look();
        enough_processors(options)?;
        let terminal = purpose == Purpose::Run { terminal: true };
        if purpose != Purpose::Show {
            own_directories(&host)?;
        }
        let mut container = Container::asked(options, &host)?;
        crate::spec::users::look_up(&mut container)?;
        labels(&container, &host)?;
        container.notes.extend(orphans(&container));
        let skips = |id: &str| ways.skip.iter().any(|skip| skip == id);
        if skips("pivot-root") {
            container.notes.push(Note::new(
                "exec",
                "pivot-root is left out: the command runs in this machine's own tree, and what it writes, changes or removes \
                 there is your own",
            ));
        }
        expressible(&container, &host)?;
        // Asked for by -t, or by a bundle: it gets a terminal even if nobody sits at one.
        let asked = container.spec.process().as_ref().and_then(|process| process.terminal()).unwrap_or(false);
        let terminal = terminal || asked && matches!(purpose, Purpose::Run { .. });
        let mut choices = Choices { terminal, veth: None, filter: filter(&container, &host, purpose)? };
        if container.network == Network::Veth && !skips("veth") {
            choices.veth = Some(veth(&container.id)?);
        }
        Ok(Prepared { container, host, ways, choices })
    }

    pub fn ground(&self) -> Ground<'_> {
        Ground::new(&self.container, &self.host, self.ways.clone(), self.choices.clone())
    }
}

/// learnctr's own directories: others may pass through the one for data, as root of a user namespace has to, not
/// look into it.
fn own_directories(host: &Host) -> Result<(), Box<dyn Error>> {
    let data = &host.dirs.data;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(data);
    made.map_err(|error| {
        format!(
            "mkdir(\"{}\", 0711), for images and containers: {error}\n  next: name a directory that you may write to in \
             LEARNCTR_DATA, on a file system that overlay can write to (not NFS, not overlay itself)",
            data.display()
        )
    })?;
    make_ours(data, 0o711)?;
    // Its journals say what is to be undone, and are believed.
    Ok(make_ours(&host.dirs.state, 0o700)?)
}

/// As Docker refuses it: a limit that no load could reach is a mistake.
fn enough_processors(options: &Options) -> Result<(), crate::spec::Error> {
    let there = crate::kernel::ident::processors();
    let most = i64::try_from(there).unwrap_or(i64::MAX).saturating_mul(Cpus::PERIOD as i64);
    if options.bundle.is_none() && options.limits.cpus.0 > most {
        let found = format!("{} of them", options.limits.cpus.0 as f64 / Cpus::PERIOD as f64);
        let expected = format!("0.01 to {there}, as this machine has {there} processors (0: no limit)");
        return Err(crate::spec::Error::new("--cpus", found, expected));
    }
    Ok(())
}

/// Version 1 has one default and exceptions to it: rules that cannot be said so are refused, not left out.
fn expressible(container: &Container, host: &Host) -> Result<(), crate::kernel::devices::Error> {
    let resources = container.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    if let (Some(resources), Some(_)) = (resources, host.cgroup.controller("devices")) {
        crate::kernel::devices::v1_lines(&crate::spec::cgroup::rules(resources))?;
    }
    Ok(())
}

/// Without a process 1 of its own and without a group, not everything that it starts can be found again: that is said.
fn orphans(container: &Container) -> Option<Note> {
    let linux = container.spec.linux().as_ref()?;
    let mut all = linux.namespaces().iter().flatten();
    let pid = all.find(|namespace| namespace.typ() == LinuxNamespaceType::Pid);
    let text = match pid.map(|namespace| namespace.path().is_some()) {
        _ if linux.cgroups_path().is_some() => return None,
        Some(false) => return None,
        Some(true) => {
            "it joins a pid namespace and has no group: what it leaves running when it ends is left to that namespace's process 1"
        }
        None => {
            "it has no pid namespace and no group: learnctr ends what it leaves running, but nobody does should learnctr be killed"
        }
    };
    Some(Note::new("clone", text))
}

/// What is to confine the command, and cannot, is refused, not left out; as runc refuses it.
fn labels(container: &Container, host: &Host) -> Result<(), crate::spec::Error> {
    let Some(process) = container.spec.process() else { return Ok(()) };
    let asked = [
        ("apparmor", "process.apparmorProfile", process.apparmor_profile()),
        ("selinux", "process.selinuxLabel", process.selinux_label()),
    ];
    for (module, at, label) in asked {
        let Some(label) = label.as_deref().filter(|label| !["", "unconfined"].contains(label)) else {
            continue;
        };
        if !host.lsm.has(module) {
            let found =
                format!("{label}, but this kernel runs no {module}: nothing would confine by that name");
            let names = host.lsm.names.join(", ");
            let expected =
                format!("none, or a kernel with {module} (/sys/kernel/security/lsm; here: {names})");
            return Err(crate::spec::Error::new(at, found, expected));
        }
    }
    Ok(())
}

fn filter(
    container: &Container,
    host: &Host,
    purpose: Purpose,
) -> Result<Option<(Program, u64)>, seccomp::Error> {
    let kept = host.dirs.data.join("seccomp");
    if let (Some(docker), Some(arch), Purpose::Run { .. }) = (container.docker_filter, native_arch(), purpose)
    {
        let caps = crate::spec::caps::set(docker.capabilities);
        return seccomp::default_cached(&caps, docker.kernel, arch, &kept).map(given);
    }
    let described = container.described();
    let profile = described.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
    let Some(profile) = profile else { return Ok(None) };
    let program = match purpose {
        Purpose::Show => seccomp::compile(profile)?,
        Purpose::Run { .. } => seccomp::compile_cached(profile, &kept)?,
    };
    Ok(given(program))
}

fn given(program: seccomp::Program) -> Option<(Program, u64)> {
    Some((Program(program.filter), u64::from(program.flags)))
}

/// Names and addresses that collide with nothing that this host has now.
fn veth(id: &str) -> Result<Veth, Box<dyn Error>> {
    let refused = |errno| {
        format!("socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) = -1 {errno}; --network none does without")
    };
    let mut netlink = Netlink::open().map_err(refused)?;
    let used = netlink.used_subnets().map_err(refused)?;
    let seed = id.bytes().fold(0u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let subnet = crate::net::choose_subnet(&used, seed)
        .ok_or("every private network is in a route of this host; --network none does without one")?;
    let (outside, inside) = crate::net::veth_names(id, |name| netlink.exists(name).unwrap_or(true))
        .ok_or("every interface name that learnctr tries is taken; --network none does without one")?;
    Ok(Veth { outside, inside, host: subnet.host, container: subnet.container, prefix: subnet.prefix })
}
