//! Stage `veth`: how does it reach the host, and the host it?
//!
//! Next: `overlay`.

use crate::stage::{Ground, Move, Stage};
use crate::step::{Link, Step};
use oci_spec::runtime::LinuxNamespaceType as Ns;

pub static STAGE: Stage = Stage {
    id: "veth",
    title: "A network: one wire, two ends",
    question: "How does it reach the host, and the host it?",
    why: "A new network namespace has only a loopback interface, and that is down. A veth pair is a wire with two ends: \
          what goes in at one comes out at the other. One end stays, the other is moved inside and called eth0. When the \
          namespace goes, its end goes, and the other with it.",
    man: &["veth(4)", "network_namespaces(7)", "rtnetlink(7)", "ip-link(8)"],
    observe: &["ip", "-br", "address"],
    pitfalls: super::pitfalls::veth::ALL,
    moves,
};

fn moves(ground: &Ground) -> Vec<Move> {
    let new = super::namespaces::all(ground).any(|(kind, path)| kind == Ns::Network && path.is_none());
    if !new {
        return Vec::new();
    }
    let mut moves = Vec::new();
    let host = |link, why| Move::host(Step::Link(link), why);
    let inside = |link, why| Move::child(Step::Link(link), why);
    let named = |name: &str| name.to_owned();
    if let Some(veth) = &ground.choices.veth {
        let (outside, peer) = (veth.outside.clone(), veth.inside.clone());
        moves.push(host(
            Link::AddVeth { name: outside.clone(), peer: peer.clone() },
            "both ends on the host at first; the names are free here",
        ));
        moves.push(host(
            Link::MoveToPid { name: peer.clone() },
            "one end into the network namespace of the process: the host does not see it any more",
        ));
        moves.push(host(
            Link::Address { name: outside.clone(), address: veth.host, prefix: veth.prefix },
            "the host's end is the container's gateway; the network is one that no route of this host uses",
        ));
        moves.push(host(Link::Up { name: outside }, "an interface that is down carries nothing"));
        moves.push(inside(
            Link::Rename { name: peer, to: named("eth0") },
            "a name that is free here, since the namespace is new",
        ));
        moves.push(inside(
            Link::Address { name: named("eth0"), address: veth.container, prefix: veth.prefix },
            "the container's address",
        ));
        moves.push(inside(Link::Up { name: named("eth0") }, "now both ends are up, the wire carries"));
    }
    moves.push(inside(
        Link::Up { name: named("lo") },
        "127.0.0.1 answers only when lo is up; nobody does it but us",
    ));
    if let Some(veth) = &ground.choices.veth {
        moves.push(inside(
            Link::DefaultRoute { via: veth.host },
            "everything else goes to the host's end; eth0 must be up for that",
        ));
    }
    moves
}
