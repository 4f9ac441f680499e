//! Stage `hostname`: what does it think it is called?
//!
//! Next: `limits`.

use crate::stage::{Ground, Move, Stage};
use crate::step::Step;
use oci_spec::runtime::LinuxNamespaceType as Ns;

pub static STAGE: Stage = Stage {
    id: "hostname",
    title: "A name, and the files that know it",
    question: "What does it think it is called, and how does it find others by name?",
    why: "The host name belongs to the UTS namespace; three files in /etc tell programs of it and of others. They are the \
          container's own, bound over the image's: the same file inside and outside, so what the host writes is seen inside.",
    man: &["sethostname(2)", "uts_namespaces(7)", "hosts(5)", "resolv.conf(5)"],
    observe: &["uname", "-n"],
    pitfalls: super::pitfalls::hostname::ALL,
    moves,
};

/// The files that are the container's own; those that a volume takes the place of are left to it.
pub fn files(ground: &Ground) -> Vec<&'static str> {
    if ground.container.layers.is_none() {
        return Vec::new();
    }
    let taken = |name: &str| {
        let mounts = ground.container.spec.mounts().as_deref().unwrap_or_default();
        let path = std::path::Path::new("/etc").join(name);
        mounts.iter().any(|mount| path.starts_with(mount.destination()))
    };
    ["hostname", "hosts", "resolv.conf"].into_iter().filter(|name| !taken(name)).collect()
}

fn moves(ground: &Ground) -> Vec<Move> {
    let spec = &ground.container.spec;
    let own = super::namespaces::all(ground).any(|(kind, path)| kind == Ns::Uts && path.is_none());
    let mut moves = Vec::new();
    let name = spec.hostname().as_deref().unwrap_or("localhost");
    if own {
        if spec.hostname().is_some() {
            let step = Step::SetHostname { name: name.to_owned() };
            moves.push(Move::child(step, "the host keeps its own: this is another UTS namespace"));
        }
        if let Some(domain) = spec.domainname() {
            moves.push(Move::child(Step::SetDomainname { name: domain.clone() }, "the NIS domain name"));
        }
    }
    let Some(directory) = ground.container.layers.as_ref().and_then(|layers| layers.upper.parent()) else {
        return moves;
    };
    for file in files(ground) {
        let (text, why) = match file {
            "hostname" => (format!("{name}\n"), "what boot scripts read"),
            "hosts" => (hosts(ground, name), "its own name has an address: eth0's, or loopback's"),
            _ => (
                resolv_conf(ground),
                "the host's name servers; one on the host's loopback cannot be reached from here, so it is left out",
            ),
        };
        moves.push(
            Move::host(Step::Create { path: directory.join(file), text, owner: None }, why)
                .without_undo()
                .alone(),
        );
    }
    moves
}

fn hosts(ground: &Ground, name: &str) -> String {
    let own = ground.choices.veth.as_ref().map_or("127.0.1.1".to_owned(), |veth| veth.container.to_string());
    format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{own}\t{name}\n")
}

fn resolv_conf(ground: &Ground) -> String {
    let host = ground.host.resolv_conf.as_deref().unwrap_or_default();
    let keeps_network = !super::namespaces::all(ground).any(|(kind, _)| kind == Ns::Network);
    let local = |line: &str| {
        let server = line.strip_prefix("nameserver").map(str::trim);
        server.is_some_and(|server| server.starts_with("127.") || server == "::1")
    };
    host.lines().filter(|line| keeps_network || !local(line)).map(|line| format!("{line}\n")).collect()
}
