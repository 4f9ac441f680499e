//! What has to be asked of the machine before there can be a plan? The layers' places, free names and
//! addresses, the finished seccomp filter. Nothing is changed by it.
//!
//! Next: `plan`, which is pure.

use crate::host::Host;
use crate::kernel::{net::Netlink, seccomp};
use crate::spec::{Container, Network, Options};
use crate::stage::{Choices, Ground, Veth, Ways};
use crate::step::Program;
use std::error::Error;

/// A container with everything that its plan is made from.
pub struct Prepared {
    pub container: Container,
    pub host: Host,
    pub ways: Ways,
    pub choices: Choices,
}

impl Prepared {
    /// Ask the machine, and choose.
    pub fn new(options: &Options, ways: Ways, terminal: bool) -> Result<Prepared, Box<dyn Error>> {
        let host = Host::look();
        let id = Container::new_id(options);
        let container = Container::from_options(options, &host, &id)?;
        let mut choices = Choices { terminal, veth: None, filter: filter(&container, &host)? };
        if container.network == Network::Veth {
            choices.veth = Some(veth(&id)?);
        }
        Ok(Prepared { container, host, ways, choices })
    }

    pub fn ground(&self) -> Ground<'_> {
        Ground {
            container: &self.container,
            host: &self.host,
            ways: self.ways.clone(),
            choices: self.choices.clone(),
        }
    }
}

fn filter(container: &Container, host: &Host) -> Result<Option<(Program, u64)>, seccomp::Error> {
    let profile = container.spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
    let Some(profile) = profile else { return Ok(None) };
    let program = seccomp::compile_cached(profile, &host.dirs.data.join("seccomp"))?;
    let bytes = crate::kernel::bpf::to_bytes(&program.filter);
    Ok(Some((Program(bytes), u64::from(program.flags))))
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
